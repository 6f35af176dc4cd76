package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

func TestConditionsReadTheirVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when string
		want bool
	}{
		{`identity.id == "u-1" && identity.subject == "u-1" && identity.provider == "corp" && identity.username == "alice"`, true},
		{`"dev" in identity.groups && !("ops" in identity.groups)`, true},
		{`identity.groups.exists(g, g.startsWith("de")) && size(identity.groups) == 2`, true},
		{`identity.groups[1] == "qa" && identity.groups.filter(g, g != "qa") == ["dev"]`, true},
		{`"core" in identity.attributes.team && identity.attributes["cost"][1] == "b"`, true},
		{`has(identity.attributes.team) && !has(identity.attributes.nope)`, true},
		{`identity.methods == ["pwd"] && !identity.mfa`, true},
		{`time - identity.authenticated_at < duration("2m")`, true},
		{`time.getHours("Europe/Berlin") == 10 && time.getDayOfWeek() == 1`, true},
		{`cidr("10.0.0.0/8").containsIP(request.ip) && request.via == "browser" && !request.guest`, true},
		{`cidr("10.0.0.0/8").containsIP(ip(request.ip)) && request.ip == "10.0.0.7"`, true},
		{`cidr("192.168.0.0/16").containsIP(request.ip)`, false},
		{`request.role == "arn:aws:iam::111122223333:role/R"`, true},
		{`request.role.endsWith("/S")`, false},
		{`request.app == "wallet" && device == "d-1"`, true},
		// A missing value holds nothing, unless the rest decides without it.
		{`identity.attributes.nope[0] == "x"`, false},
		{`!("x" in identity.attributes.nope)`, false},
		{`identity.attributes.team[7] == "x"`, false},
		{`identity.attributes.nope[0] == "x" || true`, true},
		{`1 / 0 == 1`, false},
	} {
		p := compiled(t, setup(named("g", "dev", "production/R", func(g *config.Grant) { g.When = text(c.when) })))
		a := ask()
		a.App, a.Device = "wallet", "d-1"
		d := decide(t, p, alice("dev", "qa"), a)
		if got := len(d.Granted) == 1; got != c.want {
			t.Errorf("%s\n gives %v, want %v: %+v", c.when, got, c.want, d.Trace[0].Tests)
		}
	}
}

func TestAnUnsetVariableHoldsNoAllowAndEveryDeny(t *testing.T) {
	t.Parallel()
	for variable, when := range map[string]string{
		"request.ip": `request.ip != ""`, "request.app": `request.app != "x"`, "device": `device != "x"`,
		"identity.authenticated_at": `identity.authenticated_at < time`, "time": `time.getFullYear() > 0`,
	} {
		for _, deny := range []bool{false, true} {
			g := named("g", "dev", "production/R", func(g *config.Grant) { g.When, g.Deny = text(when), deny })
			d := decide(t, compiled(t, setup(g)), idp.Identity{Provider: "corp", Subject: "s", Username: "u", Groups: []string{"dev"}}, Ask{})
			tests := d.Trace[0].Tests
			last := tests[len(tests)-1]
			if d.Trace[0].Matched != deny || last.Held != deny || !strings.Contains(last.Detail, "not set: "+variable) {
				t.Errorf("deny %v, %s: matched %v, %+v", deny, when, d.Trace[0].Matched, last)
			}
		}
	}
}

func TestAnAddressInAnIPv6CoatIsTheAddress(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(named("g", "dev", "production/R", func(g *config.Grant) {
		g.When = text(`cidr("10.0.0.0/8").containsIP(request.ip)`)
	})))
	for address, want := range map[string]bool{"::ffff:10.1.2.3": true, "10.255.0.1": true, "11.0.0.1": false, "fe80::1%eth0": false} {
		a := ask()
		a.Address = netip.MustParseAddr(address)
		if got := len(decide(t, p, alice("dev"), a).Granted) == 1; got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestMistakesInConditionsAreFaults(t *testing.T) {
	t.Parallel()
	for _, when := range []string{
		`identity.group == "x"`, `identity.username`, `identity.username == 1`, `"x" in identity.username`, `request.host == "x"`,
		`identity.attributes.team == "core"`, `groups.exists(g, true)`, `identity.mfa &&`, `cidr("10.0.0.0/33").containsIP(request.ip)`,
		`"1.2.3.4".containsIP(request.ip)`, `"` + strings.Repeat("x", 9000) + `" == device`,
	} {
		if _, err := Compile(setup(named("g", "dev", "production/R", func(g *config.Grant) { g.When = text(when) }))); err == nil {
			t.Errorf("%.60s compiles", when)
		}
	}
}

func TestALoopOverGroupsInsideALoopIsAFault(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]bool{
		`identity.groups.exists(g, g.startsWith("x"))`:                                                             true,
		`identity.groups.exists(g, ["x-", "y-"].exists(p, g.startsWith(p)))`:                                       true,
		`["x-", "y-"].exists(p, g_unknown(p))`:                                                                     false,
		`identity.groups.filter(g, g != "a").exists(g, g == "b") && identity.groups.all(g, g != "")`:               true,
		`identity.groups.all(a, identity.groups.exists(b, a == b))`:                                                false,
		`["x"].all(a, identity.groups.exists(b, a == b))`:                                                          true,
		`identity.groups.all(a, ["x"].exists(b, identity.attributes.team.exists(c, c == a + b)))`:                  false,
		`identity.groups.filter(g, identity.attributes.team.exists(x, x == g)).exists(g, g == "b")`:                false,
		`identity.groups.map(g, g + "x").filter(g, g != "ax").map(g, g + "y").exists(g, g == "bxy" || g == "xxy")`: true,
	} {
		_, err := Compile(setup(named("g", "dev", "production/R", func(g *config.Grant) { g.When = text(when) })))
		if (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
}

func TestOneLoopOverVeryManyGroupsHolds(t *testing.T) {
	t.Parallel()
	id := alice("dev")
	for i := range 20_000 {
		id.Groups = append(id.Groups, fmt.Sprint("group-", i))
	}
	p := compiled(t, setup(named("g", "dev", "production/R", func(g *config.Grant) {
		g.When = text(`identity.groups.exists(a, a == "group-19999") && identity.groups.all(g, g in identity.groups)`)
	})))
	if d := p.Decide(id, ask()); len(d.Granted) != 1 {
		t.Errorf("%+v", d.Denied)
	}
}

func TestTheGroupSetIsAListToCEL(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "b"}
	for range 2 {
		s := &groupSet{names: names}
		for range scans * 2 { // first by scanning, then by map
			for name, want := range map[string]bool{"a": true, "b": true, "c": true, "": false, "d": false, "A": false} {
				if s.has(name) != want {
					t.Errorf("has(%q) is not %v after %d questions", name, want, s.asked)
				}
			}
		}
	}
	if (&groupSet{}).has("") {
		t.Error("nobody is in the empty group")
	}
}

func TestOneConditionIsJudgedForEachRole(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(named("g", "dev", "R", func(g *config.Grant) {
		g.Accounts.Path = "/"
		g.When = text(`request.role.contains("::444455556666:")`)
	})))
	d := decide(t, p, alice("dev"), ask())
	if len(d.Granted) != 1 || d.Granted[0].Account.Name != "development" || len(d.Denied) != 1 {
		t.Errorf("granted %v, denied %v", roles(d), d.Denied)
	}
}
