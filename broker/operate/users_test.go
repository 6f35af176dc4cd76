package operate_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/directory"
)

// office is Users over a real store; it is its own Auditor and Phones.
type office struct {
	*operate.Users
	store    *sqlite.Store
	dir      *directory.Directory
	sessions *session.Sessions
	records  []audit.Event
	revoked  []string
	broken   bool
}

func (o *office) Append(_ context.Context, e audit.Event) error {
	if o.broken {
		return audit.ErrFailed
	}
	o.records = append(o.records, e)
	return nil
}

func (o *office) DevicesOf(_ context.Context, app, _, subject string) ([]string, error) {
	return []string{app + " of " + subject}, nil
}

func (o *office) RevokeDevice(_ context.Context, id string) error {
	o.revoked = append(o.revoked, id)
	return nil
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sealer, err := keys.OpenSealer(filepath.Join(t.TempDir(), "rolecall.key"))
	if err != nil {
		t.Fatal(err)
	}
	o.store = store
	o.sessions = session.NewSessions(session.Config{Store: store, Now: time.Now, Sealer: sealer})
	o.dir, err = directory.New(directory.Config{
		Provider: config.Provider{Name: config.Text{Value: "people"}, Label: "Example", Password: config.Password{MinLength: 12}},
		URL:      "https://sso.example.com", Store: store, Sealer: sealer, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Users = operate.NewUsers(operate.UsersConfig{
		Directory: o.dir, Store: store, Phones: o, Apps: []string{"notes", "maps"}, Audit: o, Operator: "root", Now: time.Now,
	})
	return o
}

// add makes ann, with a session.
func (o *office) add(t *testing.T) (directory.Person, string) {
	t.Helper()
	ann, err := o.Add(t.Context(), "Ann@example.com", secret.New("seven purple otters juggle"), []string{"ops"})
	if err != nil {
		t.Fatal(err)
	}
	_, made, err := o.sessions.Create(t.Context(), session.New{Login: idp.Login{Identity: o.dir.Identity(ann, nil)}, Via: "browser"})
	if err != nil {
		t.Fatal(err)
	}
	return ann, made.ID
}

func (o *office) last() audit.Event { return o.records[len(o.records)-1] }

func TestWhatOperatorsDoWithPeopleIsRecordedAndEndsWhatTheyHave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(o *office) (directory.Person, error)
		ends bool
		then func(who directory.Person) bool
	}{
		"user.disable": {func(o *office) (directory.Person, error) { return o.Disable(t.Context(), "ann@example.com") }, true, func(who directory.Person) bool { return who.Disabled }},
		"user.enable":  {func(o *office) (directory.Person, error) { return o.Enable(t.Context(), "ann@example.com") }, false, func(who directory.Person) bool { return !who.Disabled }},
		"user.groups": {func(o *office) (directory.Person, error) {
			return o.Groups(t.Context(), "ann@example.com", []string{"dev", "qa"})
		}, true,
			func(who directory.Person) bool { return slices.Equal(who.Groups, []string{"dev", "qa"}) }},
		"user.invite": {func(o *office) (directory.Person, error) {
			who, code, err := o.Reset(t.Context(), "ann@example.com", true)
			if len(code.Reveal()) != 43 {
				t.Errorf("code of %d characters", len(code.Reveal()))
			}
			return who, err
		}, true, func(who directory.Person) bool { return !who.TOTP }},
		"user.delete": {func(o *office) (directory.Person, error) { return o.Delete(t.Context(), "ann@example.com") }, true, func(directory.Person) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			ann, open := o.add(t)
			who, err := c.do(o)
			if err != nil || who.ID != ann.ID || !c.then(who) {
				t.Fatalf("%+v, %v", who, err)
			}
			if _, err := o.sessions.ByID(t.Context(), open); errors.Is(err, session.ErrNotFound) != c.ends {
				t.Errorf("the session: %v", err)
			}
			revocations, err := o.store.RevocationsAfter(t.Context(), 0)
			if err != nil || (len(revocations) == 1) != c.ends || c.ends && revocations[0].Target != "people="+ann.ID {
				t.Errorf("revocations %+v, %v", revocations, err)
			}
			intent, outcome := o.records[len(o.records)-2], o.last()
			if intent.Event != name || intent.Outcome != "" || outcome.Outcome != audit.Granted || outcome.Subject != ann.ID || !strings.Contains(outcome.Detail, "by root") {
				t.Errorf("recorded %+v, %+v", intent, outcome)
			}
			if gone := name == "user.delete"; gone != slices.Equal(o.revoked, []string{"notes of " + ann.ID, "maps of " + ann.ID}) {
				t.Errorf("devices that ended: %v", o.revoked)
			}
		})
	}
}

func TestWithoutARecordNothingIsChanged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, open := o.add(t)
	o.broken = true
	_, added := o.Add(t.Context(), "bob@example.com", secret.String{}, nil)
	_, disabled := o.Disable(t.Context(), "ann@example.com")
	_, deleted := o.Delete(t.Context(), "ann@example.com")
	_, _, reset := o.Reset(t.Context(), "ann@example.com", true)
	for _, err := range []error{added, disabled, deleted, reset} {
		if !errors.Is(err, audit.ErrFailed) {
			t.Errorf("%v", err)
		}
	}
	all, err := o.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Disabled {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := o.sessions.ByID(t.Context(), open); err != nil {
		t.Errorf("the session ended: %v", err)
	}
}

func TestWhatCannotBeDoneIsSaidAndFailuresAreRecorded(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.add(t)
	before := len(o.records)
	if _, err := o.Add(t.Context(), "bob", secret.String{}, nil); !errors.Is(err, directory.ErrEmail) {
		t.Errorf("no address: %v", err)
	}
	if _, err := o.Add(t.Context(), "bob@example.com", secret.New("short"), nil); err == nil {
		t.Error("a weak password")
	}
	if _, err := o.Disable(t.Context(), "zoe@example.com"); err == nil || !strings.Contains(err.Error(), "zoe@example.com") {
		t.Errorf("nobody: %v", err)
	}
	if len(o.records) != before {
		t.Errorf("recorded what was never begun: %+v", o.records[before:])
	}
	if _, err := o.Add(t.Context(), "ANN@example.com", secret.String{}, nil); !errors.Is(err, directory.ErrTaken) || o.last().Outcome != audit.Failed {
		t.Errorf("an address twice: %v, recorded %+v", err, o.last())
	}
}

func TestEverybodyIsListedHoweverMany(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i := range 501 {
		if _, err := o.dir.Add(t.Context(), strings.Repeat("a", 1+i%60)+string(rune('a'+i/60))+"@example.com", secret.String{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	all, err := o.List(t.Context())
	if err != nil || len(all) != 501 || !slices.IsSortedFunc(all, func(a, b directory.Person) int { return strings.Compare(a.Email, b.Email) }) {
		t.Errorf("%d, %v", len(all), err)
	}
}
