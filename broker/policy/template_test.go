package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const sessionPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/{{ identity.attributes.v }}/*"}]}`

func TestValuesAreCheckedWhereTheyStand(t *testing.T) {
	t.Parallel()
	role := func(g *config.Grant) { g.Role = text("production/app-{{ identity.attributes.v }}") }
	tag := func(g *config.Grant) { g.Tags = map[string]config.Text{"k": text("{{ identity.attributes.v }}")} }
	inline := func(g *config.Grant) { g.Policy = text(sessionPolicy) }
	managed := func(g *config.Grant) {
		g.PolicyARNs = texts("arn:aws:iam::111122223333:policy/{{ identity.attributes.v }}")
	}
	for _, c := range []struct {
		name   string
		change func(*config.Grant)
		values []string
		want   string // the reason holds this; "" is granted
	}{
		{"a role's name", role, []string{"x+y=z@w"}, ""},
		{"a slash would make a path", role, []string{"x/Admin"}, "does not fit into an ARN"},
		{"a colon would make a segment", role, []string{"x:y"}, "does not fit into an ARN"},
		{"a star would make a pattern", role, []string{"*"}, "does not fit into an ARN"},
		{"a line feed at the end", role, []string{"x\n"}, "does not fit into an ARN"},
		{"a letter of another script", role, []string{"аdmin"}, "does not fit into an ARN"},
		{"a role's name that grows too long", role, []string{strings.Repeat("x", 61)}, "not the ARN"},
		{"a missing value", role, nil, "identity.attributes.v is missing"},
		{"an empty value", role, []string{""}, "identity.attributes.v is missing"},
		{"two values", role, []string{"a", "b"}, "2 values"},
		{"a tag with its wide alphabet", tag, []string{"Größe 1/2 a:b"}, ""},
		{"a tag with a bracket", tag, []string{"<b>"}, "other than letters"},
		{"a tag that is too long", tag, []string{strings.Repeat("x", 257)}, "at most 256"},
		{"a policy's value", inline, []string{"alice"}, ""},
		{"a star in a policy", inline, []string{"a*"}, "pattern inside a policy"},
		{"a question mark in a policy", inline, []string{"a?"}, "pattern inside a policy"},
		{"a variable in a policy", inline, []string{"${aws:username}"}, "pattern inside a policy"},
		{"a policy that grows too long", inline, []string{strings.Repeat("x", 2048)}, "at most 2048"},
		{"a managed policy", managed, []string{"Base"}, ""},
		{"a managed policy of somebody else", managed, []string{"x/../y"}, "does not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id := alice("dev")
			if c.values != nil {
				id.Attributes["v"] = c.values
			}
			d := decide(t, compiled(t, setup(named("g", "dev", "production/R", c.change))), id, ask())
			if c.want == "" {
				if len(d.Granted) != 1 {
					t.Errorf("withheld: %+v", d.Denied)
				}
				return
			}
			if len(d.Granted) != 0 || len(d.Denied) != 1 || !strings.Contains(d.Denied[0].Reason, c.want) {
				t.Errorf("granted %v, denied %+v, want a reason with %q", roles(d), d.Denied, c.want)
			}
		})
	}
}

func TestAValueCannotLeaveItsJSONString(t *testing.T) {
	t.Parallel()
	id := alice("dev")
	id.Attributes["v"] = []string{"x\"],\"Action\":\"iam:\\u002a\n<&>\u2028"}
	p := compiled(t, setup(named("g", "dev", "production/R", func(g *config.Grant) { g.Policy = text(sessionPolicy) })))
	got := decide(t, p, id, ask()).Granted[0].Policy
	if err := iam.CheckSessionPolicy(got); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if want := `home/x\"],\"Action\":\"iam:\\u002a\n<&>`; !strings.Contains(got, want) {
		t.Errorf("%s does not hold %s", got, want)
	}
}

func TestPoliciesThatCannotBeSentAreFaults(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Grant){
		"not JSON":                    func(g *config.Grant) { g.Policy = text("yes") },
		"a template outside a string": func(g *config.Grant) { g.Policy = text(`{"Statement":{{ app }}}`) },
		"a template as a key":         func(g *config.Grant) { g.Policy = text(strings.Replace(sessionPolicy, "Action", "{{ app }}", 1)) },
		"no statement":                func(g *config.Grant) { g.Policy = text(`{"Version":"2012-10-17"}`) },
		"too long": func(g *config.Grant) {
			g.Policy = text(strings.Replace(sessionPolicy, "s3:*", strings.Repeat("s", 2048), 1))
		},
		"a policy and a file":      func(g *config.Grant) { g.Policy = text(sessionPolicy); g.PolicyFile = text("p") },
		"a file that is not there": func(g *config.Grant) { g.PolicyFile = text("gone") },
		"a file that is empty":     func(g *config.Grant) { g.PolicyFile = text("empty") },
		"eleven managed policies": func(g *config.Grant) {
			g.PolicyARNs = texts(strings.Split(strings.Repeat(",arn:aws:iam::aws:policy/X", 11)[1:], ",")...)
		},
		"a transitive tag that is not":  func(g *config.Grant) { g.TransitiveTags = texts("k") },
		"a tag with AWS's prefix":       func(g *config.Grant) { g.Tags = map[string]config.Text{"aws:k": text("v")} },
		"two tags that are one to AWS":  func(g *config.Grant) { g.Tags = map[string]config.Text{"Team": text("v"), "team": text("v")} },
		"a template that is not closed": func(g *config.Grant) { g.SessionName = text("{{ app") },
		"another mode":                  func(g *config.Grant) { g.Mode = text("magic") },
		"a role that can never be one":  func(g *config.Grant) { g.Role = text("arn:aws:s3:::{{ app }}") },
		"a role without an account":     func(g *config.Grant) { g.Role = text("{{ app }}") },
		"an account nobody has listed":  func(g *config.Grant) { g.Role = text("999999999999/R") },
		"an ARN beside accounts":        func(g *config.Grant) { g.Role = text("arn:aws:iam::111122223333:role/R"); g.Accounts.Path = "/" },
		"a capture named like a path":   func(g *config.Grant) { g.GroupsMatching = text("(?P<app>x)") },
	} {
		c := setup(named("g", "dev", "production/R", change))
		c.ReadFile = func(path string) ([]byte, error) {
			if path == "empty" {
				return []byte(" \n"), nil
			}
			return nil, fmt.Errorf("%s: no such file", path)
		}
		if _, err := Compile(c); err == nil {
			t.Errorf("%s compiles", name)
		}
	}
}

func TestTwoPeopleNeverShareAName(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(
		named("default", "dev", "production/A"),
		named("constant", "dev", "production/B", func(g *config.Grant) { g.SessionName, g.SourceIdentity = text("ops"), text("ops") }),
		named("attribute", "dev", "production/C", func(g *config.Grant) {
			g.SessionName, g.SourceIdentity = text("{{ identity.attributes.mail }}"), text("{{ identity.attributes.mail }}")
		}),
		named("username", "dev", "production/D", func(g *config.Grant) {
			g.SessionName, g.SourceIdentity = text("x-{{ identity.username }}"), text("{{ identity.username }}")
		}),
		named("subject", "dev", "production/E", func(g *config.Grant) { g.SessionName = text("{{ identity.subject }}") }),
	))
	person := func(subject string) idp.Identity {
		id := alice("dev")
		id.Subject, id.Attributes["mail"] = subject, []string{"a@example.com"}
		return id
	}
	taken := ask()
	taken.NameTaken = true
	first, second := decide(t, p, person("u-1"), ask()), decide(t, p, person("u-2"), taken)
	if diff := cmp.Diff([]string{"alice", "x-alice", "u-1"}, []string{
		first.Granted[0].SessionName, first.Granted[3].SessionName, first.Granted[4].SessionName}); diff != "" {
		t.Errorf("who came first has a readable name: %s", diff)
	}
	for i := range first.Granted {
		a, b := first.Granted[i], second.Granted[i]
		if a.SessionName == b.SessionName || a.SourceIdentity == b.SourceIdentity {
			t.Errorf("%s: both are %s, %s and %s, %s", a.Grant, a.SessionName, a.SourceIdentity, b.SessionName, b.SourceIdentity)
		}
		for _, name := range []string{a.SessionName, b.SessionName, a.SourceIdentity, b.SourceIdentity} {
			if !iam.ValidName(name) {
				t.Errorf("%s: %q is no name for STS", a.Grant, name)
			}
		}
	}
	if got := first.Granted[2].SessionName; !strings.HasPrefix(got, "a@example.com-") {
		t.Errorf("the shared value is not readable in %q", got)
	}
}

func TestTheAccountDecidesTheWay(t *testing.T) {
	t.Parallel()
	off := false
	c := setup(named("g", "dev", "production/R", func(g *config.Grant) {
		g.Duration, g.MaxDuration, g.Console = 2*time.Hour, 8*time.Hour, &off
	}), named("h", "dev", "development/R", func(g *config.Grant) { g.MaxDuration = 8 * time.Hour }))
	c.Accounts[0].HubRole, c.Accounts[0].ExternalID = text("arn:aws:iam::777788889999:role/Hub"), secret.New("ext")
	d := decide(t, compiled(t, c), alice("dev"), ask())
	through, direct := d.Granted[0], d.Granted[1]
	if through.HubRole.Name != "Hub" || through.ExternalID.Reveal() != "ext" || through.Duration != time.Hour || through.MaxDuration != time.Hour || through.Console {
		t.Errorf("through a hub: %+v", through)
	}
	if direct.HubRole != (iam.RoleARN{}) || direct.Duration != time.Hour || direct.MaxDuration != 8*time.Hour || !direct.Console || direct.Mode != "assume-role" {
		t.Errorf("direct: %+v", direct)
	}
}

func TestACapturedAccountMustBeListed(t *testing.T) {
	t.Parallel()
	for role, want := range map[string][]string{
		"arn:aws:iam::{{ account }}:role/R":      {"g=111122223333/R"},
		"{{ account }}/R":                        {"g=111122223333/R"},
		"arn:aws:iam::444455556666:role/{{ r }}": {"g=444455556666/x"}, // only where the captured account is one
	} {
		p := compiled(t, setup(one(func(g *config.Grant) {
			g.Role, g.GroupsMatching = text(role), text(`A-(?P<account>\d{12})-(?P<r>\w+)`)
		})))
		d := decide(t, p, alice("A-111122223333-x", "A-999999999999-y", "A-000000000000-z"), ask())
		if diff := cmp.Diff(want, roles(d)); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
		if len(d.Denied) != 2 {
			t.Errorf("%s: denied %v", role, d.Denied)
		}
	}
}

func FuzzAValueNeverWidensARoleOrAPolicy(f *testing.F) {
	for _, seed := range []string{"alice", "a/b", "x\"]}", "*", "${x}", "\\", "ü", "", "a:b", "\x00", "{{ app }}"} {
		f.Add(seed)
	}
	p := compiled(f, setup(named("g", "dev", "production/app-{{ identity.attributes.v }}", func(g *config.Grant) {
		g.Policy = text(sessionPolicy)
		g.Tags = map[string]config.Text{"k": text("{{ identity.username }}")}
	})))
	f.Fuzz(func(t *testing.T, value string) {
		id := alice("dev")
		id.Attributes["v"], id.Username = []string{value}, value
		for _, g := range p.Decide(id, ask()).Granted {
			if g.Role.Account != "111122223333" || g.Role.Path != "/" || g.Role.Name != "app-"+value {
				t.Errorf("%q became the role %s", value, g.Role)
			}
			if narrowed, err := iam.Narrow(strings.ReplaceAll(sessionPolicy, "{{ identity.attributes.v }}", value), g.Policy); err != nil {
				t.Errorf("%q made a wider policy: %s, %v", value, narrowed, err)
			}
		}
	})
}
