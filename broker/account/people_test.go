package account_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/mail"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/directory"
)

const (
	goodPassword  = "seven purple otters juggle"
	otherPassword = "nine quiet lanterns waltz"
)

// town is People over a real directory, store and record; letters are kept.
type town struct {
	*account.People
	*world
	dir     *directory.Directory
	letters []mail.Letter
	gate    *limit.Gate
	config  account.PeopleConfig

	devices map[string][]string // of a subject
	revoked []string
	stopped string // who may not enter
	admit   func(broker.Evidence) (broker.Caller, error)
	away    int
}

func text(s string) config.Text { return config.Text{Value: s} }

func newTown(t *testing.T, change ...func(*account.PeopleConfig, *config.Provider)) *town {
	t.Helper()
	x := &town{world: newWorld(t), devices: map[string][]string{}}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "people.db"))
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	sealer, err := keys.OpenSealer(filepath.Join(t.TempDir(), "rolecall.key"))
	must(t, err)
	provider := config.Provider{Name: text("people"), Type: text("directory"), Label: "Example", Registration: text("open"), Password: config.Password{MinLength: 12}}
	x.gate = limit.NewGate(limit.GateConfig{})
	x.config = account.PeopleConfig{
		Apps: []config.App{
			{Name: text("notes"), Label: "Notes", Providers: []config.Text{text("google"), text("people")}},
			{Name: text("bare"), Label: "Bare", Providers: []config.Text{text("google")}},
		},
		Broker: x, Sessions: x.sessions, Phones: x, Record: x.log, Now: x.now,
		Limit: limit.New(limit.Config{Now: x.now}), Guard: broker.Guard{Guesses: limit.NewGuesses(limit.GuessConfig{Now: x.now}), Gate: x.gate},
		Post: func(l mail.Letter) error { x.letters = append(x.letters, l); return nil },
	}
	for _, c := range change {
		c(&x.config, &provider)
	}
	x.dir, err = directory.New(directory.Config{Provider: provider, URL: "https://sso.example.com", Store: store, Sealer: sealer, Now: x.now})
	must(t, err)
	x.config.Directories = []*directory.Directory{x.dir}
	x.People = account.NewPeople(x.config)
	return x
}

// x is its own Gatekeeper and Phones.
func (x *town) Admit(_ context.Context, _ broker.Origin, e broker.Evidence) (broker.Caller, error) {
	return x.admit(e)
}

func (x *town) MayEnter(who idp.Identity) error {
	if x.stopped != "" && who.Username == x.stopped {
		return broker.Fail(broker.AccessDenied, "revoked", "Stopped.")
	}
	return nil
}

func (x *town) EveryProvider() []broker.ProviderInfo {
	return []broker.ProviderInfo{{Name: "google", Type: "oidc"}, {Name: "corp", Type: "saml"}, {Name: "people", Type: "directory"}}
}
func (x *town) TurnedAway(context.Context, broker.Origin, string) { x.away++ }
func (x *town) Forget(id string)                                  { x.forgotten = append(x.forgotten, id) }
func (x *town) DevicesOf(_ context.Context, app, _, subject string) ([]string, error) {
	if app != "notes" {
		return nil, nil
	}
	return x.devices[subject], nil
}

func (x *town) RevokeDevice(_ context.Context, id string) error {
	x.revoked = append(x.revoked, id)
	return nil
}

// at is a device of the app notes at an address.
func at(device string, n int) (broker.Origin, broker.Caller) {
	o := broker.Origin{RequestID: "R", Address: netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})}
	return o, broker.Caller{App: "notes", Device: device, Session: "S-" + device, Via: broker.ViaTVM, Identity: idp.Identity{Provider: "device", Subject: device}}
}

func (x *town) login(t *testing.T, device string, n int, email, password, code string) (idp.Login, error) {
	t.Helper()
	o, c := at(device, n)
	return x.Login(t.Context(), o, c, account.Credentials{Email: email, Password: secret.New(password), Code: secret.New(code)})
}

// lastCode is the code of the newest letter.
func (x *town) lastCode(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(x.letters[len(x.letters)-1].Text) {
		if strings.HasPrefix(line, "    ") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no code in %+v", x.letters[len(x.letters)-1])
	return ""
}

// inhabit makes a person by registration on a device and logs them in there.
func (x *town) inhabit(t *testing.T, device, email string) broker.Caller {
	t.Helper()
	o, c := at(device, 1)
	must(t, x.Register(t.Context(), o, c, "notes", email, secret.New(goodPassword)))
	must(t, x.Confirm(t.Context(), o, c, "notes", email, x.lastCode(t)))
	return x.in(t, device, email, goodPassword)
}

// in logs in and gives the caller that the device has from then on.
func (x *town) in(t *testing.T, device, email, password string) broker.Caller {
	t.Helper()
	login, err := x.login(t, device, 1, email, password, "")
	must(t, err)
	_, c := at(device, 1)
	c.Identity = login.Identity
	return c
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	e := broker.Shown(err)
	return string(e.Code) + " " + e.Reason
}

func wantReason(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Errorf("%s: %q, want %q: %v", what, got, want, err)
	}
}

func (x *town) records(t *testing.T) []audit.Record {
	t.Helper()
	found, err := x.log.Search(t.Context(), audit.Query{Limit: 500, Bytes: 1 << 20, Match: func(audit.Record) bool { return true }})
	must(t, err)
	slices.Reverse(found.Records)
	return found.Records
}

func TestSomebodyRegistersConfirmsAndLogsIn(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	o, c := at("phone", 1)
	must(t, x.Register(t.Context(), o, c, "notes", "Ann@Example.com", secret.New(goodPassword)))
	if l := x.letters[0]; l.To != "ann@example.com" || !strings.Contains(l.Text, "Notes (Example)") || l.RequestID != "R" {
		t.Errorf("letter %+v", l)
	}
	_, err := x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	wantReason(t, "before it is confirmed", err, "unauthenticated wrong_credentials")
	wantReason(t, "a wrong code", x.Confirm(t.Context(), o, c, "", "ann@example.com", "AAAA-AAAA"), "invalid_request wrong_code")
	must(t, x.Confirm(t.Context(), o, c, "", "ann@example.com", x.lastCode(t)))
	login, err := x.login(t, "phone", 1, "ANN@example.com", goodPassword, "")
	must(t, err)
	if who := login.Identity; who.Provider != "people" || who.Username != "ann@example.com" || who.Subject == "" || !slices.Equal(who.Methods, []string{"pwd"}) {
		t.Errorf("got %+v", who)
	}
	var events []string
	for _, r := range x.records(t) {
		events = append(events, r.Event.Event+" "+string(r.Outcome))
		if strings.Contains(r.Detail, goodPassword) {
			t.Errorf("a record holds the password: %+v", r)
		}
	}
	if got := strings.Join(events, ", "); got != "user.register granted, user.login refused, user.confirm refused, user.confirm granted, user.login granted" {
		t.Errorf("recorded %s", got)
	}
}

func TestAnswersTellNobodyWhoIsHere(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, "phone", "ann@example.com")
	o, c := at("stranger", 7)
	for _, email := range []string{"ann@example.com", "nobody@example.com"} {
		must(t, x.Register(t.Context(), o, c, "notes", email, secret.New(otherPassword)))
		must(t, x.AskReset(t.Context(), o, c, "notes", email))
		_, err := x.login(t, "stranger", 7, email, otherPassword, "")
		wantReason(t, email, err, "unauthenticated wrong_credentials")
		wantReason(t, email, x.Reset(t.Context(), o, c, "notes", email, "AAAA-AAAA", secret.New(otherPassword)), "invalid_request wrong_code")
		wantReason(t, email, x.Confirm(t.Context(), o, c, "notes", email, "AAAA-AAAA"), "invalid_request wrong_code")
		wantReason(t, email, x.Register(t.Context(), o, c, "notes", email, secret.New("short")), "invalid_request weak_password")
	}
	_, err := x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	must(t, err) // and nothing has changed
}

// The work for somebody who is not here takes as long as for somebody who is.
func TestTheTimeTellsNobodyWhoIsHere(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, "phone", "ann@example.com")
	least := map[string]time.Duration{}
	for i := range 12 { // in turn, so that what else the machine does is the same for both; the least is the work alone
		for _, email := range []string{"ann@example.com", "nobody@example.com"} {
			begun := time.Now()
			_, err := x.login(t, "stranger", 100+i, email, otherPassword, "")
			wantReason(t, email, err, "unauthenticated wrong_credentials")
			if took := time.Since(begun); least[email] == 0 || took < least[email] {
				least[email] = took
			}
		}
	}
	here, not := least["ann@example.com"], least["nobody@example.com"]
	if here > 3*not || not > 3*here {
		t.Errorf("%s for somebody who is here, %s for somebody who is not", here, not)
	}
	if not < time.Millisecond {
		t.Errorf("%s is no hash", not)
	}
}

func TestGuessesAreSlowedAndTheOwnerStillGetsIn(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, "phone", "ann@example.com")
	wrong, slowed := 0, 0
	for i := range 60 { // sixty strangers, each from an address of their own
		switch _, err := x.login(t, "stranger", 10+i, "ann@example.com", otherPassword, ""); reason(err) {
		case "unauthenticated wrong_credentials":
			wrong++
		case "rate_limited rate_limited":
			slowed++
			if broker.Shown(err).RetryAfter <= 0 {
				t.Errorf("no Retry-After: %+v", err)
			}
		default:
			t.Fatal(err)
		}
	}
	if wrong > 30 || slowed < 30 || x.away != slowed {
		t.Errorf("%d were judged, %d slowed, %d counted", wrong, slowed, x.away)
	}
	_, err := x.login(t, "stranger", 99, "ann@example.com", goodPassword, "")
	wantReason(t, "the right one, from a stranger's device, meanwhile", err, "rate_limited rate_limited")
	_, err = x.login(t, "phone", 10, "ann@example.com", goodPassword, "")
	must(t, err) // the device that ann has logged in on
	for range 12 {
		_, err = x.login(t, "phone", 1, "ann@example.com", otherPassword, "")
	}
	wantReason(t, "twelve wrong ones of her own device", err, "rate_limited rate_limited")
	x.pass(time.Hour)
	_, err = x.login(t, "tablet", 99, "ann@example.com", goodPassword, "")
	must(t, err)
	for range 9 { // of somebody who is not here it looks the same
		_, err = x.login(t, "stranger", 500, "nobody@example.com", otherPassword, "")
	}
	wantReason(t, "nobody", err, "rate_limited rate_limited")
}

// A letter with the right code makes the device known: the way in for an owner in a
// new place while others guess.
func TestTheMailIsAWayInWhileOthersGuess(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, "phone", "ann@example.com")
	for i := range 60 {
		_, _ = x.login(t, "stranger", 10+i, "ann@example.com", otherPassword, "")
	}
	o, c := at("tablet", 3)
	must(t, x.AskReset(t.Context(), o, c, "", "ann@example.com"))
	must(t, x.Reset(t.Context(), o, c, "", "ann@example.com", x.lastCode(t), secret.New(otherPassword)))
	_, err := x.login(t, "tablet", 3, "ann@example.com", otherPassword, "")
	must(t, err)
}

func TestLettersAreCountedByWhoAsks(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, "phone", "ann@example.com")
	sent := len(x.letters)
	o, c := at("stranger", 7)
	var last error
	for range 8 {
		last = x.AskReset(t.Context(), o, c, "", "ann@example.com")
	}
	wantReason(t, "the eighth", last, "rate_limited too_many_letters")
	if n := len(x.letters) - sent; n != 5 {
		t.Errorf("%d letters", n)
	}
	o, c = at("phone", 1)
	must(t, x.AskReset(t.Context(), o, c, "", "ann@example.com"))
	for range 8 {
		o, c := at("stranger", 7)
		last = x.AskReset(t.Context(), o, c, "", "nobody@example.com")
	}
	wantReason(t, "of nobody", last, "rate_limited too_many_letters")
}

func TestWhoMayNotComeIn(t *testing.T) {
	t.Parallel()
	closed := newTown(t, func(_ *account.PeopleConfig, p *config.Provider) { p.Registration = text("closed") })
	mute := newTown(t, func(c *account.PeopleConfig, _ *config.Provider) { c.Post = nil })
	full := newTown(t, func(c *account.PeopleConfig, _ *config.Provider) {
		c.Post = func(mail.Letter) error { return mail.ErrFull }
	})
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, c := at("tablet", 2)
	bare := c
	bare.App = "bare"
	register := func(x *town, c broker.Caller, app, email string) error {
		return x.Register(t.Context(), o, c, app, email, secret.New(goodPassword))
	}
	wantReason(t, "registration is closed", register(closed, c, "", "ann@example.com"), "access_denied registration_closed")
	wantReason(t, "no mail", register(mute, c, "", "ann@example.com"), "access_denied no_mail")
	wantReason(t, "no mail, a reset", mute.AskReset(t.Context(), o, c, "", "ann@example.com"), "access_denied no_mail")
	wantReason(t, "a full outbox", register(full, c, "", "ann@example.com"), "unavailable mail")
	wantReason(t, "a full outbox, a reset of nobody", full.AskReset(t.Context(), o, c, "", "ann@example.com"), "unavailable mail")
	wantReason(t, "no address", register(x, c, "", "ann"), "invalid_request malformed_email")
	wantReason(t, "another app than the device's", register(x, c, "bare", "ann@example.com"), "invalid_request another_app")
	wantReason(t, "an app without a directory", register(x, bare, "bare", "ann@example.com"), "access_denied no_directory")
	_, err := x.Login(t.Context(), o, bare, account.Credentials{Email: "ann@example.com", Password: secret.New(goodPassword)})
	wantReason(t, "a login to an app without a directory", err, "access_denied no_directory")
	x.stopped = "ann@example.com"
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	wantReason(t, "somebody whom operators have stopped", err, "access_denied revoked")
	x.stopped = ""
	_, err = x.dir.Disable(t.Context(), ann.Identity.Subject, true)
	must(t, err)
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	wantReason(t, "somebody who is disabled", err, "unauthenticated wrong_credentials")
	_, err = x.Me(t.Context(), o, c)
	wantReason(t, "a guest's own entry", err, "access_denied not_logged_in")
}

func TestTooMuchAtOnceIsShedAndNotCounted(t *testing.T) {
	t.Parallel()
	small := limit.NewGate(limit.GateConfig{Places: 1, Queue: 1, PerAddress: 1, Wait: 10 * time.Millisecond})
	x := newTown(t, func(c *account.PeopleConfig, _ *config.Provider) { c.Guard.Gate = small })
	x.inhabit(t, "phone", "ann@example.com")
	leave, err := small.Enter(t.Context(), netip.MustParseAddr("192.0.2.9"))
	must(t, err)
	for range 12 { // more than a device may guess
		_, err := x.login(t, "phone", 1, "ann@example.com", otherPassword, "")
		wantReason(t, "while all places are taken", err, "unavailable busy")
		if broker.Shown(err).RetryAfter <= 0 {
			t.Error("no Retry-After")
		}
	}
	o, c := at("stranger", 4)
	wantReason(t, "a registration", x.Register(t.Context(), o, c, "", "bob@example.com", secret.New(goodPassword)), "unavailable busy")
	leave()
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	must(t, err)
}

func TestARecordThatFailsLetsNobodyIn(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, "phone", "ann@example.com")
	must(t, x.log.Close())
	_, err := x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	wantReason(t, "a login", err, "unavailable audit")
}

func TestAnotherProvidersTokenLogsIn(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	var got broker.Evidence
	end := x.now().Add(time.Hour)
	x.admit = func(e broker.Evidence) (broker.Caller, error) {
		if got = e; e.Token.Reveal() == "bad" {
			return broker.Caller{}, broker.Fail(broker.Unauthenticated, "expired", "Expired.")
		}
		return broker.Caller{Identity: idp.Identity{Provider: "google", Subject: "g-1", Username: "ann"}, ProviderEnd: end}, nil
	}
	o, c := at("phone", 1)
	bring := func(provider, token string) (idp.Login, error) {
		return x.Login(t.Context(), o, c, account.Credentials{App: "notes", Provider: provider, Token: secret.New(token)})
	}
	login, err := bring("google", "good")
	must(t, err)
	if login.Identity.Subject != "g-1" || !login.NotAfter.Equal(end) || got.SAML || got.Token.Reveal() != "good" {
		t.Errorf("got %+v of %+v", login, got)
	}
	for provider, want := range map[string]string{"corp": "access_denied unknown_provider", "people": "unauthenticated wrong_provider", "nobody": "access_denied unknown_provider"} {
		_, err := bring(provider, "good")
		wantReason(t, provider, err, want)
	}
	_, err = bring("google", "bad")
	wantReason(t, "a token that is refused", err, "unauthenticated expired")
	x.stopped = "ann"
	_, err = bring("google", "good")
	wantReason(t, "somebody whom operators have stopped", err, "access_denied revoked")
}

func TestFaultsOfTheStoreAreNotRefusals(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	gone, stop := context.WithCancel(t.Context())
	stop()
	o, c := at("phone", 1)
	_, err := x.Login(gone, o, c, account.Credentials{Email: "ann@example.com", Password: secret.New(goodPassword)})
	if broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("got %v", err)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("its cause: %v", err)
	}
}
