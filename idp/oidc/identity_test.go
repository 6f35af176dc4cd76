package oidc

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func username(claim string) func(*config.Provider) {
	return func(c *config.Provider) { c.Username.Claim = text(claim) }
}

func TestUsernameFromEmailNeedsAVerifiedOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(map[string]any)
		reason string
	}{
		"verified":             {func(map[string]any) {}, ""},
		"verified as text":     {func(m map[string]any) { m["email_verified"] = "true" }, ""},
		"not verified":         {func(m map[string]any) { m["email_verified"] = false }, "email-unverified"},
		"not verified as text": {func(m map[string]any) { m["email_verified"] = "false" }, "email-unverified"},
		"verified by a number": {func(m map[string]any) { m["email_verified"] = 1 }, "email-unverified"},
		"not said":             {func(m map[string]any) { delete(m, "email_verified") }, "email-unverified"},
		"no e-mail":            {func(m map[string]any) { delete(m, "email") }, "username"},
		"two e-mails":          {func(m map[string]any) { m["email"] = []string{"a@example.com", "b@example.com"} }, "username"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, username("email"))
			p.op.Behave(idptest.Behaviour{Claims: c.change})
			login, err := p.signIn(idp.Want{})
			if c.reason != "" {
				refused(t, err, c.reason)
			} else if err != nil || login.Identity.Username != "alice@example.com" || login.Identity.Subject != "subject-1" {
				t.Errorf("%+v, %v", login.Identity, err)
			}
		})
	}
}

func TestAttributesAreTheClaimsThatAreScalars(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.op.Behave(idptest.Behaviour{Claims: func(c map[string]any) {
		c["number"], c["float"], c["yes"], c["list"], c["object"], c["mixed"], c["nothing"], c["empty"] =
			42, 1.5, true, []any{"a", 1, false}, map[string]any{"a": 1}, []any{"a", map[string]any{}}, nil, []any{}
	}})
	login, err := p.signIn(idp.Want{})
	if err != nil {
		t.Fatal(err)
	}
	got := login.Identity.Attributes
	for name, want := range map[string][]string{
		"number": {"42"}, "float": {"1.5"}, "yes": {"true"}, "list": {"a", "1", "false"}, "object": nil, "mixed": nil, "nothing": nil, "empty": {},
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUserinfoIsAskedOnlyForWhatIsMissing(t *testing.T) {
	t.Parallel()
	info := map[string]any{"sub": "subject-1", "groups": []string{"from-userinfo"}, "department": "it", "amr": []string{"mfa"}, "auth_time": 1, "email": "evil@example.com"}
	p := start(t, nil)
	p.op.Behave(idptest.Behaviour{Userinfo: info})
	login, err := p.signIn(idp.Want{})
	if err != nil || p.op.Hits("/userinfo") != 0 || login.Identity.Groups[0] != "platform" {
		t.Errorf("with groups in the ID token: asked %d times, %v, %v", p.op.Hits("/userinfo"), login.Identity.Groups, err)
	}
	p = start(t, nil)
	p.op.Behave(idptest.Behaviour{Userinfo: info, Claims: func(c map[string]any) { delete(c, "groups"); delete(c, "amr") }})
	login, err = p.signIn(idp.Want{})
	if err != nil {
		t.Fatal(err)
	}
	id := login.Identity
	if diff := cmp.Diff([]string{"from-userinfo"}, id.Groups); diff != "" || p.op.Hits("/userinfo") != 1 {
		t.Error(diff)
	}
	if id.MFA() || !id.AuthenticatedAt.Equal(p.clock.now()) {
		t.Errorf("userinfo, which is not signed, changed the authentication: %+v", id)
	}
	if id.Attributes["email"][0] != "alice@example.com" || id.Attributes["department"][0] != "it" {
		t.Errorf("attributes %v", id.Attributes)
	}
}

func TestUserinfoThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		info   map[string]any
		serve  http.HandlerFunc
		reason string
	}{
		"of another subject": {map[string]any{"sub": "admin", "groups": []string{"admins"}}, nil, "userinfo"},
		"without subject":    {map[string]any{"groups": []string{"admins"}}, nil, "userinfo"},
		"with a claim twice": {map[string]any{}, body("application/json", `{"sub":"subject-1","sub":"subject-1"}`), "userinfo"},
		"that is a page":     {map[string]any{}, body("text/html", "canary"), ""},
		"that is an error":   {map[string]any{}, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", 500) }, ""},
		"that is no token":   {map[string]any{}, body("application/jwt", "canary"), "userinfo"},
		"that has no end":    {map[string]any{}, body("application/json", strings.Repeat(" ", 2<<20)), ""},
		"that leads away": {map[string]any{}, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/canary", http.StatusFound)
		}, ""},
		"with wrong groups":   {map[string]any{"sub": "subject-1", "groups": map[string]any{}}, nil, "malformed"},
		"without any groups":  {map[string]any{"sub": "subject-1"}, nil, "none"},
		"with groups of null": {map[string]any{"sub": "subject-1", "groups": nil}, nil, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			behaviour := idptest.Behaviour{Userinfo: c.info, Claims: func(m map[string]any) { delete(m, "groups") }}
			if c.serve != nil {
				behaviour.Serve = map[string]http.HandlerFunc{"/userinfo": c.serve}
			}
			p.op.Behave(behaviour)
			login, err := p.signIn(idp.Want{})
			switch c.reason {
			case "":
				unavailable(t, err)
			case "none":
				if err != nil || len(login.Identity.Groups) != 0 {
					t.Errorf("%v, %v", login.Identity.Groups, err)
				}
			default:
				refused(t, err, c.reason)
			}
		})
	}
}

func body(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(text))
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	for condition, holds := range map[string]bool{
		`claims.email == "alice@example.com"`:                  true,
		`claims.hd == "example.com"`:                           false, // missing
		`"platform" in claims.groups && claims.email_verified`: true,
		`"admins" in claims.groups`:                            false,
		`claims.name`:                                          false, // no boolean
		`claims.sub.startsWith("subject-")`:                    true,
		`claims.iat < claims.exp`:                              true,
		`has(claims.hd) ? claims.hd == "x" : true`:             true,
		`claims.groups.all(a, claims.groups.all(b, claims.groups.all(c, a == b || b == c || a == c)))`: true,
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(c *config.Provider) { c.Require = text(condition) })
			_, err := p.signIn(idp.Want{})
			if holds && err != nil {
				t.Error(err)
			} else if !holds {
				refused(t, err, "require")
			}
		})
	}
}

func TestRequireThatWorksTooHardIsFalse(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *config.Provider) {
		c.Require = text(`claims.groups.all(a, claims.groups.all(b, claims.groups.all(c, a + b + c != "x")))`)
	})
	refused(t, p.spoiled(func(c map[string]any) { c["groups"] = strings.Split(strings.Repeat("g", 200), "") }), "require")
}

func TestVerifyJudgesBearerTokens(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *config.Provider) { c.Audiences = []string{"ci"} })
	for name, c := range map[string]struct {
		change func(map[string]any)
		reason string
	}{
		"as it is":                              {func(map[string]any) {}, ""},
		"with the nonce of some sign-in":        {func(m map[string]any) { m["nonce"] = "n" }, ""},
		"for a further audience":                {func(m map[string]any) { m["aud"] = "ci" }, ""},
		"for both":                              {func(m map[string]any) { m["aud"] = []string{"ci", "rolecall"} }, ""},
		"for us, asked for by another":          {func(m map[string]any) { m["azp"] = "android" }, ""},
		"for another audience":                  {func(m map[string]any) { m["aud"] = "sts.amazonaws.com" }, "audience"},
		"for others too":                        {func(m map[string]any) { m["aud"] = []string{"ci", "x"} }, "azp"},
		"for others too, asked for by us":       {func(m map[string]any) { m["aud"] = []string{"ci", "x"}; m["azp"] = "rolecall" }, ""},
		"for others too, asked for by an other": {func(m map[string]any) { m["aud"] = []string{"ci", "x"}; m["azp"] = "ci" }, "azp"},
		"with the hash of a token not shown":    {func(m map[string]any) { m["at_hash"] = "x" }, ""},
	} {
		claims := p.op.Claims()
		c.change(claims)
		login, err := p.Verify(t.Context(), p.op.Sign(p.op.Key(), claims, nil))
		switch {
		case c.reason != "":
			refused(t, err, c.reason)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case login.Identity.Subject != "subject-1":
			t.Errorf("%s: %+v", name, login.Identity)
		}
	}
	refused(t, p.spoiled(func(m map[string]any) { m["aud"] = "ci" }), "audience") // at sign-in they do not count
}

func TestTokenOfAnotherIssuerIsNotMineAndCostsNoFetch(t *testing.T) {
	t.Parallel()
	p, other := start(t, nil), start(t, nil)
	for _, raw := range []string{
		other.op.Sign(other.op.Key(), other.op.Claims(), nil),
		other.op.Sign(other.op.Key(), map[string]any{"iss": 7}, nil),
		other.op.Sign(other.op.Key(), map[string]any{}, nil),
	} {
		if _, err := p.Verify(t.Context(), raw); err != idp.ErrNotMine {
			t.Errorf("got %v", err)
		}
	}
	_, err := p.Verify(t.Context(), "x.y.z")
	refused(t, err, "malformed")
	_, err = p.Verify(t.Context(), other.op.SignBytes(other.op.Key(), []byte(`{"iss":1,"iss":2}`), nil))
	refused(t, err, "malformed")
	p.fetches(t, 0)
}

func TestTokenForAnotherClientOfOurIssuerIsNotMineAndCostsNoFetch(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for reason, change := range map[string]func(map[string]any){
		"audience": func(m map[string]any) { m["aud"] = "another-client" },
		"azp":      func(m map[string]any) { m["aud"], m["azp"] = []string{"rolecall", "another-client"}, "another-client" },
	} {
		claims := p.op.Claims()
		change(claims)
		_, err := p.Verify(t.Context(), p.op.Sign(p.op.Key(), claims, nil))
		if refused(t, err, reason); !errors.Is(err, idp.ErrNotMine) {
			t.Errorf("%s: %v is final", reason, err)
		}
	}
	p.fetches(t, 0)
	claims := p.op.Claims()
	claims["exp"] = 1
	if _, err := p.Verify(t.Context(), p.op.Sign(p.op.Key(), claims, nil)); errors.Is(err, idp.ErrNotMine) {
		t.Errorf("a token for us that is refused would be shown to others: %v", err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	claims := p.op.Claims()
	claims["nonce"] = "n"
	raw := p.op.Sign(p.op.Key(), claims, nil)
	at := p.clock.now()
	p.clock.add(48 * 3600e9)
	for name, c := range map[string]struct {
		ask    Inspection
		reason string
		steps  int
	}{
		"at sign-in, then":         {Inspection{Token: raw, At: at, Nonce: "n"}, "", 12},
		"at exchange, then":        {Inspection{Token: raw, At: at}, "", 12},
		"now":                      {Inspection{Token: raw, Nonce: "n"}, "expired", 8},
		"with another nonce":       {Inspection{Token: raw, At: at, Nonce: "x"}, "nonce", 9},
		"what is no token":         {Inspection{Token: "x"}, "malformed", 1},
		"a changed one":            {Inspection{Token: strings.Replace(raw, ".eyJ", ".eyI", 1), At: at}, "signature", 2},
		"what is another issuer's": {Inspection{Token: p.op.Sign(p.op.Key(), map[string]any{"iss": "x"}, nil), At: at}, "issuer", 4},
	} {
		report, err := p.Inspect(t.Context(), c.ask)
		if err != nil || report.Reason != c.reason || len(report.Steps) != c.steps || (report.Identity == nil) != (c.reason != "") {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		for i, step := range report.Steps {
			if last := i == len(report.Steps)-1; step.OK == (last && c.reason != "") {
				t.Errorf("%s: step %+v", name, step)
			}
		}
	}
}
