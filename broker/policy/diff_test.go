package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

func kinds(changes []Change) []string {
	out := []string{}
	for _, c := range changes {
		out = append(out, c.Kind()+" "+c.Role.Name+" "+strings.Join(c.Fields, ","))
	}
	return out
}

func TestDiffSaysWhoGainsAndLosesWhat(t *testing.T) {
	t.Parallel()
	before := compiled(t, setup(named("a", "platform", "production/Admin"), named("b", "platform", "production/Reader"), named("c", "dev", "production/Dev")))
	refusal := config.Grant{Name: text("no"), Deny: true, Everyone: true, Role: text("production/Reader")}
	for name, c := range map[string]struct {
		after []config.Grant
		want  []string
	}{
		"nothing": {[]config.Grant{named("a", "platform", "production/Admin"), named("b", "platform", "production/Reader")}, []string{}},
		"another name for the same grant is no change": {
			[]config.Grant{named("z", "platform", "production/Admin"), named("b", "platform", "production/Reader")}, []string{},
		},
		"a role by another group": {[]config.Grant{named("b", "platform", "production/Reader")}, []string{"lost Admin "}},
		"a refusal takes it away": {[]config.Grant{named("a", "platform", "production/Admin"), named("b", "platform", "production/Reader"), refusal}, []string{"lost Reader "}},
		"a role in another account": {
			[]config.Grant{named("a", "platform", "production/Admin"), named("b", "platform", "production/Reader"), named("d", "platform", "development/Admin")},
			[]string{"gained Admin "},
		},
		"a longer life and a policy": {
			[]config.Grant{named("a", "platform", "production/Admin", func(g *config.Grant) {
				g.MaxDuration = 2 * time.Hour
				g.Policy = text(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
			}), named("b", "platform", "production/Reader")},
			[]string{"changed Admin max_duration,policy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Diff(before, compiled(t, setup(c.after...)), []idp.Identity{alice("platform"), alice()}, ask())
			if diff := cmp.Diff(c.want, kinds(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALossSaysWhyInTextAndJSON(t *testing.T) {
	t.Parallel()
	before := compiled(t, setup(named("a", "platform", "production/Admin")))
	after := compiled(t, setup(named("a", "platform", "production/Admin", func(g *config.Grant) { g.Require.MFA = true })))
	got := Diff(before, after, []idp.Identity{alice("platform")}, ask())
	if len(got) != 1 || got[0].Reason != "a: needs a second factor" {
		t.Fatalf("%+v", got)
	}
	data, err := json.Marshal(got[0])
	if err != nil {
		t.Fatal(err)
	}
	var wire map[string]any
	if err := json.Unmarshal(data, &wire); err != nil {
		t.Fatal(err)
	}
	if wire["change"] != "lost" || wire["new"] != nil || wire["role_arn"] != "arn:aws:iam::111122223333:role/Admin" ||
		wire["username"] != "alice" || wire["old"] == nil {
		t.Errorf("%s", data)
	}
}

func TestPoliciesThatDifferInBlanksAndOrderAreTheSame(t *testing.T) {
	t.Parallel()
	a := Granted{Policy: `{"Version":"2012-10-17","Statement":[]}`}
	b := Granted{Policy: `{"Statement": [ ], "Version":"2012-10-17"}`}
	if fields := differing(a, b); len(fields) > 0 {
		t.Errorf("%v", fields)
	}
}

// What a test of access says is what an order would be answered: RunTests asks
// for one role at a time, with the same circumstances.
func TestAccessTestsDecideLikeOrders(t *testing.T) {
	t.Parallel()
	office := named("a", "platform", "production/Admin", func(g *config.Grant) {
		g.When = text(`cidr("10.0.0.0/8").containsIP(request.ip) && request.role.endsWith("Admin") && time.getHours() == 9`)
	})
	p := compiled(t, setup(office, named("d", "platform", "production/Dev", func(g *config.Grant) { no := false; g.DeviceFlow = &no })))
	who := config.TestIdentity{Provider: text("corp"), Username: "alice", Groups: []string{"platform"}}
	at := config.TestRequest{IP: text("10.1.2.3"), Time: text("2026-11-23T09:30:00Z"), Via: text("device")}
	results, err := p.RunTests([]config.AccessTest{
		{Name: text("holds"), Identity: who, Request: at, Allow: texts("production/Admin"), Deny: texts("production/Dev", "development/Admin")},
		{Name: text("late"), Identity: who, Request: config.TestRequest{IP: text("10.1.2.3"), Via: text("browser")}, Allow: texts("production/Admin", "production/Dev")},
	}, now.Add(3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || len(results[0].Failures) != 0 || len(results[1].Failures) != 1 ||
		!strings.Contains(results[1].Failures.Error(), "production/Admin is not granted: a: its condition does not hold") {
		t.Errorf("%+v", results)
	}
}
