package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A word without a row would do nothing, and a row without a word could not be asked for.
func TestEveryPresetHasItsRow(t *testing.T) {
	t.Parallel()
	fields := fieldsOf(reflect.TypeFor[Provider]())
	words := slices.Sorted(slices.Values(fields[indexOf(fields, "preset")].enum))
	var rows []string
	for _, p := range presets() {
		rows = append(rows, p.name)
	}
	slices.Sort(rows)
	if diff := cmp.Diff(words, rows); diff != "" {
		t.Error(diff)
	}
}

func parsed(t *testing.T, provider string) Provider {
	t.Helper()
	c, err := Parse("rolecall.yaml", []byte("server: {url: https://sso.example.com/}\nproviders: ["+provider+"]\n"), func(string) (string, bool) { return "s", true })
	if c == nil || len(c.Providers) != 1 {
		t.Fatalf("no provider: %v", err)
	}
	return c.Providers[0]
}

func TestAPresetSetsWhatTheFileLeavesOut(t *testing.T) {
	t.Parallel()
	p := parsed(t, `{name: g, type: oidc, preset: google, client_id: x}`)
	if p.Issuer.Value != "https://accounts.google.com" || p.Username.Claim.Value != "email" || len(p.Algorithms) != 1 || p.Algorithms[0].Value != "RS256" {
		t.Errorf("%+v", p)
	}
	if p.Issuer.Pos.Line != 2 {
		t.Errorf("a fault about the issuer would point at line %d, not at the preset's", p.Issuer.Pos.Line)
	}
	// Without a preset the defaults are the usual ones.
	if p := parsed(t, `{name: g, type: oidc, issuer: "https://op.example.com", client_id: x}`); len(p.Algorithms) != 2 || p.Username.Claim.Value != "" {
		t.Errorf("%+v", p)
	}
}

func TestAKeyOfTheFileWinsOverThePreset(t *testing.T) {
	t.Parallel()
	p := parsed(t, `{name: k, type: oidc, preset: okta, issuer: "https://e.okta.com", client_id: x, algorithms: [ES256, PS256], groups: {claim: teams}, username: {claim: sub}, scopes: []}`)
	if p.Groups.Claim.Value != "teams" || p.Username.Claim.Value != "sub" || len(p.Scopes) != 0 || len(p.Algorithms) != 2 || p.Algorithms[1].Value != "PS256" {
		t.Errorf("%+v", p)
	}
}

// Each row fits the keys that it sets: a mistake in the table would panic.
func TestEveryRowCanBeFilledIn(t *testing.T) {
	t.Parallel()
	for _, row := range presets() {
		p := Provider{Type: Text{Value: row.kind}, Preset: Text{Value: row.name}}
		c := &checker{Config: &Config{}, at: map[string]Pos{}}
		c.fill(&p, "providers[0]")
		if len(c.faults) > 0 {
			t.Errorf("%s: %v", row.name, c.faults)
		}
		for _, s := range row.sets {
			if !c.set("providers[0]." + s.key) {
				t.Errorf("%s: %s is not set", row.name, s.key)
			}
		}
	}
}

// Machines bring tokens for the broker itself where the file names no audience.
func TestTheAudienceOfMachinesIsTheBroker(t *testing.T) {
	t.Parallel()
	p := parsed(t, `{name: ci, type: oidc, preset: gitlab-ci, require: 'claims.project_id == "1"'}`)
	if p.ClientID.Value != "https://sso.example.com" || !p.Machine() {
		t.Errorf("client_id %q, machine %v", p.ClientID.Value, p.Machine())
	}
	if p := parsed(t, `{name: ci, type: oidc, preset: gitlab-ci, client_id: mine}`); p.ClientID.Value != "mine" {
		t.Errorf("client_id %q", p.ClientID.Value)
	}
	if p := parsed(t, `{name: g, type: oidc, preset: google}`); p.ClientID.Value != "" || p.Machine() {
		t.Errorf("people sign in there: client_id %q", p.ClientID.Value)
	}
}

// What check prints: what the file leaves to a preset, and not what it says itself.
func TestWhatAPresetFillsInIsSaid(t *testing.T) {
	t.Parallel()
	const file = `server: {url: https://sso.example.com}
providers:
  - {name: google, type: oidc, preset: google, client_id: x, hosted_domains: [example.com]}
  - {name: entra, type: oidc, preset: microsoft, client_id: x, tenant: 72f988bf-86f1-41af-91ab-2d7cd011db47, username: {claim: sub}}
  - {name: ci, type: oidc, preset: github-actions, algorithms: [RS256, ES256], require: claims.repository_id == "1"}
  - {name: plain, type: oidc, issuer: "https://op.example.com", client_id: x}
`
	c, err := Parse("rolecall.yaml", []byte(file), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"google: preset google sets issuer: https://accounts.google.com, algorithms: RS256, username.claim: email",
		"entra: preset microsoft sets algorithms: RS256, groups.claim: groups, issuer: https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
		"ci: preset github-actions sets issuer: https://token.actions.githubusercontent.com, client_id: https://sso.example.com",
	}
	if diff := cmp.Diff(want, c.Filled()); diff != "" {
		t.Error(diff)
	}
}

// The configuration as it runs shows what a preset fills in as no words of the file,
// and no keys of other presets.
func TestTheRunningConfigurationShowsWhatAPresetSets(t *testing.T) {
	t.Parallel()
	const file = "server: {url: https://sso.example.com}\nproviders:\n  - {name: google, type: oidc, preset: google, client_id: x, hosted_domains: [example.com]}\n"
	c, err := Parse("rolecall.yaml", []byte(file), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	text := printed(c.Running())
	for _, want := range []string{"issuer: https://accounts.google.com  # default", "hosted_domains: [example.com]\n", "preset: google\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for _, foreign := range []string{"cloud:", "group_overage:", "trust_domain:"} {
		if strings.Contains(text, foreign) {
			t.Errorf("%q, which is a key of another preset, is in\n%s", foreign, text)
		}
	}
}
