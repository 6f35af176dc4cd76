package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/token"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const redirectURI = "http://127.0.0.1:49152/callback"

// site is the authorization server on a loopback port, with real sessions and a
// real store. Its /login signs alice in at once; /me is a protected resource.
type site struct {
	url      string
	sessions *session.Sessions
	oauth    *oauth.Server
	cookies  endpoint.Cookies

	mu     sync.Mutex
	events []audit.Event
	logins []url.Values
	// ordered is what came to the Exchanger.
	ordered []broker.ExchangeRequest
}

func newSite(t *testing.T) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &site{url: "http://" + server.Listener.Addr().String()}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	log := slog.New(slog.DiscardHandler)
	s.sessions = session.NewSessions(session.Config{Store: store, Now: time.Now})
	published, err := issuer.New(issuer.Config{URL: s.url, Keys: newKeys(t), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.oauth = oauth.New(oauth.Config{
		URL: s.url, Sessions: s.sessions, Tokens: session.NewTokens(store, time.Now), Issuer: published, Broker: s,
		Replay: replay.New(replay.Config{Store: store, Now: time.Now}), Limit: limit.New(limit.Config{Now: time.Now}), Audit: s,
		RefreshMax: 12 * time.Hour, Log: log, Now: time.Now,
	})
	address, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = endpoint.New(endpoint.Config{URL: address, Problems: pages{}, Log: log, Now: time.Now},
		token.Endpoint{Service: s.oauth, Extensions: s.oauth, Exchanger: s, Audiences: []string{s.url}, Now: time.Now, Sessions: s, Metadata: published, Pages: pages{}, Cookies: s.cookies}, s)
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// Mount puts what is not ours to test beside it.
func (s *site) Mount(mux *endpoint.Mux) {
	mux.Page("GET /login", func(w http.ResponseWriter, r *http.Request) error {
		s.mu.Lock()
		s.logins = append(s.logins, r.URL.Query())
		s.mu.Unlock()
		value, made, err := s.sessions.Create(r.Context(), session.New{Via: "browser", Login: idp.Login{Identity: idp.Identity{
			Provider: "corp", Subject: "alice-id", Username: "alice", Groups: []string{"platform"}, Methods: []string{"pwd"}, AuthenticatedAt: time.Now(),
		}}})
		if err != nil {
			return err
		}
		s.cookies.SetSession(w, secret.New(value), made.Expires)
		http.Redirect(w, r, r.URL.Query().Get("return_to"), http.StatusSeeOther)
		return nil
	})
	mux.API("GET /me", func(w http.ResponseWriter, r *http.Request) error {
		caller, err := s.oauth.AuthenticateRequest(r.Context(), endpoint.Origin(r), r)
		if err != nil {
			return err
		}
		return endpoint.WriteJSON(w, http.StatusOK, caller.Identity)
	})
}

// Session implements token.Sessions.
func (s *site) Session(ctx context.Context, _ broker.Origin, value string) (broker.Caller, error) {
	found, err := s.sessions.Get(ctx, value)
	if errors.Is(err, session.ErrNotFound) {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Sign in.")
	}
	return broker.CallerOf(found), err
}

// Append implements oauth.Auditor.
func (s *site) Append(_ context.Context, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

// TurnedAway implements oauth.Broker.
func (s *site) TurnedAway(context.Context, broker.Origin, string) {}

// Admit implements oauth.Broker: the evidence "good" is carol's.
func (s *site) Admit(_ context.Context, _ broker.Origin, e broker.Evidence) (broker.Caller, error) {
	switch e.Token.Reveal() {
	case "good":
		return broker.Caller{Identity: idp.Identity{Provider: "ci", Subject: "carol", Username: "carol"}, Session: "hash", Via: broker.ViaExchange, Since: time.Now()}, nil
	case "large":
		return broker.Caller{}, broker.Fail(broker.TooLarge, "too_large", "The token is too large.")
	}
	return broker.Caller{}, broker.Fail(broker.Unauthenticated, "expired", "The token was not accepted (expired).")
}

// Exchange implements token.Exchanger.
func (s *site) Exchange(ctx context.Context, req broker.ExchangeRequest) (broker.Vended, error) {
	if _, err := s.Admit(ctx, req.Origin, req.Evidence); err != nil {
		return broker.Vended{}, err
	}
	s.mu.Lock()
	s.ordered = append(s.ordered, req)
	s.mu.Unlock()
	switch req.Order.Role {
	case "production/Forbidden":
		return broker.Vended{}, broker.Fail(broker.AccessDenied, "role_not_granted", "This role is not granted to you.")
	case "production/Vault":
		e := broker.Fail(broker.StepUp, "step_up", "This role needs a fresh sign-in.")
		e.MaxAge = 5 * time.Minute
		return broker.Vended{}, e
	}
	return broker.Vended{Stale: req.Order.Role == "production/Stale", Credentials: iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New("a-secret"), SessionToken: secret.New("a-token"),
		Expires: time.Now().Add(time.Hour), AccountID: "111122223333",
	}}, nil
}

// pages are as plain as pages can be.
type pages struct{}

var consent = template.Must(template.New("").Parse(`<form method="post" action="/oauth2/authorize">` +
	`<input type="hidden" name="csrf" value="{{.CSRF}}">{{range .Fields}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">{{end}}` +
	`<p>{{.Client}} for {{.Username}} at {{.RedirectURI}}{{range .Abilities}}<li>{{.}}{{end}}</p>` +
	`<button name="decision" value="approve">Allow</button><button name="decision" value="deny">Cancel</button></form>`))

func (pages) Consent(w http.ResponseWriter, _ *http.Request, view token.ConsentView) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return consent.Execute(w, view)
}

func (pages) Problem(w http.ResponseWriter, _ *http.Request, p endpoint.Problem) error {
	w.WriteHeader(p.Status)
	_, err := io.WriteString(w, "problem: "+p.Reason+": "+p.Message+" "+p.RequestID)
	return err
}

// keys signs with one RSA key.
type keys struct {
	signer jose.Signer
	public jose.JSONWebKeySet
}

func newKeys(t *testing.T) *keys {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	return &keys{signer, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}}}
}

func (k *keys) SignJWT(_ context.Context, _ string, claims []byte) (string, error) {
	signed, err := k.signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (k *keys) Public(context.Context) (jose.JSONWebKeySet, error) { return k.public, nil }

// browser has cookies and follows no redirect by itself.
type browser struct {
	*http.Client
	t    *testing.T
	site *site
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t, s}
}

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	text string
}

func (b *browser) send(r *http.Request) answer {
	b.t.Helper()
	response, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{response, string(body)}
}

func (b *browser) get(address string) answer {
	b.t.Helper()
	return b.send(b.request(http.MethodGet, address, nil))
}

func (b *browser) request(method, address string, form url.Values) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.site.url + address
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (b *browser) post(address string, form url.Values) answer {
	b.t.Helper()
	return b.send(b.request(http.MethodPost, address, form))
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// form reads the consent page.
func form(page string) url.Values {
	values := url.Values{}
	for _, found := range hidden.FindAllStringSubmatch(page, -1) {
		values.Add(found[1], strings.NewReplacer("&#43;", "+", "&#34;", `"`, "&amp;", "&").Replace(found[2]))
	}
	return values
}

// consents goes to address, signs in, and stops at the consent page.
func (b *browser) consents(address string) answer {
	b.t.Helper()
	for range 5 {
		a := b.get(address)
		if a.StatusCode != http.StatusSeeOther {
			return a
		}
		address = a.Header.Get("Location")
	}
	b.t.Fatal("too many redirects")
	return answer{}
}

// approve goes to address, signs in, allows, and gives the redirect to the client.
func (b *browser) approve(address string) string {
	b.t.Helper()
	page := b.consents(address)
	values := form(page.text)
	values.Set("decision", "approve")
	a := b.post("/oauth2/authorize", values)
	to := a.Header.Get("Location")
	if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, redirectURI+"?") {
		b.t.Fatalf("got %d to %q: %s", a.StatusCode, to, a.text)
	}
	return to
}

// decoded reads a JSON answer.
func (a answer) decoded(t *testing.T) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(a.text), &m); err != nil {
		t.Fatalf("%d %q: %v", a.StatusCode, a.text, err)
	}
	return m
}
