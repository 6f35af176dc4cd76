package oidc

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestTheConfigurationAsksAtEverySignIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*config.Provider)
		want   idp.Want
		has    map[string]string
	}{
		"nothing":                       {func(*config.Provider) {}, idp.Want{}, map[string]string{"prompt": "", "max_age": "", "acr_values": "", "response_mode": ""}},
		"an age":                        {func(s *config.Provider) { s.MaxAge = time.Hour }, idp.Want{}, map[string]string{"max_age": "3600"}},
		"the shorter of two ages":       {func(s *config.Provider) { s.MaxAge = time.Hour }, idp.Want{MaxAge: time.Minute}, map[string]string{"max_age": "60"}},
		"the shorter of two, the other": {func(s *config.Provider) { s.MaxAge = time.Minute }, idp.Want{MaxAge: time.Hour}, map[string]string{"max_age": "60"}},
		"fresh in spite of an age":      {func(s *config.Provider) { s.MaxAge = time.Hour }, idp.Want{Fresh: true}, map[string]string{"max_age": "0", "prompt": "login"}},
		"contexts":                      {func(s *config.Provider) { s.ACRValues = []config.Text{text("gold"), text("silver")} }, idp.Want{}, map[string]string{"acr_values": "gold silver"}},
		"contexts that are wanted more": {func(s *config.Provider) { s.ACRValues = []config.Text{text("gold")} }, idp.Want{ACR: []string{"mfa"}}, map[string]string{"acr_values": "mfa"}},
		"the password each time":        {func(s *config.Provider) { s.Prompt = text("login") }, idp.Want{}, map[string]string{"prompt": "login", "max_age": "0"}},
		"the choice of an account":      {func(s *config.Provider) { s.Prompt = text("select_account") }, idp.Want{}, map[string]string{"prompt": "select_account", "max_age": ""}},
		"an answer by a form":           {func(s *config.Provider) { s.ResponseMode = text(formPost) }, idp.Want{}, map[string]string{"response_mode": "form_post"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.change)
			address, _ := p.begin(c.want)
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			for parameter, value := range c.has {
				if got := u.Query().Get(parameter); got != value {
					t.Errorf("%s is %q, want %q", parameter, got, value)
				}
			}
		})
	}
}

func TestWhatTheConfigurationAskedForIsChecked(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) func(p party) func(map[string]any) {
		return func(p party) func(map[string]any) { return set("auth_time", p.clock.now().Add(-d).Unix()) }
	}
	without := func(name string) func(party) func(map[string]any) {
		return func(party) func(map[string]any) { return drop(name) }
	}
	hour := func(s *config.Provider) { s.MaxAge = time.Hour }
	login := func(s *config.Provider) { s.Prompt = text("login") }
	gold := func(s *config.Provider) { s.ACRValues = []config.Text{text("gold"), text("silver")} }
	for name, c := range map[string]struct {
		change func(*config.Provider)
		claims func(party) func(map[string]any)
		reason string
	}{
		"an age that is kept":         {hour, ago(time.Hour), ""},
		"an age that is not":          {hour, ago(2 * time.Hour), "auth-time"},
		"an age of which nobody says": {hour, without("auth_time"), "auth-time"},
		"a password just now":         {login, ago(0), ""},
		"a password of before":        {login, ago(10 * time.Minute), "auth-time"},
		"a context that was wanted":   {gold, func(party) func(map[string]any) { return set("acr", "silver") }, ""},
		"a context that was not":      {gold, func(party) func(map[string]any) { return set("acr", "bronze") }, "acr"},
		"a context in a list":         {gold, func(party) func(map[string]any) { return set("acr", "gold silver") }, "acr"},
		"no context":                  {gold, without("acr"), "acr"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.change)
			p.op.Behave(idptest.Behaviour{Claims: c.claims(p)})
			_, err := p.signIn(idp.Want{})
			if c.reason == "" && err != nil {
				t.Error(err)
			} else if c.reason != "" {
				refused(t, err, c.reason)
			}
		})
	}
}

func TestHashesOfTheIDTokenAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ claim, value, reason string }{
		"c_hash of another code":          {"c_hash", "xxxxxxxxxxxxxxxxxxxxxx", "c-hash"},
		"c_hash that is a number":         {"c_hash", "", "malformed"},
		"at_hash of another access token": {"at_hash", "xxxxxxxxxxxxxxxxxxxxxx", "at-hash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.op.Behave(idptest.Behaviour{Claims: func(m map[string]any) {
				m[c.claim] = c.value
				if c.value == "" {
					m[c.claim] = 7
				}
			}})
			_, err := p.signIn(idp.Want{})
			refused(t, err, c.reason)
		})
	}
	// the hash of this sign-in's code, by the example of OpenID Connect Core 1.0 A.4
	if !halfHash("RS256", "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "LDktKdoQak3Pk0cnXxCltA") {
		t.Error("the example of the specification is refused")
	}
}

func TestAnAnswerByAForm(t *testing.T) {
	t.Parallel()
	asked := func(s *config.Provider) { s.ResponseMode = text(formPost) }
	post := func(query url.Values) idp.Answer {
		return idp.Answer{Method: http.MethodPost, Query: url.Values{}, Form: query}
	}
	for name, c := range map[string]struct {
		change func(*config.Provider)
		answer func(url.Values) idp.Answer
		reason string
	}{
		"asked for": {asked, post, ""},
		"asked for, with the name that Apple adds": {asked, func(q url.Values) idp.Answer {
			q.Set("user", `{"name":{"firstName":"Eve"},"email":"admin@example.com"}`)
			return post(q)
		}, ""},
		"not asked for":                     {nil, post, "response-mode"},
		"asked for, and by the address":     {asked, answer, "response-mode"},
		"asked for, and by a HEAD":          {asked, func(q url.Values) idp.Answer { return idp.Answer{Method: "HEAD", Form: q} }, "response-mode"},
		"asked for, and half in each":       {asked, func(q url.Values) idp.Answer { a := post(q); a.Query.Set("code", q.Get("code")); return a }, "response-mode"},
		"asked for, with another state":     {asked, func(q url.Values) idp.Answer { q.Set("state", "other"); return post(q) }, "state"},
		"asked for, with a state twice":     {asked, func(q url.Values) idp.Answer { q.Add("state", q.Get("state")); return post(q) }, "malformed"},
		"asked for, with no iss":            {asked, func(q url.Values) idp.Answer { q.Del("iss"); return post(q) }, "iss"},
		"asked for, of another issuer":      {asked, func(q url.Values) idp.Answer { q.Set("iss", "https://evil.example"); return post(q) }, "iss"},
		"asked for, with nothing in it":     {asked, func(url.Values) idp.Answer { return post(url.Values{}) }, "state"},
		"asked for, and the person refused": {asked, func(q url.Values) idp.Answer { q.Set("error", "access_denied"); return post(q) }, "access-denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.change)
			address, pending := p.begin(idp.Want{})
			login, err := p.Finish(t.Context(), pending, c.answer(p.op.Visit(address)))
			switch {
			case c.reason != "":
				refused(t, err, c.reason)
			case err != nil:
				t.Error(err)
			case login.Identity.Attributes["email"][0] != "alice@example.com" || login.Identity.Attributes["user"] != nil:
				t.Errorf("what the browser added counts: %v", login.Identity.Attributes)
			}
		})
	}
}

func TestAnEndpointWithAQueryKeepsIt(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.op.Behave(idptest.Behaviour{Discovery: func(d map[string]any) {
		d["authorization_endpoint"] = p.op.Issuer + "/authorize?p=policy&client_id=evil"
	}})
	address, _ := p.begin(idp.Want{})
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("p") != "policy" || len(u.Query()["client_id"]) != 1 || u.Query().Get("client_id") != p.op.ClientID {
		t.Errorf("%s %v", address, err)
	}
}

func TestAFreshSignInAsksForASecondFactorAndMFAIsWhatItsContextSays(t *testing.T) {
	t.Parallel()
	mfa := func(s *config.Provider) { s.MFAACRValues = []config.Text{text("2"), text("3")} }
	both := func(s *config.Provider) { mfa(s); s.ACRValues = []config.Text{text("1"), text("2")} }
	for name, c := range map[string]struct {
		change     func(*config.Provider)
		fresh      bool
		asks, acr  string
		amr        []string
		mfa        bool
		wantReason string
	}{
		"not fresh":                              {mfa, false, "", "2", nil, true, ""},
		"fresh, and a second factor came":        {mfa, true, "2 3", "3", nil, true, ""},
		"fresh, and none came":                   {mfa, true, "2 3", "1", nil, false, ""},
		"fresh, and nothing was said":            {mfa, true, "2 3", "", nil, false, ""},
		"demanded contexts, not fresh":           {both, false, "1 2", "1", nil, false, ""},
		"demanded contexts, and another came":    {both, false, "1 2", "3", nil, true, "acr"},
		"fresh beside demanded contexts":         {both, true, "2 3 1", "3", nil, true, ""},
		"fresh, and none of all":                 {both, true, "2 3 1", "0", nil, false, "acr"},
		"a name in common use":                   {nil, true, "", "https://refeds.org/profile/mfa", nil, true, ""},
		"a name that holds one":                  {nil, false, "", "https://refeds.org/profile/mfa2", nil, false, ""},
		"another provider's name":                {nil, false, "", "2", nil, false, ""},
		"by amr alone":                           {nil, false, "", "", []string{"pwd", "mfa"}, true, ""},
		"by amr and context, which is said once": {mfa, false, "", "2", []string{"mfa"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.change)
			p.op.Behave(idptest.Behaviour{Claims: func(m map[string]any) {
				delete(m, "amr")
				if c.amr != nil {
					m["amr"] = c.amr
				}
				if c.acr != "" {
					m["acr"] = c.acr
				}
			}})
			address, pending := p.begin(idp.Want{Fresh: c.fresh})
			u, err := url.Parse(address)
			if err != nil || u.Query().Get("acr_values") != c.asks {
				t.Errorf("acr_values is %q, want %q", u.Query().Get("acr_values"), c.asks)
			}
			login, err := p.Finish(t.Context(), pending, answer(p.op.Visit(address)))
			if c.wantReason != "" {
				refused(t, err, c.wantReason)
				return
			}
			if err != nil || login.Identity.MFA() != c.mfa {
				t.Errorf("methods %v, %v", login.Identity.Methods, err)
			}
			if n := len(login.Identity.Methods) - len(c.amr); n > 1 || n == 1 && len(c.amr) > 0 {
				t.Errorf("methods %v", login.Identity.Methods)
			}
		})
	}
}
