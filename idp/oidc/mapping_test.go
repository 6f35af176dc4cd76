package oidc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func mapped(pairs ...string) func(*config.Provider) {
	return func(s *config.Provider) {
		s.Attributes = map[string]config.Text{}
		for i := 0; i < len(pairs); i += 2 {
			s.Attributes[pairs[i]] = text(pairs[i+1])
		}
	}
}

func TestAttributesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	p := start(t, mapped("team", "/custom/team", "mail", "email", "level", "/custom/level", "name", "/custom/absent", "all", "/custom/list"))
	claims := p.op.Claims()
	claims["custom"] = map[string]any{"team": "storage", "level": 3, "list": []any{"a", true}}
	claims["team"] = "what a person typed into a profile"
	login, err := p.brings(claims)
	if err != nil {
		t.Fatal(err)
	}
	got := login.Identity.Attributes
	for name, want := range map[string][]string{
		"team": {"storage"}, "mail": {"alice@example.com"}, "level": {"3"}, "all": {"a", "true"}, "email": {"alice@example.com"},
		"name": nil, // the mapped claim is not there, and the claim of that name does not stand in for it
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, there := got["name"]; there {
		t.Error("an attribute whose claim is missing is there")
	}
}

func TestAttributesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := start(t, mapped("team", "/custom/team"))
	for name, c := range map[string]struct {
		value  any
		reason string
	}{
		"an object where a value should be":     {map[string]any{"team": map[string]any{"name": "storage"}}, "malformed"},
		"a list of objects":                     {map[string]any{"team": []any{map[string]any{}}}, "malformed"},
		"text where an object should be":        {"storage", "malformed"},
		"a list where an object should be":      {[]any{map[string]any{"team": "storage"}}, "malformed"},
		"control characters":                    {map[string]any{"team": "a\u0000b"}, "characters"},
		"a value that is too long":              {map[string]any{"team": strings.Repeat("x", 1025)}, "value-too-long"},
		"more values than an attribute may hav": {map[string]any{"team": strings.Split(strings.Repeat("x", 901), "")}, "too-many-values"},
		"null where an object should be":        {nil, ""},
		"null where a value should be":          {map[string]any{"team": nil}, ""},
		"no team":                               {map[string]any{}, ""},
	} {
		_, err := p.brings(p.op.Claims(), set("custom", c.value))
		if c.reason != "" {
			t.Log(name)
			refused(t, err, c.reason)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPathsOfClaims(t *testing.T) {
	t.Parallel()
	for written, want := range map[string][]string{
		"":                             nil,
		"groups":                       {"groups"},
		"a.b":                          {"a.b"},
		"cognito:groups":               {"cognito:groups"},
		"https://example.com/groups":   {"https://example.com/groups"},
		"/groups":                      {"groups"},
		"/realm_access/roles":          {"realm_access", "roles"},
		"/realm.access/ro les":         {"realm.access", "ro les"},
		"/~1a":                         {"/a"},
		"/a~1b/c~0d":                   {"a/b", "c~d"},
		"/~01":                         {"~1"},
		"/https:~1~1example.com~1g/in": {"https://example.com/g", "in"},
	} {
		var faults, warnings config.Faults
		got := readPath(text(written), "groups.claim", &faults, &warnings)
		if diff := cmp.Diff(want, []string(got)); diff != "" || len(faults) > 0 {
			t.Errorf("%q: %s %v", written, diff, faults)
		}
		if hint := written == "a.b"; hint != (len(warnings) == 1) || hint && !strings.Contains(warnings.Error(), "written /a/b") {
			t.Errorf("%q: warnings %v", written, warnings)
		}
	}
	for _, written := range []string{"/", "//", "/a/", "//a", "/a//b", "/~", "/~2", "/a~", "/a/~x"} {
		var faults, warnings config.Faults
		if readPath(text(written), "groups.claim", &faults, &warnings); len(faults) != 1 || faults[0].Pos.Line != 7 {
			t.Errorf("%q: %v", written, faults)
		}
	}
}

// A slash before the name changes nothing about what is demanded of an address.
func TestAnAddressByPathMustBeVerifiedToo(t *testing.T) {
	t.Parallel()
	for path, verified := range map[string]func(map[string]any, any){
		"email":       func(c map[string]any, v any) { c["email_verified"] = v },
		"/email":      func(c map[string]any, v any) { c["email_verified"] = v },
		"/user/email": func(c map[string]any, v any) { c["user"].(map[string]any)["email_verified"] = v },
	} {
		p := start(t, username(path))
		for _, v := range []any{true, "true", false, nil, 1, "yes"} {
			claims := p.op.Claims()
			delete(claims, "email_verified")
			if path == "/user/email" { // what is said of another address does not count
				claims["email_verified"] = true
			}
			claims["user"] = map[string]any{"email": "alice@example.com"}
			verified(claims, v)
			login, err := p.brings(claims)
			switch {
			case v != true && v != "true":
				refused(t, err, "email-unverified")
			case err != nil || login.Identity.Username != "alice@example.com":
				t.Errorf("%s, %v: %+v, %v", path, v, login.Identity, err)
			}
		}
	}
}

func TestAUsernameByPath(t *testing.T) {
	t.Parallel()
	p := start(t, username("/user/login"))
	login, err := p.brings(p.op.Claims(), set("user", map[string]any{"login": "alice"}))
	if err != nil || login.Identity.Username != "alice" {
		t.Errorf("%+v, %v", login.Identity, err)
	}
	for name := range login.Identity.Attributes {
		if strings.HasPrefix(name, "/") {
			t.Errorf("the attribute %s is none that the provider sent", name)
		}
	}
	for _, value := range []any{nil, map[string]any{}, map[string]any{"login": ""}, map[string]any{"login": []string{"a", "b"}}} {
		_, err := p.brings(p.op.Claims(), set("user", value))
		refused(t, err, "username")
	}
	_, err = p.brings(p.op.Claims(), set("user", "alice"))
	refused(t, err, "malformed")
}

// Whoever may not be in a group must not get around it by groups that nobody can read.
func TestGroupsByPathThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := start(t, func(s *config.Provider) { s.Groups.Claim = text("/realm_access/roles") })
	for _, value := range []any{"platform", []string{"platform"}, map[string]any{"roles": map[string]any{}}, map[string]any{"roles": []any{[]any{}}}, 7} {
		_, err := p.brings(p.op.Claims(), set("realm_access", value))
		refused(t, err, "malformed")
	}
	for _, value := range []any{nil, map[string]any{}, map[string]any{"roles": nil}, map[string]any{"roles": []any{}}} {
		if login, err := p.brings(p.op.Claims(), set("realm_access", value)); err != nil || len(login.Identity.Groups) != 0 {
			t.Errorf("%v: %v, %v", value, login.Identity.Groups, err)
		}
	}
}

func TestUserinfoBringsWhatAPathLeadsTo(t *testing.T) {
	t.Parallel()
	p := start(t, func(s *config.Provider) { s.Groups.Claim = text("/realm_access/roles") })
	p.op.Behave(idptest.Behaviour{Userinfo: map[string]any{"sub": "subject-1", "realm_access": map[string]any{"roles": []string{"platform"}}}})
	login, err := p.signIn(idp.Want{})
	if err != nil || len(login.Identity.Groups) != 1 || p.op.Hits("/userinfo") != 1 {
		t.Errorf("%+v, %v", login.Identity, err)
	}
}

// Thin ID tokens have the address and leave what is said of it to userinfo.
func TestUserinfoSaysThatAnAddressIsVerified(t *testing.T) {
	t.Parallel()
	for verified, reason := range map[any]string{true: "", false: "email-unverified"} {
		p := start(t, username("email"))
		p.op.Behave(idptest.Behaviour{Claims: drop("email_verified"), Userinfo: map[string]any{"sub": "subject-1", "email": "alice@example.com", "email_verified": verified}})
		_, err := p.signIn(idp.Want{})
		if reason != "" {
			refused(t, err, reason)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// A claim that is not there makes a condition false, however it is asked for.
func TestAConditionOverAMissingClaimIsFalse(t *testing.T) {
	t.Parallel()
	for condition, holds := range map[string]bool{
		`claims.department == "it"`:                              false,
		`claims["department"] == "it"`:                           false,
		`claims.department != "it"`:                              false,
		`!(claims.department == "it")`:                           false,
		`!claims.blocked`:                                        false,
		`claims.department in ["it", "ops"]`:                     false,
		`!("contractors" in claims.teams)`:                       false,
		`claims.custom.department == "it"`:                       false,
		`claims.custom.team != "storage"`:                        false,
		`has(claims.department) && claims.department == "it"`:    false,
		`!has(claims.department)`:                                true, // asked about and nothing else
		`claims.department == "it" || claims.sub == "subject-1"`: true, // the other side is enough
		`claims.sub == "subject-1" || claims.department == "it"`: true,
		`claims.sub == "nobody" && claims.department == "it"`:    false,
		`claims.custom.team == "storage"`:                        true,
		`"b" in claims.custom.list && claims.custom.level > 2`:   true,
		`claims["https://example.com/team"] == "storage"`:        true,
		`claims.nothing == "x"`:                                  false,
	} {
		p := start(t, func(c *config.Provider) { c.Require = text(condition) })
		claims := p.op.Claims()
		claims["custom"] = map[string]any{"team": "storage", "level": 3, "list": []string{"a", "b"}}
		if condition == `claims.custom.team != "storage"` {
			delete(claims, "custom")
		}
		claims["https://example.com/team"], claims["nothing"] = "storage", nil
		_, err := p.brings(claims)
		if holds && err != nil {
			t.Errorf("%s: %v", condition, err)
		} else if !holds {
			t.Log(condition)
			refused(t, err, "require")
		}
	}
}

func TestAttributesAreFaultsWhereTheyCannotBe(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]string{"team": "", "": "email", "x": "/a//b"} {
		s := section(idptest.StartOP(t, newClock().now))
		mapped(name, from)(&s)
		_, err := New(Config{Provider: s, URL: audience, Fetch: client(t, 1e9)})
		var faults config.Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Pos.Line != 7 || !strings.Contains(fmt.Sprint(faults), "attributes") {
			t.Errorf("%q: %q: %v", name, from, err)
		}
	}
}
