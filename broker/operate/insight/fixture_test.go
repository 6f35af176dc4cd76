package insight_test

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

var (
	nine   = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	origin = broker.Origin{RequestID: "REQUEST", Address: netip.MustParseAddr("192.0.2.1")}
	admin  = broker.Caller{Via: broker.ViaBrowser, Session: "s-admin", Identity: idp.Identity{Provider: "corp", Subject: "o-1", Username: "ops"}}
)

const file = `server: {url: "https://sso.example.com"}
providers:
  - {name: corp, type: oidc, issuer: "https://idp.example.com", client_id: rolecall, client_secret: canary-secret, label: Corp}
accounts:
  - {id: "111122223333", name: production, hub_role: "arn:aws:iam::999988887777:role/hub", external_id: canary-external}
  - {id: "444455556666", name: development, tags: {env: dev}}
  - {id: "777788889999", name: sandbox, tags: {env: dev}}
grants:
  - {name: deny-leavers, groups: [leavers], deny: true, role: "*"}
  - name: platform-admin
    groups: [platform]
    when: cidr("10.0.0.0/8").containsIP(request.ip)
    require: {mfa: true}
    role: production/Admin
    duration: 1h
    max_duration: 1h
    tags: {team: platform}
    transitive_tags: [team]
  - {name: developers, groups: [developers, platform], accounts: {tags: {env: dev}}, role: Developer, mode: web-identity, duration: 4h, max_duration: 8h, console: false}
  - {name: by-convention, groups_matching: 'AWS-(?P<account>\d{12})-(?P<role>\w+)', role: "arn:aws:iam::{{account}}:role/{{role}}"}
  - {name: root, users: [root], role: production/Admin}
`

// world is an Insight over a real store, record and policy.
type world struct {
	*insight.Insight
	sessions *session.Sessions
	log      *audit.Log
	running  insight.Running
	states   []keys.State
	now      time.Time
}

type deafRecord struct{ *audit.Log }

func (deafRecord) Append(context.Context, audit.Event) error { return audit.ErrFailed }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T, deaf bool) *world {
	t.Helper()
	w := &world{now: nine}
	now := func() time.Time { return w.now }
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	w.sessions = session.NewSessions(session.Config{Store: store, Now: now})
	w.log, err = audit.Open(audit.Config{File: filepath.Join(t.TempDir(), "audit.jsonl"), Now: now, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() { _ = w.log.Close() })
	c, err := config.Parse("rolecall.yaml", []byte(file), nil)
	check(t, err)
	compiled, err := policy.Compile(policy.Config{Grants: c.Grants, Accounts: c.Accounts, Providers: c.Providers, Mode: c.AWS.Mode.Value})
	check(t, err)
	w.running = insight.Running{Config: c, Policy: compiled, Loaded: nine}
	var record insight.Record = w.log
	if deaf {
		record = deafRecord{w.log}
	}
	w.Insight = insight.New(insight.Config{
		Admits:  func(_ context.Context, c broker.Caller) bool { return c.Identity.Username == "ops" },
		Running: func() insight.Running { return w.running }, Sessions: w.sessions, Record: record,
		Keys: func(context.Context) ([]keys.State, error) { return w.states, nil }, Now: now,
	})
	return w
}

func (w *world) signIn(t *testing.T, who idp.Identity) {
	t.Helper()
	_, _, err := w.sessions.Create(t.Context(), session.New{Login: idp.Login{Identity: who}, Via: "browser", Address: "198.51.100.24", Agent: "Firefox on Linux"})
	check(t, err)
}

// records are the events of a name.
func (w *world) records(t *testing.T, name string) []audit.Record {
	t.Helper()
	found, err := w.log.Search(t.Context(), audit.Query{Limit: 100, Bytes: 1 << 20, Match: func(r audit.Record) bool { return r.Event.Event == name }})
	check(t, err)
	return found.Records
}
