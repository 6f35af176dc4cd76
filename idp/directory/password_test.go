package directory_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/alexedwards/argon2id"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/directory"
)

func TestAPasswordProvesWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "Ann@Example.com")
	if ann.Email != "ann@example.com" || ann.ID == "" || ann.ID == ann.Email {
		t.Errorf("got %+v", ann)
	}
	must(t, w.check(t.Context(), " ANN@EXAMPLE.COM", good))
	for name, c := range map[string][2]string{
		"another password":                      {"ann@example.com", other},
		"no password":                           {"ann@example.com", ""},
		"a part of it":                          {"ann@example.com", good[:12]},
		"a password that is too long to be one": {"ann@example.com", strings.Repeat("x", 2000)},
		"no text":                               {"ann@example.com", "\xff\xfe and more"},
		"somebody else":                         {"bob@example.com", good},
		"nobody":                                {"", good},
		"no address":                            {"ann", good},
		"the id for the address":                {ann.ID, good},
	} {
		wantError(t, name, w.check(t.Context(), c[0], c[1]), directory.ErrWrong)
	}
}

// NIST SP 800-63B section 3.1.1.2: what looks the same is the same, whatever the keyboard made of it.
func TestTheSamePasswordFromAnotherKeyboardIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := w.Add(t.Context(), "ann@example.com", secret.New("caf\u00e9 im alten Hafen"), nil)
	must(t, err)
	must(t, w.check(t.Context(), p.Email, "cafe\u0301 im alten Hafen"))
	must(t, w.check(t.Context(), p.Email, "caf\u00e9\u00a0im\u3000alten Hafen"))
	wantError(t, "another case", w.check(t.Context(), p.Email, "Caf\u00e9 im alten Hafen"), directory.ErrWrong)
}

func TestWhichPasswordsAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		password string
		taken    bool
	}{
		"a few words":                       {"seven purple otters", true},
		"twelve characters":                 {"kXw9-vTq2mZr", true},
		"twelve characters, not bytes":      {"žluťoučký kůň", true},
		"eleven characters":                 {"kXw9-vTq2mZ", false},
		"only lower case":                   {"unmoglich eingerollt", true},
		"a sentence of a thousand bytes":    {strings.Repeat("a quick brown fox, ", 50), false}, // one piece again and again
		"a long sentence":                   {"It was the best of times, it was the worst of times, it was the age of wisdom", true},
		"one that everybody takes":          {"correcthorsebatterystaple", false},
		"the same with spaces and capitals": {"Correct Horse Battery Staple", false},
		"a common one, decorated":           {"Password12345!", false},
		"a common one, decorated and leet":  {"!!P4$$w0rd2026!!", false},
		"a walk on the keyboard":            {"1qaz2wsx3edc", false},
		"digits in their order":             {"123456789012", false},
		"digits backwards":                  {"987654321098", false},
		"one letter":                        {"aaaaaaaaaaaaaaa", false},
		"a piece three times":               {"ab1!ab1!ab1!", false},
		"one's own address":                 {"ann.smith@example.com", false},
		"one's own name and a year":         {"ann.smith2026", false},
		"the service":                       {"rolecall1234", false},
		"longer than is hashed":             {strings.Repeat("seven purple otters ", 60), false},
		"a control character":               {"seven\x00purple otters", false},
		"no text":                           {"seven \xff purple otters", false},
	} {
		err := w.Acceptable("ann.smith@example.com", secret.New(c.password))
		if (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), c.password) {
			t.Errorf("%s: the error holds it", name)
		}
	}
	strict := w.open(t, func(p *config.Provider) { p.Password.MinLength = 20 })
	wantWeak(t, "nineteen of twenty", strict.Acceptable("ann@example.com", secret.New("seven purple otters")))
}

func TestTheStoreAloneGivesNothingToGuessAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	made, err := w.BeginTOTP(t.Context(), ann.ID)
	must(t, err)
	row, err := w.store.FindPerson(t.Context(), "people", ann.ID, "")
	must(t, err)
	for _, secret := range []string{"argon2", good, made.Secret} {
		if bytes.Contains(row.Data, []byte(secret)) {
			t.Errorf("the row holds %q", secret)
		}
	}
	// sealed bytes of one person do not open at another
	bob := w.add(t, "bob@example.com")
	stolen, err := w.store.FindPerson(t.Context(), "people", bob.ID, "")
	must(t, err)
	stolen.Data = row.Data
	must(t, w.store.UpdatePerson(t.Context(), stolen))
	if err := w.check(t.Context(), "bob@example.com", good); err == nil {
		t.Error("ann's sealed password opens bob's account")
	}
}

// A hash made with other parameters is made anew at the next login, and works before and after.
func TestAnOldHashIsReplacedAtTheNextLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	weak, err := argon2id.CreateHash(good, &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	must(t, err)
	w.plant(t, ann.ID, weak)
	wantError(t, "a wrong password", w.check(t.Context(), ann.Email, other), directory.ErrWrong)
	if got := w.planted(t, ann.ID); got != weak {
		t.Errorf("a wrong password changed the hash to %s", got)
	}
	must(t, w.check(t.Context(), ann.Email, good))
	if got := w.planted(t, ann.ID); !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", got)
	}
	must(t, w.check(t.Context(), ann.Email, good))
}

// sealed reads and writes the sealed part of a row, as another program would.
type sealedRow struct {
	Person json.RawMessage `json:"person"`
	Sealed []byte          `json:"sealed"`
}

func (w *world) plant(t *testing.T, id, hash string) {
	t.Helper()
	row, err := w.store.FindPerson(t.Context(), "people", id, "")
	must(t, err)
	var s sealedRow
	must(t, json.Unmarshal(row.Data, &s))
	s.Sealed = w.sealer.Seal([]byte(`{"password":"`+hash+`"}`), "directory/people/"+id)
	row.Data, err = json.Marshal(s)
	must(t, err)
	must(t, w.store.UpdatePerson(t.Context(), row))
}

func (w *world) planted(t *testing.T, id string) string {
	t.Helper()
	row, err := w.store.FindPerson(t.Context(), "people", id, "")
	must(t, err)
	var s sealedRow
	must(t, json.Unmarshal(row.Data, &s))
	plain, err := w.sealer.Open(s.Sealed, "directory/people/"+id)
	must(t, err)
	var secrets struct{ Password string }
	must(t, json.Unmarshal(plain, &secrets))
	return secrets.Password
}

func TestADisabledPersonIsLikeNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	_, err := w.Disable(t.Context(), ann.ID, true)
	must(t, err)
	wantError(t, "disabled", w.check(t.Context(), ann.Email, good), directory.ErrWrong)
	letter, err := w.AskReset(t.Context(), phone, ann.Email)
	must(t, err)
	if letter.To != "" {
		t.Errorf("a letter to somebody who is disabled: %+v", letter)
	}
	_, err = w.Disable(t.Context(), ann.ID, false)
	must(t, err)
	must(t, w.check(t.Context(), ann.Email, good))
}

func TestAPasswordIsChangedByWhoKnowsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	_, err := w.ChangePassword(t.Context(), ann.ID, secret.New(other), secret.New(other))
	wantError(t, "without the current one", err, directory.ErrWrong)
	_, err = w.ChangePassword(t.Context(), ann.ID, secret.New(good), secret.New("short"))
	wantWeak(t, "to a short one", err)
	_, err = w.ChangePassword(t.Context(), ann.ID, secret.New(good), secret.New(other))
	must(t, err)
	must(t, w.check(t.Context(), ann.Email, other))
	wantError(t, "the one before", w.check(t.Context(), ann.Email, good), directory.ErrWrong)
	nobody, err := w.Add(t.Context(), "none@example.com", secret.String{}, nil)
	must(t, err)
	_, err = w.ChangePassword(t.Context(), nobody.ID, secret.String{}, secret.New(other))
	wantError(t, "somebody without a password, by an empty one", err, directory.ErrWrong)
}

// Concurrent changes of one person lose nothing.
func TestChangesAtTheSameTimeAreAllThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if err := w.Remember(t.Context(), ann.ID, string(rune('a'+i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range 8 {
		if known, err := w.Knows(t.Context(), ann.Email, string(rune('a'+i))); err != nil || !known {
			t.Errorf("device %c is not known: %v", 'a'+i, err)
		}
	}
}

func TestTheDenyListIsInTheFormInWhichItIsAsked(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("denied.txt")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") && (line != strings.ToLower(line) || line != strings.TrimSpace(line) || line == "") {
			t.Errorf("line %q", line)
		}
	}
}
