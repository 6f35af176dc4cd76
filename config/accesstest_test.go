package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAccessTestsAreReadStrictly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, fault string }{
		"an unknown key":            {"tests: [{name: a, identity: {provider: p, username: u}, allow: [x/Y], expect: [z]}]", `unknown key "expect"`},
		"no tests":                  {"{}", "tests is missing"},
		"no name":                   {"tests: [{identity: {provider: p, username: u}, allow: [x/Y]}]", "tests[].name is missing"},
		"no provider":               {"tests: [{name: a, identity: {username: u}, allow: [x/Y]}]", "identity.provider is missing"},
		"nobody":                    {"tests: [{name: a, identity: {provider: p}, allow: [x/Y]}]", "needs a username or a subject"},
		"nothing expected":          {"tests: [{name: a, identity: {provider: p, username: u}}]", "expects nothing"},
		"one role for a list":       {"tests: [{name: a, identity: {provider: p, username: u}, allow: x/Y}]", "want a list"},
		"an attribute without list": {"tests: [{name: a, identity: {provider: p, username: u, attributes: {team: core}}, allow: [x/Y]}]", "want a list"},
		"an unknown way":            {"tests: [{name: a, identity: {provider: p, username: u}, request: {via: mail}, allow: [x/Y]}]", `unknown word "mail"`},
		"a quoted guest":            {"tests: [{name: a, identity: {provider: p, username: u}, request: {guest: \"true\"}, allow: [x/Y]}]", "without quotes"},
		"no YAML":                   {"tests: [", "tests.yaml:1"},
		"an anchor":                 {"tests: &a [{name: a, identity: {provider: p, username: u}, allow: [x/Y]}]", "anchor"},
		"nothing":                   {"", "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseTests("tests.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.fault) || !strings.HasPrefix(err.Error(), "tests.yaml:1") {
				t.Errorf("%v, want %s", err, c.fault)
			}
		})
	}
}

func TestAnAccessTestHasWhatTheFileSays(t *testing.T) {
	t.Parallel()
	tests, err := ParseTests("tests.yaml", []byte(`
tests:
  - name: a
    identity: {provider: corp, username: alice, groups: [platform, 1001], attributes: {team: [a, b]}, methods: [mfa]}
    request: {ip: 10.0.0.7, time: 2026-11-23T09:00:00Z, device: d, app: x, guest: true}
    deny: [production/Billing]
`))
	if err != nil || len(tests) != 1 {
		t.Fatal(err)
	}
	got := tests[0]
	want := TestIdentity{
		Provider: Text{"corp", got.Identity.Provider.Pos}, Username: "alice", Groups: []string{"platform", "1001"},
		Attributes: map[string][]string{"team": {"a", "b"}}, Methods: []string{"mfa"},
	}
	if diff := cmp.Diff(want, got.Identity); diff != "" {
		t.Error(diff)
	}
	if r := got.Request; r.IP.Value != "10.0.0.7" || r.Time.Value != "2026-11-23T09:00:00Z" || r.Device != "d" || r.App != "x" || !r.Guest || r.Via.Value != "browser" {
		t.Errorf("%+v", r)
	}
	if got.Pos.Line != 3 || got.Deny[0].Pos.Line != 6 || len(got.Allow) != 0 {
		t.Errorf("%+v", got)
	}
}
