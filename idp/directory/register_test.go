package directory_test

import (
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/directory"
)

func (w *world) register(t *testing.T, holder, email, password string) directory.Letter {
	t.Helper()
	letter, err := w.Register(t.Context(), holder, email, secret.New(password))
	must(t, err)
	return letter
}

var inMail = regexp.MustCompile(`(?m)^    ([A-Z2-7]{4})-([A-Z2-7]{4})$`)

// codeIn reads the code of a letter as a person does.
func codeIn(t *testing.T, l directory.Letter) string {
	t.Helper()
	_, text := l.Write("Notes")
	found := inMail.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no code in\n%s", text)
	}
	return found[1] + found[2]
}

func TestSomebodyRegistersAndConfirms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	letter := w.register(t, phone, "Ann@Example.com", good)
	code := codeIn(t, letter)
	if letter.To != "ann@example.com" || letter.Code() != code || letter.Kind() != "confirm" {
		t.Errorf("got %+v", letter)
	}
	wantError(t, "before the code", w.check(t.Context(), "ann@example.com", good), directory.ErrWrong)
	typed := " " + strings.ToLower(code[:4]) + " - " + strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(code[4:]) + " "
	ann, err := w.Confirm(t.Context(), phone, "ann@example.com", typed)
	must(t, err)
	must(t, w.check(t.Context(), "ann@example.com", good))
	if len(ann.Groups) > 0 || ann.Disabled || ann.Changed.IsZero() {
		t.Errorf("got %+v", ann)
	}
	_, err = w.Confirm(t.Context(), phone, "ann@example.com", code)
	wantError(t, "the code again", err, directory.ErrWrong)
}

// Whoever is here gets a letter, and whoever asks gets the same answer; the code of
// that letter, were it guessed, opens nothing.
func TestARegistrationTellsNobodyWhoIsHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, "ann@example.com")
	letter := w.register(t, phone, "ANN@example.com", other)
	subject, text := letter.Write("Notes")
	if letter.To != "ann@example.com" || letter.Code() != "" || !strings.Contains(text, "have one already") || inMail.MatchString(text) {
		t.Errorf("%s\n%s", subject, text)
	}
	must(t, w.check(t.Context(), "ann@example.com", good))
	_, err := w.Register(t.Context(), phone, "ann@example.com", secret.New("short"))
	wantWeak(t, "a weak password for somebody who is here", err)
	_, err = w.Register(t.Context(), phone, "bob@example.com", secret.New("short"))
	wantWeak(t, "a weak password for somebody who is not", err)
}

// Pre-hijacking: a stranger registers the address of a victim with a password of the
// stranger's. The victim's own registration has another code, and the stranger's
// code works on the stranger's device only.
func TestNobodyConfirmsThePasswordOfAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	strangers := w.register(t, "stranger", "ann@example.com", other)
	own := w.register(t, phone, "ann@example.com", good)
	for holder, letter := range map[string]directory.Letter{phone: strangers, "stranger": own, "": own} {
		_, err := w.Confirm(t.Context(), holder, "ann@example.com", codeIn(t, letter))
		wantError(t, "the code of another device at "+holder, err, directory.ErrWrong)
	}
	_, err := w.Confirm(t.Context(), phone, "ann@example.com", codeIn(t, own))
	must(t, err)
	must(t, w.check(t.Context(), "ann@example.com", good))
	_, err = w.Confirm(t.Context(), "stranger", "ann@example.com", codeIn(t, strangers))
	wantError(t, "the stranger's, once there is somebody", err, directory.ErrWrong)
	must(t, w.check(t.Context(), "ann@example.com", good))
}

func TestACodeEndsByTriesByTimeAndByAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, w *world)
		works bool
	}{
		"four wrong tries":    {func(t *testing.T, w *world) { t.Helper(); w.guess(t, 4) }, true},
		"five wrong tries":    {func(t *testing.T, w *world) { t.Helper(); w.guess(t, 5) }, false},
		"nearly too late":     {func(t *testing.T, w *world) { t.Helper(); w.pass(15*time.Minute - time.Second) }, true},
		"too late":            {func(t *testing.T, w *world) { t.Helper(); w.pass(15 * time.Minute) }, false},
		"a second letter":     {func(t *testing.T, w *world) { t.Helper(); w.register(t, phone, "ann@example.com", good) }, false},
		"a letter to another": {func(t *testing.T, w *world) { t.Helper(); w.register(t, phone, "bob@example.com", good) }, true},
		"tries of another device": {func(t *testing.T, w *world) {
			t.Helper()
			for range 9 {
				_, err := w.Confirm(t.Context(), "stranger", "ann@example.com", "AAAAAAAA")
				wantError(t, "a guess", err, directory.ErrWrong)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			letter := w.register(t, phone, "ann@example.com", good)
			c.spoil(t, w)
			_, err := w.Confirm(t.Context(), phone, "ann@example.com", codeIn(t, letter))
			if (err == nil) != c.works {
				t.Errorf("got %v", err)
			}
		})
	}
}

func (w *world) guess(t *testing.T, n int) {
	t.Helper()
	for range n {
		_, err := w.Confirm(t.Context(), phone, "ann@example.com", "AAAAAAAA")
		wantError(t, "a guess", err, directory.ErrWrong)
	}
}

func TestOfManyWhoConfirmAtOnceOneIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := codeIn(t, w.register(t, phone, "ann@example.com", good))
	var made atomic.Int32
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if _, err := w.Confirm(t.Context(), phone, "ann@example.com", code); err == nil {
				made.Add(1)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 {
		t.Errorf("%d people", made.Load())
	}
}

func TestWhoMayRegister(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*config.Provider)
		email  string
		may    bool
	}{
		"open":                        {func(*config.Provider) {}, "ann@example.com", true},
		"closed":                      {func(p *config.Provider) { p.Registration.Value = "closed" }, "ann@example.com", false},
		"a domain that is listed":     {domains, "ann@example.com", true},
		"a domain that is not":        {domains, "ann@example.net", false},
		"a domain below one":          {domains, "ann@evil.example.com", false},
		"a domain that only ends so":  {domains, "ann@evilexample.com", false},
		"a listed domain in capitals": {domains, "ann@EXAMPLE.com", true},
	} {
		w := newWorld(t, c.change)
		letter := w.register(t, phone, c.email, good)
		if (letter.To != "") != c.may {
			t.Errorf("%s: %+v", name, letter)
		}
		if letter.Code() == "" {
			continue
		}
		if _, err := w.Confirm(t.Context(), phone, c.email, letter.Code()); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func domains(p *config.Provider) { p.RegistrationDomains = []config.Text{{Value: "example.com"}} }

func TestAPasswordIsResetByTheMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	letter, err := w.AskReset(t.Context(), phone, "Ann@example.com")
	must(t, err)
	code := codeIn(t, letter)
	_, err = w.Reset(t.Context(), "stranger", ann.Email, code, secret.New(other))
	wantError(t, "on another device", err, directory.ErrWrong)
	_, err = w.Reset(t.Context(), "", ann.Email, code, secret.New(other))
	wantError(t, "as if it were a link", err, directory.ErrWrong)
	_, err = w.Reset(t.Context(), phone, "bob@example.com", code, secret.New(other))
	wantError(t, "for somebody else", err, directory.ErrWrong)
	_, err = w.Reset(t.Context(), phone, ann.Email, code, secret.New("short"))
	wantWeak(t, "to a short one", err)
	must(t, w.check(t.Context(), ann.Email, good))
	got, err := w.Reset(t.Context(), phone, ann.Email, code, secret.New(other))
	must(t, err)
	if got.ID != ann.ID {
		t.Errorf("got %+v", got)
	}
	must(t, w.check(t.Context(), ann.Email, other))
	wantError(t, "the password before", w.check(t.Context(), ann.Email, good), directory.ErrWrong)
	_, err = w.Reset(t.Context(), phone, ann.Email, code, secret.New(good))
	wantError(t, "the code again", err, directory.ErrWrong)
}

func TestAResetOfNobodyWritesAsMuchAndSendsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	letter, err := w.AskReset(t.Context(), phone, "nobody@example.com")
	must(t, err)
	if letter.To != "" || letter.Code() == "" {
		t.Errorf("got %+v", letter)
	}
	w.add(t, "nobody@example.com") // who comes later gains nothing by the code
	_, err = w.Reset(t.Context(), phone, "nobody@example.com", letter.Code(), secret.New(other))
	wantError(t, "the code of nobody", err, directory.ErrWrong)
}

func TestALinkOfAnOperatorWorksOnceForADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann, err := w.Add(t.Context(), "ann@example.com", secret.String{}, []string{"ops", "ops", " "})
	must(t, err)
	if len(ann.Groups) != 1 {
		t.Errorf("groups %q", ann.Groups)
	}
	link, err := w.Invite(t.Context(), ann.ID)
	must(t, err)
	w.pass(23 * time.Hour)
	_, err = w.Reset(t.Context(), phone, ann.Email, link, secret.New(good))
	wantError(t, "a link as a code", err, directory.ErrWrong)
	_, err = w.Reset(t.Context(), "", ann.Email, link, secret.New(good))
	must(t, err)
	must(t, w.check(t.Context(), ann.Email, good))
	_, err = w.Reset(t.Context(), "", ann.Email, link, secret.New(other))
	wantError(t, "the link again", err, directory.ErrWrong)
	late, err := w.Invite(t.Context(), ann.ID)
	must(t, err)
	w.pass(25 * time.Hour)
	_, err = w.Reset(t.Context(), "", ann.Email, late, secret.New(other))
	wantError(t, "a link a day later", err, directory.ErrWrong)
}

func TestAnAddressIsChangedByACodeToTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann, bob := w.add(t, "ann@example.com"), w.add(t, "bob@example.com")
	letter, err := w.AskEmail(t.Context(), ann.ID, phone, "ann@new.example")
	must(t, err)
	code := codeIn(t, letter)
	_, _, err = w.ConfirmEmail(t.Context(), bob.ID, phone, "ann@new.example", code)
	wantError(t, "somebody else on that device", err, directory.ErrWrong)
	moved, before, err := w.ConfirmEmail(t.Context(), ann.ID, phone, "ann@new.example", code)
	must(t, err)
	if moved.ID != ann.ID || moved.Email != "ann@new.example" || before != "ann@example.com" {
		t.Errorf("got %+v, before %s", moved, before)
	}
	must(t, w.check(t.Context(), "ann@new.example", good))
	wantError(t, "the address before", w.check(t.Context(), "ann@example.com", good), directory.ErrWrong)

	letter, err = w.AskEmail(t.Context(), ann.ID, phone, "BOB@example.com")
	must(t, err)
	if letter.Kind() != "known" || letter.Code() != "" {
		t.Errorf("to an address of somebody: %+v", letter)
	}
	letter, err = w.AskEmail(t.Context(), ann.ID, phone, "ann@third.example")
	must(t, err)
	w.add(t, "ann@third.example")
	_, _, err = w.ConfirmEmail(t.Context(), ann.ID, phone, "ann@third.example", codeIn(t, letter))
	wantError(t, "an address that somebody took meanwhile", err, directory.ErrWrong)
}

func TestWhoIsDeletedIsGoneAndTheirSubjectToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	letter, err := w.AskReset(t.Context(), phone, ann.Email)
	must(t, err)
	must(t, w.Delete(t.Context(), ann.ID))
	wantError(t, "a login", w.check(t.Context(), ann.Email, good), directory.ErrWrong)
	again := w.add(t, "ann@example.com")
	if again.ID == ann.ID {
		t.Error("the subject came back")
	}
	_, err = w.Reset(t.Context(), phone, ann.Email, letter.Code(), secret.New(other))
	wantError(t, "a code of who was there before", err, directory.ErrWrong)
}

func TestPeopleAreListedInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, email := range []string{"c@x.org", "a@x.org", "b@x.org"} {
		_, err := w.Add(t.Context(), email, secret.String{}, []string{"g"})
		must(t, err)
	}
	page, err := w.List(t.Context(), "a@x.org", 1)
	must(t, err)
	if len(page) != 1 || page[0].Email != "b@x.org" || page[0].Groups[0] != "g" || !page[0].Changed.IsZero() {
		t.Errorf("got %+v", page)
	}
	_, err = w.Add(t.Context(), "A@x.org", secret.String{}, nil)
	wantError(t, "an address twice", err, directory.ErrTaken)
	_, err = w.SetGroups(t.Context(), page[0].ID, []string{"bad\ngroup"})
	if err == nil {
		t.Error("a group with a line break")
	}
}

func TestEveryLetterSaysWhatToDoAndNothingOfWhoAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	reset, err := w.AskReset(t.Context(), phone, ann.Email)
	must(t, err)
	move, err := w.AskEmail(t.Context(), ann.ID, phone, "new@example.com")
	must(t, err)
	seen := map[string]bool{}
	for _, letter := range []directory.Letter{
		w.register(t, phone, "bob@example.com", other), w.register(t, phone, "ann@example.com", other), reset, move, w.PasswordChanged(ann), w.EmailChanged("ann@example.com"),
	} {
		subject, text := letter.Write("Notes")
		if subject == "" || !strings.Contains(text, "Notes (Example)") || !strings.Contains(text, "If ") || strings.Contains(text, other) || seen[text] {
			t.Errorf("%s: %s\n%s", letter.Kind(), subject, text)
		}
		seen[text] = true
		for line := range strings.Lines(text) {
			if len(line) > 86 {
				t.Errorf("%s: a line of %d characters: %s", letter.Kind(), len(line), line)
			}
		}
	}
}
