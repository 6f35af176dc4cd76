package operate_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

var (
	nine       = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	deskOrigin = broker.Origin{RequestID: "REQUEST", Address: netip.MustParseAddr("192.0.2.1")}
	admin      = broker.Caller{Via: broker.ViaBrowser, Session: "s-admin", Identity: idp.Identity{Provider: "corp", Subject: "o-1", Username: "ops", Groups: []string{"operators"}}}
)

// desk is administration over a real store and a real record.
type desk struct {
	*operate.Desk
	sessions  *session.Sessions
	log       *audit.Log
	forgotten []string
	revoked   []revocation.Revocation
	deafStore bool // no revocation can be kept
}

// deafRecord is a record that cannot be written.
type deafRecord struct{ *audit.Log }

func (deafRecord) Append(context.Context, audit.Event) error { return audit.ErrFailed }

func texts(values ...string) []config.Text {
	var out []config.Text
	for _, v := range values {
		out = append(out, config.Text{Value: v})
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDesk(t *testing.T, deaf bool) *desk {
	t.Helper()
	now := func() time.Time { return nine }
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	d := &desk{sessions: session.NewSessions(session.Config{Store: store, Now: now})}
	d.log, err = audit.Open(audit.Config{File: filepath.Join(t.TempDir(), "audit.jsonl"), Now: now, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() { _ = d.log.Close() })
	var record operate.Record = d.log
	if deaf {
		record = deafRecord{d.log}
	}
	d.Desk = operate.NewDesk(operate.DeskConfig{
		Admins: config.Admins{Providers: texts("corp"), Groups: texts("operators"), Users: texts("root")}, Sessions: d.sessions, Record: record,
		Revoke: func(_ context.Context, r revocation.Revocation) (int64, error) {
			if d.deafStore {
				return 0, errors.New("disk full")
			}
			d.revoked = append(d.revoked, r)
			return int64(len(d.revoked)), nil
		},
		Forget: func(id string) { d.forgotten = append(d.forgotten, id) }, Now: now,
		ResolveRole: func(text string) (iam.RoleARN, error) {
			return iam.ParseRoleARN(strings.Replace(text, "production/", "arn:aws:iam::111122223333:role/", 1))
		},
	})
	return d
}

func (d *desk) signIn(t *testing.T, subject string) string {
	t.Helper()
	_, made, err := d.sessions.Create(t.Context(), session.New{Login: idp.Login{Identity: idp.Identity{Provider: "corp", Subject: subject, Username: subject}}, Via: "browser"})
	check(t, err)
	return made.ID
}

func TestAdministrationIsForWhomTheConfigurationNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for name, c := range map[string]struct {
		via    broker.Via
		who    idp.Identity
		admits bool
	}{
		"in the group":                  {broker.ViaBrowser, idp.Identity{Provider: "corp", Groups: []string{"x", "operators"}}, true},
		"by name":                       {broker.ViaBrowser, idp.Identity{Provider: "corp", Username: "root"}, true},
		"a namesake of another":         {broker.ViaBrowser, idp.Identity{Provider: "google", Username: "root", Groups: []string{"operators"}}, false},
		"in another case":               {broker.ViaBrowser, idp.Identity{Provider: "corp", Username: "Root", Groups: []string{"Operators"}}, false},
		"of the provider and no more":   {broker.ViaBrowser, idp.Identity{Provider: "corp", Username: "alice"}, false},
		"by a token of a command line":  {broker.ViaCLI, idp.Identity{Provider: "corp", Username: "root"}, false},
		"nobody":                        {broker.ViaBrowser, idp.Identity{}, false},
		"whose subject is the name":     {broker.ViaBrowser, idp.Identity{Provider: "corp", Subject: "root"}, false},
		"by a token that was exchanged": {broker.ViaExchange, idp.Identity{Provider: "corp", Groups: []string{"operators"}}, false},
	} {
		caller := broker.Caller{Via: c.via, Identity: c.who}
		if got := d.Admits(t.Context(), caller); got != c.admits {
			t.Errorf("%s: admitted %t", name, got)
		}
		_, _, err := d.Live(t.Context(), caller)
		_, failed := d.Search(t.Context(), deskOrigin, caller, operate.Filter{})
		for _, err := range []error{err, failed} {
			if (broker.CodeOf(err) == broker.AccessDenied) == c.admits {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	none := operate.NewDesk(operate.DeskConfig{})
	if none.Admits(t.Context(), admin) || none.Admits(t.Context(), broker.Caller{Via: broker.ViaBrowser}) {
		t.Error("without a configuration somebody is admitted")
	}
}

func TestASessionOfSomebodyEndsWithAReasonInTheRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	first, second, bob := d.signIn(t, "alice"), d.signIn(t, "alice"), d.signIn(t, "bob")
	for reason, id := range map[string]string{"": first, "   ": first, strings.Repeat("x", 201): first, "lost laptop": "nothing"} {
		if err := d.End(t.Context(), deskOrigin, admin, id, false, reason); broker.CodeOf(err) != broker.InvalidRequest {
			t.Errorf("%q of %s: %v", reason, id, err)
		}
	}
	check(t, d.End(t.Context(), deskOrigin, admin, first, false, "lost laptop"))
	live, _, err := d.Live(t.Context(), admin)
	check(t, err)
	if len(live) != 2 || !slices.Equal(d.forgotten, []string{first}) {
		t.Errorf("left %+v, forgotten %v", live, d.forgotten)
	}
	d.signIn(t, "alice")
	check(t, d.End(t.Context(), deskOrigin, admin, second, true, "left the company"))
	want := []revocation.Revocation{{Kind: revocation.Session, Target: first, At: nine}, {Kind: revocation.User, Target: "corp=alice", At: nine}}
	if diff := cmp.Diff(want, d.revoked); diff != "" { // numbered, as every node reads them
		t.Error(diff)
	}
	live, _, err = d.Live(t.Context(), admin)
	check(t, err)
	if len(live) != 1 || live[0].ID != bob {
		t.Errorf("left %+v", live)
	}
	found, err := d.Search(t.Context(), deskOrigin, admin, operate.Filter{Event: "admin.revoke"})
	check(t, err)
	if len(found.List) != 2 || found.List[0].Event.Event != "admin.revoke_all" || !strings.Contains(found.List[1].Detail, "lost laptop") || found.List[1].Username != "ops" {
		t.Errorf("recorded %+v", found.List)
	}
}

func TestWithoutARecordNothingEndsAndNothingIsRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	id := d.signIn(t, "alice")
	if err := d.End(t.Context(), deskOrigin, admin, id, true, "x"); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("ended: %v", err)
	}
	if _, err := d.Search(t.Context(), deskOrigin, admin, operate.Filter{}); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("read: %v", err)
	}
	if live, _, err := d.Live(t.Context(), admin); err != nil || len(live) != 1 {
		t.Errorf("left %v, %v", live, err)
	}
}

func TestWithoutANumberNothingEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	d.deafStore = true
	id := d.signIn(t, "alice")
	for _, everything := range []bool{false, true} {
		if err := d.End(t.Context(), deskOrigin, admin, id, everything, "x"); broker.CodeOf(err) != broker.Unavailable {
			t.Errorf("ended: %v", err)
		}
	}
	if live, _, err := d.Live(t.Context(), admin); err != nil || len(live) != 1 || len(d.forgotten) != 0 {
		t.Errorf("left %v, forgotten %v, %v", live, d.forgotten, err)
	}
}

func TestASearchFiltersAndIsARecordItself(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for _, e := range []audit.Event{
		{RequestID: "r1", Event: "credentials", Outcome: audit.Granted, Username: "Alice@example.com", Role: "arn:aws:iam::111122223333:role/Admin"},
		{RequestID: "r2", Event: "signin", Outcome: audit.Refused, Address: "198.51.100.24", Reason: "expired"},
		{RequestID: "r3", Event: "console", Outcome: audit.Granted, AccessKeyID: "ASIAEXAMPLE"},
	} {
		check(t, d.log.Append(t.Context(), e))
	}
	for want, f := range map[string]operate.Filter{
		"r1":       {Text: "alice@"},
		"r2":       {Outcome: "refused"},
		"r3":       {Text: "asiaexample", Since: time.Hour},
		"r1 r2 r3": {Event: ""},
		"":         {Event: "credentials", Outcome: "failed"},
	} {
		found, err := d.Search(t.Context(), deskOrigin, admin, f)
		check(t, err)
		var got []string
		for _, r := range slices.Backward(found.List) {
			if !strings.HasPrefix(r.Event.Event, "admin.") {
				got = append(got, r.RequestID)
			}
		}
		if strings.Join(got, " ") != want || !found.Whole {
			t.Errorf("%+v: got %v, want %s", f, got, want)
		}
	}
	found, err := d.Search(t.Context(), deskOrigin, admin, operate.Filter{Event: "admin.audit"})
	check(t, err)
	if len(found.List) != 6 {
		t.Errorf("%d searches were recorded, want 6", len(found.List))
	}
}
