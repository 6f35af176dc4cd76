package oidc

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

const (
	contoso  = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	fabrikam = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	stranger = "11111111-2222-3333-4444-555555555555"
	pattern  = "https://login.microsoftonline.com/{tenantid}/v2.0"
)

func issuerOf(tenant string) string { return strings.Replace(pattern, "{tenantid}", tenant, 1) }

func TestOneTenantOfMicrosoft(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("microsoft", issuerOf(contoso), username("oid"), func(s *config.Provider) {
		s.Tenant, s.Groups.Claim = text(contoso), text("groups")
	}))
	claims := idptest.Microsoft(issuerOf(contoso), contoso, audience, p.clock.now())
	login, err := p.brings(claims)
	if id := login.Identity; err != nil || id.Username != claims["oid"] || id.Subject != claims["sub"] || len(id.Groups) != 2 {
		t.Errorf("%+v, %v", id, err)
	}
	judged(t, p, claims, []claimCase{
		{"an access token for an API of ours", set("scp", "access_as_user"), "typ"},
		{"an application's access token", set("idtyp", "app"), "typ"},
		{"an access token by another client", set("azpacr", "1"), "typ"},
		{"another tenant's id beside the issuer", set("tid", stranger), "tenant"},
		{"no tid", drop("tid"), "tenant"},
		{"tid as a list", set("tid", []string{contoso}), "tenant"},
		{"groups elsewhere", func(c map[string]any) {
			c["_claim_names"], c["_claim_sources"] = map[string]any{"groups": "src1"}, map[string]any{"src1": map[string]any{"endpoint": "https://graph.windows.net/x"}}
		}, "groups-overage"},
		{"groups elsewhere, by the word of the implicit flow", set("hasgroups", true), "groups-overage"},
	})
	for _, issuer := range []string{issuerOf(stranger), issuerOf("common"), pattern, "https://sts.windows.net/" + contoso + "/"} {
		if _, err := p.brings(claims, set("iss", issuer)); err != idp.ErrNotMine {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestSeveralTenantsAreAListOfThem(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"sub", "oid"} {
		p := keysOnFile(t, presetAt("microsoft", pattern, username("oid"), func(s *config.Provider) {
			s.Tenants, s.Subject.Claim = texts(contoso, fabrikam), text(by)
		}))
		for _, tenant := range []string{contoso, fabrikam} {
			claims := idptest.Microsoft(issuerOf(tenant), tenant, audience, p.clock.now())
			login, err := p.brings(claims)
			if want := tenant + "/" + claims[by].(string); err != nil || login.Identity.Subject != want {
				t.Errorf("subject %q, want %q, %v", login.Identity.Subject, want, err)
			}
		}
		claims := idptest.Microsoft(issuerOf(contoso), contoso, audience, p.clock.now())
		judged(t, p, claims, []claimCase{
			{"the issuer of one with the tid of another", set("tid", fabrikam), "tenant"},
			{"the tid of none", set("tid", stranger), "tenant"},
		})
		if by == "oid" {
			judged(t, p, claims, []claimCase{{"no oid", drop("oid"), "subject"}, {"oid as a number", set("oid", 1), "subject"}})
		}
		for _, issuer := range []string{issuerOf(stranger), issuerOf("organizations"), pattern} {
			if _, err := p.brings(claims, set("iss", issuer)); err != idp.ErrNotMine {
				t.Errorf("%s: %v", issuer, err)
			}
		}
	}
}

// The document of all organizations names a pattern, and is at another address.
func TestDiscoveryOfSeveralTenants(t *testing.T) {
	t.Parallel()
	for said, good := range map[string]bool{"%s/{tenantid}/v2.0": true, "%s/organizations/v2.0": false, "%s/" + stranger + "/v2.0": false} {
		cl := newClock()
		op := idptest.StartOP(t, cl.now)
		at := ""
		op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/organizations/v2.0/.well-known/openid-configuration": func(w http.ResponseWriter, r *http.Request) {
			at = r.URL.Path
			_ = json.NewEncoder(w).Encode(map[string]any{
				"issuer": fmt.Sprintf(said, op.Issuer), "authorization_endpoint": op.Issuer + "/authorize", "token_endpoint": op.Issuer + "/organizations/oauth2/v2.0/token", "jwks_uri": op.Issuer + "/jwks",
			})
		}}})
		p := provider(t, op, cl, func(s *config.Provider) {
			s.Preset, s.Issuer, s.Tenants = text("microsoft"), text(op.Issuer+"/{tenantid}/v2.0"), texts(contoso)
		})
		claims := idptest.Microsoft(op.Issuer+"/"+contoso+"/v2.0", contoso, op.ClientID, cl.now())
		_, err := p.Verify(t.Context(), op.Sign(op.Key(), claims, nil))
		if (err == nil) != good || at == "" {
			t.Errorf("%s: %v", said, err)
		}
	}
}

// Microsoft publishes the keys of personal accounts beside those of tenants, each
// with the issuer that it signs for.
func TestAKeyOfAnotherIssuerIsNotTaken(t *testing.T) {
	t.Parallel()
	one := newPreset(config.Provider{Preset: text("microsoft"), Issuer: text(issuerOf(contoso)), Tenant: text(contoso)})
	several := newPreset(config.Provider{Preset: text("microsoft"), Issuer: text(pattern), Tenants: texts(contoso, fabrikam)})
	set := string(idptest.StartOP(t, newClock().now).JWKS())
	for issuer, want := range map[string][2]bool{
		pattern: {true, true}, issuerOf(contoso): {true, false}, issuerOf("9188040d-6c67-4c5b-b112-36a304b66dad"): {false, false}, "": {false, false},
	} {
		with := strings.Replace(set, `"use":"sig"`, `"use":"sig","issuer":"`+issuer+`"`, 1)
		for i, rule := range []keyRule{one.keys, several.keys} {
			if _, err := readRing([]byte(with), rule); (err == nil) != want[i] {
				t.Errorf("issuer %q, rule %v: %v", issuer, rule, err)
			}
		}
	}
	if _, err := readRing([]byte(set), one.keys); err != nil {
		t.Errorf("a key without an issuer: %v", err)
	}
}

// graphAt is Microsoft Graph on loopback.
type graphAt struct {
	mu     sync.Mutex
	asked  []string // method and path of each request
	tokens []url.Values
	serve  http.HandlerFunc
	url    string
}

func startGraph(t *testing.T, serve http.HandlerFunc) *graphAt {
	t.Helper()
	g := &graphAt{serve: serve}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, r.Method+" "+r.URL.Path)
		g.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer canary-graph-token" {
			http.Error(w, "canary", http.StatusUnauthorized)
			return
		}
		g.serve(w, r)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// overflowing is a party of contoso that asks Graph, and claims whose groups did not fit.
func overflowing(t *testing.T, g *graphAt, changes ...func(*config.Provider)) (party, map[string]any) {
	t.Helper()
	c := newClock()
	op := idptest.StartOP(t, c.now)
	op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		g.mu.Lock()
		g.tokens = append(g.tokens, r.PostForm)
		g.mu.Unlock()
		if r.PostForm.Get("client_secret") != op.ClientSecret && r.PostForm.Get("client_assertion") == "" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"token_type":"Bearer","expires_in":3599,"access_token":"canary-graph-token"}`))
	}}})
	p := party{provider(t, op, c, func(s *config.Provider) {
		s.Preset, s.Tenant, s.GroupOverage, s.Username.Claim = text("microsoft"), text(contoso), text("graph"), text("oid")
		for _, change := range changes {
			change(s)
		}
	}), op, c, t}
	p.graph.host = g.url
	claims := idptest.Microsoft(op.Issuer, contoso, op.ClientID, c.now())
	delete(claims, "groups")
	claims["_claim_names"] = map[string]any{"groups": "src1"}
	claims["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://evil.example/canary/getMemberObjects"}}
	return p, claims
}

func TestGroupsThatDidNotFitComeFromGraph(t *testing.T) {
	t.Parallel()
	var g *graphAt
	g = startGraph(t, func(w http.ResponseWriter, r *http.Request) {
		next := ""
		if r.URL.Query().Get("$skiptoken") == "" {
			next = g.url + "/v1.0/users/690222be-ff1a-4d56-abd1-7e4f7d38e474/getMemberGroups?$skiptoken=2"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"value": []string{"group-" + r.Method}, "@odata.nextLink": next})
	})
	p, claims := overflowing(t, g)
	for range 2 {
		login, err := p.brings(claims)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"group-POST", "group-GET"}, login.Identity.Groups); diff != "" {
			t.Error(diff)
		}
		if login.Identity.Attributes["groups"][0] != "group-POST" {
			t.Errorf("attributes %v", login.Identity.Attributes)
		}
	}
	if want := []string{"POST /v1.0/users/690222be-ff1a-4d56-abd1-7e4f7d38e474/getMemberGroups"}; g.asked[0] != want[0] || len(g.asked) != 4 {
		t.Errorf("asked %v", g.asked)
	}
	if len(g.tokens) != 1 || g.tokens[0].Get("grant_type") != "client_credentials" || g.tokens[0].Get("scope") != g.url+"/.default" {
		t.Errorf("tokens %v: one serves for its life", g.tokens)
	}
	p.clock.add(58 * time.Minute)
	if _, err := p.brings(claims, set("exp", p.clock.now().Add(time.Hour).Unix())); err != nil || len(g.tokens) != 2 {
		t.Errorf("%d tokens after nearly an hour, %v", len(g.tokens), err)
	}
	if _, err := p.brings(claims, drop("_claim_names"), set("groups", []string{"one"})); err != nil || len(g.asked) != 6 {
		t.Errorf("groups that fit were asked for: %v, %v", g.asked, err)
	}
}

func TestGraphThatCannotTell(t *testing.T) {
	t.Parallel()
	many := make([]string, 901)
	for i := range many {
		many[i] = fmt.Sprint("group-", i)
	}
	answer := func(status int, v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	for name, c := range map[string]struct {
		serve  http.HandlerFunc
		change func(map[string]any)
		reason string // "" is an outage
	}{
		"no permission":                  {answer(403, map[string]any{"error": "canary"}), as, "groups-overage"},
		"a person whom it does not know": {answer(404, map[string]any{}), as, "groups-overage"},
		"an answer without groups":       {answer(200, map[string]any{}), as, "groups-overage"},
		"an answer that is a page":       {body("text/html", "<html>canary"), as, "groups-overage"},
		"more groups than an identity's": {answer(200, map[string]any{"value": many}), as, "groups-overage"},
		"another address for the rest":   {answer(200, map[string]any{"value": []string{"a"}, "@odata.nextLink": "https://evil.example/v1.0/x"}), as, "groups-overage"},
		"an address that begins like it": {answer(200, map[string]any{"value": []string{"a"}, "@odata.nextLink": "http://127.0.0.1.evil.example/"}), as, "groups-overage"},
		"an error of its own":            {answer(503, map[string]any{}), as, ""},
		"too many requests":              {answer(429, map[string]any{}), as, ""},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		}, as, "groups-overage"},
		"an answer without end":           {body("application/json", strings.Repeat(" ", 2<<20)), as, ""},
		"a token without oid":             {answer(200, map[string]any{"value": []string{"a"}}), drop("oid"), "groups-overage"},
		"an oid that is a path":           {answer(200, map[string]any{"value": []string{"a"}}), set("oid", "../me"), "groups-overage"},
		"a null list of groups":           {answer(200, map[string]any{"value": nil}), as, "groups-overage"},
		"a group that is no text of ours": {answer(200, map[string]any{"value": []string{"a\u0000b"}}), as, "characters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, claims := overflowing(t, startGraph(t, c.serve))
			_, err := p.brings(claims, c.change)
			if c.reason == "" {
				unavailable(t, err)
			} else {
				refused(t, err, c.reason)
			}
		})
	}
}

func TestPagesOfGraphHaveAnEnd(t *testing.T) {
	t.Parallel()
	var g *graphAt
	g = startGraph(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"value": []string{}, "@odata.nextLink": g.url + "/again"})
	})
	p, claims := overflowing(t, g)
	_, err := p.brings(claims)
	refused(t, err, "groups-overage")
	if len(g.asked) != maxGraphPages {
		t.Errorf("asked %d times", len(g.asked))
	}
}

func TestGraphNeedsOurSecret(t *testing.T) {
	t.Parallel()
	g := startGraph(t, nil)
	p, claims := overflowing(t, g)
	p.graph.client.secret = secret.New("wrong")
	_, err := p.brings(claims)
	refused(t, err, "groups-overage")
	if len(g.asked) != 0 {
		t.Errorf("asked %v without a token", g.asked)
	}
}

// A certificate, as Entra ID calls it, proves the application at Graph as it does at sign-in.
func TestGraphTakesTheProofOfOurKey(t *testing.T) {
	t.Parallel()
	g := startGraph(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"value":["a"]}`)) })
	p, claims := overflowing(t, g, func(s *config.Provider) {
		s.ClientSecret, s.ClientKey.Key = secret.String{}, pkcs8(t, curveKey(t, elliptic.P256()))
	})
	if login, err := p.brings(claims); err != nil || len(login.Identity.Groups) != 1 {
		t.Errorf("%+v, %v", login.Identity, err)
	}
	if len(g.tokens) != 1 || g.tokens[0].Has("client_secret") || !strings.HasSuffix(g.tokens[0].Get("client_assertion_type"), ":jwt-bearer") {
		t.Errorf("%v", g.tokens)
	}
}

// Each cloud has its own Graph, and a token's own tenant gives the token for it.
func TestAddressesOfGraph(t *testing.T) {
	t.Parallel()
	hosts := []string{graphHost("global"), graphHost("us"), graphHost("us-dod"), graphHost("china")}
	if want := []string{"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn"}; !slices.Equal(hosts, want) {
		t.Errorf("%v", hosts)
	}
	const common = "https://login.microsoftonline.com/organizations/oauth2/v2.0/token"
	d := &discoverer{now: time.Now, last: &metadata{token: common, fetched: time.Now()}}
	g := newGraph(Config{Provider: config.Provider{Preset: text("microsoft"), GroupOverage: text("graph")}}, nil, d)
	if m, err := g.at(t.Context(), contoso); err != nil || m.token != "https://login.microsoftonline.com/"+contoso+"/oauth2/v2.0/token" || d.last.token != common {
		t.Errorf("%+v, %v", m, err)
	}
	for _, section := range []config.Provider{{Preset: text("microsoft"), GroupOverage: text("refuse")}, {Preset: text("okta"), GroupOverage: text("graph")}} {
		if newGraph(Config{Provider: section}, nil, d) != nil {
			t.Errorf("%s asks Graph", section.Preset.Value)
		}
	}
}
