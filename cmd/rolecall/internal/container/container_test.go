package container

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
)

const token = "the-token-of-this-test-which-nobody-guesses"

var document = iam.ProcessDocument{
	Version: 1, AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "the secret", SessionToken: "the session",
	Expiration: time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC), AccountID: "111122223333",
}

// fixed serves one role, and counts who got that far.
type fixed struct{ asked []string }

func (f *fixed) Credentials(_ context.Context, role string) (iam.ProcessDocument, error) {
	f.asked = append(f.asked, role)
	if role != "production/Admin" {
		return iam.ProcessDocument{}, ErrUnknownRole
	}
	return document, nil
}

func start(t *testing.T, source Source) *Server {
	t.Helper()
	s, err := Listen(t.Context(), 0, token, source)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func ask(t *testing.T, method, address string, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestAnSDKReadsWhatItWants(t *testing.T) {
	t.Parallel()
	s := start(t, &fixed{})
	status, body, header := ask(t, http.MethodGet, s.Address("production/Admin"), nil)
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %v %s", status, err, body)
	}
	want := map[string]string{"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "the secret", "Token": "the session", "Expiration": "2026-11-23T13:00:00Z", "AccountId": "111122223333"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", header)
	}
	escaped := strings.Replace(s.Address("production/Admin"), "production/Admin", "production%2FAdmin", 1)
	if status, body, _ := ask(t, http.MethodGet, escaped, nil); status != http.StatusOK {
		t.Errorf("the slash escaped: %d %s", status, body)
	}
}

// Each of these is somebody else: a page, a rebound name, a proxy, another user.
func TestOthersAreTurnedAwayBeforeAnythingIsLookedUp(t *testing.T) {
	t.Parallel()
	source := &fixed{}
	s := start(t, source)
	address := s.Address("production/Admin")
	_, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(value string) func(*http.Request) { return func(r *http.Request) { r.Host = value } }
	for name, c := range map[string]struct {
		method string
		change func(*http.Request)
		status int
	}{
		"a rebound name":             {"GET", host("evil.example:" + port), 421},
		"localhost":                  {"GET", host("localhost:" + port), 421},
		"no port":                    {"GET", host("127.0.0.1"), 421},
		"another port":               {"GET", host("127.0.0.1:1"), 421},
		"another spelling":           {"GET", host("127.1:" + port), 421},
		"a page's Origin":            {"GET", header("Origin", "https://evil.example"), 403},
		"our own Origin":             {"GET", header("Origin", "http://127.0.0.1:"+port), 403},
		"a Referer":                  {"GET", header("Referer", "https://evil.example/"), 403},
		"Sec-Fetch-Site cross-site":  {"GET", header("Sec-Fetch-Site", "cross-site"), 403},
		"Sec-Fetch-Site same-origin": {"GET", header("Sec-Fetch-Site", "same-origin"), 403},
		"a proxy":                    {"GET", header("X-Forwarded-For", "10.0.0.1"), 403},
		"a proxy of RFC 7239":        {"GET", header("Forwarded", "for=10.0.0.1"), 403},
		"a cookie":                   {"GET", header("Cookie", "a=b"), 403},
		"no token":                   {"GET", func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"an empty token":             {"GET", header("Authorization", ""), 401},
		"another token":              {"GET", header("Authorization", token[1:]+"x"), 401},
		"a token cut short":          {"GET", header("Authorization", token[:10]), 401},
		"a token and more":           {"GET", header("Authorization", token+"x"), 401},
		"Bearer":                     {"GET", header("Authorization", "Bearer "+token), 401},
		"two tokens":                 {"GET", func(r *http.Request) { r.Header.Add("Authorization", "x") }, 401},
		"POST":                       {"POST", nil, 405},
		"PUT":                        {"PUT", nil, 405},
		"HEAD":                       {"HEAD", nil, 405},
		"a preflight":                {"OPTIONS", header("Access-Control-Request-Method", "GET"), 405},
	} {
		status, body, answer := ask(t, c.method, address, c.change)
		if status != c.status || strings.Contains(body, "secret") || strings.Contains(body, token) {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
		for name := range answer {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("an answer has %s", name)
			}
		}
	}
	if len(source.asked) != 0 {
		t.Errorf("the source was asked for %v", source.asked)
	}
	if status, _, _ := ask(t, "GET", address, header("Sec-Fetch-Site", "none")); status != 200 {
		t.Errorf("Sec-Fetch-Site none: %d", status)
	}
}

func TestOtherPathsAndRolesHaveNothing(t *testing.T) {
	t.Parallel()
	s := start(t, &fixed{})
	base := strings.TrimSuffix(s.Address(""), "/credentials/")
	for path, want := range map[string]int{
		"/": 404, "/credentials": 404, "/credentials/": 404, "/credentialsx/production/Admin": 404,
		"/credentials/production/Owner": 503, "/credentials/../credentials/production/Admin": 503, "/x/../credentials/production/Admin": 404,
	} {
		if status, body, _ := ask(t, http.MethodGet, base+path, nil); status != want || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}

func TestTheListenerIsOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	s := start(t, &fixed{})
	if a, ok := s.listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		t.Errorf("it listens on %s", s.listener.Addr())
	}
	if _, err := Listen(t.Context(), uint16(s.listener.Addr().(*net.TCPAddr).Port), token, &fixed{}); err == nil { //nolint:gosec // a port fits
		t.Error("a taken port was taken again")
	}
}

func TestTokensAreLongAndNeverTheSame(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		one := NewToken()
		if len(one) < 52 || seen[one] || strings.ContainsAny(one, "\r\n ") {
			t.Fatalf("token %q", one)
		}
		seen[one] = true
	}
}
