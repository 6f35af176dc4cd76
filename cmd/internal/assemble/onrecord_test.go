package assemble

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/config"
)

const recordYAML = `
server: {url: "http://127.0.0.1:8400", listen: "127.0.0.1:0"}
store: %q
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}}
accounts: [{id: "111122223333", name: production}]
grants:
  - {name: fixed, groups: [platform], role: production/Fixed}
  - {name: dynamic, groups_matching: "AWS-(?P<name>[A-Za-z]+)", role: "production/{{ name }}"}
  - {name: token, groups: [platform], role: production/Token, mode: federation-token, policy_arns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
`

// The grants cannot say which roles of a template somebody has, nor who is behind a
// source identity of a grant's own making. The record can.
func TestWhatWasReallyHandedOutIsDenied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loaded, err := config.Parse("rolecall.yaml", fmt.Appendf(nil, recordYAML, "sqlite:"+filepath.Join(dir, "rolecall.db")), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	options := Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
	at := now.Add(-13 * time.Hour)
	record, err := audit.Open(audit.Config{File: auditFile(loaded), Now: func() time.Time { return at }, Log: options.Log})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	given := func(event, subject, grant, role, source string, outcomes ...audit.Outcome) {
		n++
		for _, outcome := range outcomes {
			e := audit.Event{
				RequestID: fmt.Sprint(n), Event: event, Outcome: outcome, Provider: "corp", Subject: subject, Grant: grant,
				Role: "arn:aws:iam::111122223333:role/" + role, SourceIdentity: source, Session: "s-" + subject,
			}
			if err := record.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	given("credentials", "alice", "dynamic", "LongAgo", "corp=alice", "", audit.Granted)
	at = now.Add(-time.Hour)
	given("credentials", "alice", "dynamic", "Builder", "corp=alice", "", audit.Granted)
	given("console", "alice", "dynamic", "Console", "alice-of-hr", "", audit.Granted)
	given("credentials", "alice", "dynamic", "Unknown", "corp=alice", "")
	given("credentials", "alice", "dynamic", "Refused", "corp=alice", "", audit.Refused)
	given("credentials", "alice", "token", "Token", "", "", audit.Granted)
	given("credentials", "alice", "dynamic", "Bare", "", "", audit.Granted)
	given("credentials", "bob", "dynamic", "Bobs", "corp=bob", "", audit.Granted)
	if err := record.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		order   operate.Order
		roles   []string
		sources []string
		notes   string
	}{
		"a person": {operate.Order{Kind: revocation.User, Target: "corp=alice"}, []string{"Fixed", "Builder", "Console", "Bare", "Unknown"}, []string{"corp=alice", "alice-of-hr"}, "role/Bare was given without a source identity"},
		// It is gone from the store already; the record knows whose it was.
		"a session": {operate.Order{Kind: revocation.Session, Target: "s-bob"}, []string{"Fixed", "Bobs"}, []string{"corp=bob"}, "known only with the person"},
		"a grant":   {operate.Order{Kind: revocation.Grant, Target: "dynamic"}, []string{"Builder", "Console", "Bare", "Bobs", "Unknown"}, nil, "known only with the person"},
	} {
		done, err := Revoke(t.Context(), options, RevokeOptions{Order: c.order, Operator: "root"})
		if err != nil {
			t.Fatal(err)
		}
		var roles []string
		for _, r := range done.Deny.Roles {
			roles = append(roles, r.Name)
		}
		if diff := cmp.Diff(c.roles, roles); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(c.sources, done.Deny.SourceIdentities); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if !strings.Contains(strings.Join(done.Notes, "\n"), c.notes) {
			t.Errorf("%s: %q", name, done.Notes)
		}
	}
}
