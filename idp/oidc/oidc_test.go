package oidc

import (
	"encoding/json"
	"errors"
	"html"
	"io"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/devidp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestFaultsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*config.Provider){
		"issuer \"\" is not an absolute URL":      func(c *config.Provider) { c.Issuer.Value = "" },
		"must use https":                          func(c *config.Provider) { c.Issuer.Value = "http://idp.example.com" },
		"has a query":                             func(c *config.Provider) { c.Issuer.Value = "https://idp.example.com?x" },
		"allow_private would allow that":          func(c *config.Provider) { c.AllowPrivate = false },
		"client_id is missing":                    func(c *config.Provider) { c.ClientID.Value = "" },
		"algorithm \"HS256\" is not one of":       func(c *config.Provider) { c.Algorithms = []config.Text{text("RS256"), text("HS256")} },
		"algorithm \"none\" is not one of":        func(c *config.Provider) { c.Algorithms = []config.Text{text("none")} },
		"audiences holds an empty value":          func(c *config.Provider) { c.Audiences = []string{""} },
		"scope \"a b\" is not one scope":          func(c *config.Provider) { c.Scopes = []string{"a b"} },
		"jwks_file: stat":                         func(c *config.Provider) { c.JWKSFile = text("absent.json") },
		"require gives string, not true or false": func(c *config.Provider) { c.Require = text(`"x"`) },
		"it is a CEL condition over claims":       func(c *config.Provider) { c.Require = text(`identity.sub == "x"`) },
		"Syntax error":                            func(c *config.Provider) { c.Require = text(`claims.`) },
	} {
		op := &idptest.OP{Issuer: "http://127.0.0.1:1", ClientID: "c"}
		s := section(op)
		change(&s)
		_, err := New(Config{Provider: s, URL: "https://broker.example"})
		var faults config.Faults
		if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
			continue
		}
		if at := faults[0].Pos.String(); strings.HasPrefix(want, "algorithm") && at != "f.yaml:7" {
			t.Errorf("%s: at %s", want, at)
		}
	}
}

func TestKeysFromAFileNeedNoNetwork(t *testing.T) {
	t.Parallel()
	c := newClock()
	op := idptest.StartOP(t, c.now)
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: op.Key().Private.Public(), KeyID: op.Key().ID}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p := provider(t, op, c, func(s *config.Provider) { s.JWKSFile = text(file) })
	if _, err := p.Verify(t.Context(), op.Sign(op.Key(), op.Claims(), nil)); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
		if op.Hits(path) != 0 {
			t.Errorf("%s was fetched", path)
		}
	}
}

func TestROCAKeysAreRecognised(t *testing.T) {
	t.Parallel()
	// A modulus as the broken generator makes it: 65537^c modulo the product of the small primes.
	product := big.NewInt(1)
	for p := int64(2); p <= 167; p++ {
		if big.NewInt(p).ProbablyPrime(20) {
			product.Mul(product, big.NewInt(p))
		}
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), product)
	n.Add(n, new(big.Int).Mul(product, new(big.Int).Lsh(big.NewInt(987654321), 1800)))
	if !roca(n) {
		t.Error("a broken key is not recognised")
	}
	if roca(new(big.Int).Add(n, big.NewInt(2))) {
		t.Error("a good key is taken for a broken one")
	}
}

// TestSignInAtTheDevelopmentProvider goes the whole way over devidp, form and all.
func TestSignInAtTheDevelopmentProvider(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	dev, err := devidp.New(devidp.Config{
		URL:    address,
		People: []devidp.Person{{Username: "bob", Password: secret.New("pw"), Name: "Bob", Email: "bob@example.com", Groups: []string{"developers"}}},
		Clients: []devidp.Client{{
			ID: "rolecall", Secret: secret.New("s"), RedirectURIs: []string{"https://broker.example/oidc/dev/callback"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = dev
	server.Start()
	defer server.Close()
	s := config.Provider{Name: text("dev"), Issuer: text(address + "/oidc"), ClientID: text("rolecall"), ClientSecret: secret.New("s"), AllowPrivate: true}
	s.Groups.Claim, s.Username.Claim = text("groups"), text("email")
	p, err := New(Config{Provider: s, URL: "https://broker.example/", Fetch: client(t, 30*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	browser := loopbackBrowser(t)
	for _, want := range []idp.Want{{Handle: "one"}, {Handle: "two", Fresh: true}, {Handle: "three", MaxAge: time.Hour}} {
		to, pending, err := p.Begin(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		login, err := p.Finish(t.Context(), pending, answer(visit(t, browser, address, to.URL)))
		if err != nil {
			t.Fatal(err)
		}
		id := login.Identity
		if diff := cmp.Diff([]any{"bob", "bob@example.com", []string{"developers"}, []string{"pwd"}}, []any{id.Subject, id.Username, id.Groups, id.Methods}); diff != "" {
			t.Error(diff)
		}
	}
}

func loopbackBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// visit follows an authorization URL, fills in the form if there is one, and
// gives the query that leads back.
func visit(t *testing.T, browser *http.Client, origin, address string) url.Values {
	t.Helper()
	resp, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`name="asked" value="([^"]*)"`).FindSubmatch(page); m != nil {
		resp, err = browser.PostForm(origin+"/login", url.Values{"asked": {html.UnescapeString(string(m[1]))}, "username": {"bob"}, "password": {"pw"}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	back, err := resp.Location()
	if err != nil {
		t.Fatalf("no way back (status %d): %s", resp.StatusCode, page)
	}
	return back.Query()
}
