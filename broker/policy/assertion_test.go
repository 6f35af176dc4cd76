package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
)

const (
	prefix   = "https://aws.amazon.com/SAML/Attributes/"
	adminARN = "arn:aws:iam::111122223333:role/Admin"
	corpARN  = "arn:aws:iam::111122223333:saml-provider/rolecall"
)

func own(g *config.Grant) { g.Mode, g.Assertion = text("saml"), text("user") }

// What AWS will make of the assertion is what explain says, and what it would
// refuse is withheld with its reason.
func TestAnOwnAssertionIsFilledByTheProvider(t *testing.T) {
	t.Parallel()
	p := compiled(t, withHub(named("g", "platform", "production/Admin", own)))
	for name, c := range map[string]struct {
		attributes map[string][]string
		want       Granted
		reason     string
	}{
		"role then provider": {map[string][]string{"Role": {"x,y", adminARN + "," + corpARN}, "RoleSessionName": {"alice@corp"}}, Granted{SessionName: "alice@corp"}, ""},
		"provider then role, and more": {
			map[string][]string{
				"Role": {" " + corpARN + " , " + adminARN + " "}, "RoleSessionName": {"alice"}, "SourceIdentity": {"e-1042"},
				"PrincipalTag:team": {"core"}, "PrincipalTag:cost": {"42"}, "TransitiveTagKeys": {"team"},
			},
			Granted{SessionName: "alice", SourceIdentity: "e-1042", Tags: []iam.Tag{{Key: "cost", Value: "42"}, {Key: "team", Value: "core"}}, TransitiveTags: []string{"team"}}, "",
		},
		"no role":                      {map[string][]string{"RoleSessionName": {"alice"}}, Granted{}, "does not name"},
		"another role":                 {map[string][]string{"Role": {adminARN + "2," + corpARN}, "RoleSessionName": {"alice"}}, Granted{}, "does not name"},
		"another provider":             {map[string][]string{"Role": {adminARN + "," + corpARN + "2"}, "RoleSessionName": {"alice"}}, Granted{}, "does not name"},
		"the role alone":               {map[string][]string{"Role": {adminARN}, "RoleSessionName": {"alice"}}, Granted{}, "does not name"},
		"no session name":              {map[string][]string{"Role": {adminARN + "," + corpARN}}, Granted{}, "RoleSessionName"},
		"two session names":            {map[string][]string{"Role": {adminARN + "," + corpARN}, "RoleSessionName": {"alice", "bob"}}, Granted{}, "RoleSessionName"},
		"a session name with a space":  {map[string][]string{"Role": {adminARN + "," + corpARN}, "RoleSessionName": {"alice m"}}, Granted{}, "RoleSessionName"},
		"a source identity with space": {map[string][]string{"Role": {adminARN + "," + corpARN}, "RoleSessionName": {"alice"}, "SourceIdentity": {"e 1"}}, Granted{}, "SourceIdentity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := alice("platform")
			id.Attributes = map[string][]string{}
			for key, values := range c.attributes {
				id.Attributes[prefix+key] = values
			}
			d := p.Decide(id, ask())
			if c.reason != "" {
				if len(d.Granted) != 0 || len(d.Denied) != 1 || !strings.Contains(d.Denied[0].Reason, c.reason) {
					t.Errorf("%+v", d)
				}
				return
			}
			if len(d.Granted) != 1 || !d.Granted[0].OwnAssertion || d.Granted[0].SAMLProvider != corpARN {
				t.Fatalf("%+v", d)
			}
			g := d.Granted[0]
			if diff := cmp.Diff(c.want, Granted{SessionName: g.SessionName, SourceIdentity: g.SourceIdentity, Tags: g.Tags, TransitiveTags: g.TransitiveTags}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnOwnAssertionCannotBeChanged(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*config.Grant){
		"tags":            func(g *config.Grant) { g.Tags = map[string]config.Text{"team": text("core")} },
		"session_name":    func(g *config.Grant) { g.SessionName = text("{{ identity.username }}") },
		"source_identity": func(g *config.Grant) { g.SourceIdentity = text("{{ identity.username }}") },
	} {
		if _, err := Compile(withHub(named("g", "platform", "production/Admin", own, edit))); err == nil || !strings.Contains(err.Error(), "own assertion") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
