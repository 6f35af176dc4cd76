package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
)

func listen(t *testing.T) *callback {
	t.Helper()
	c, err := listenForCallback(t.Context(), "https://sso.example.com")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func (c *callback) good() url.Values {
	return url.Values{"code": {"the-code"}, "state": {c.state}, "iss": {"https://sso.example.com"}}
}

// send gives status, page and headers of one request to the listener.
func (c *callback) send(t *testing.T, method, path string, q url.Values, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+c.listener.Addr().String()+path+"?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// None of these may end the wait, whatever they carry: anybody on the machine, and
// any page in any browser, can send them.
func TestStrangersAreTurnedAwayAndTheWaitGoesOn(t *testing.T) {
	t.Parallel()
	c := listen(t)
	_, port, _ := strings.Cut(c.listener.Addr().String(), ":")
	with := func(name string, values ...string) url.Values {
		q := c.good()
		q[name] = values
		return q
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for name, a := range map[string]struct {
		method, path string
		q            url.Values
		change       func(*http.Request)
	}{
		"another state":            {"GET", "/callback", with("state", "guess"), nil},
		"no state":                 {"GET", "/callback", with("state"), nil},
		"an empty state":           {"GET", "/callback", with("state", ""), nil},
		"two states":               {"GET", "/callback", with("state", c.state, c.state), nil},
		"an error, no state":       {"GET", "/callback", url.Values{"error": {"access_denied"}, "iss": {"https://sso.example.com"}}, nil},
		"a rebound name":           {"GET", "/callback", c.good(), host("evil.example:" + port)},
		"localhost":                {"GET", "/callback", c.good(), host("localhost:" + port)},
		"another port in the Host": {"GET", "/callback", c.good(), host("127.0.0.1:1")},
		"another path":             {"GET", "/", c.good(), nil},
		"a longer path":            {"GET", "/callback/", c.good(), nil},
		"a path in disguise":       {"GET", "/%63allback", c.good(), nil},
		"a path with dots":         {"GET", "/x/../callback", c.good(), nil},
		"POST":                     {"POST", "/callback", c.good(), nil},
		"HEAD":                     {"HEAD", "/callback", c.good(), nil},
		"a preflight":              {"OPTIONS", "/callback", c.good(), nil},
	} {
		status, page, header := c.send(t, a.method, a.path, a.q, a.change)
		if status != http.StatusBadRequest || strings.Contains(page, "You are") || strings.Contains(page, "the-code") {
			t.Errorf("%s: %d %s", name, status, page)
		}
		if header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: another page may read the answer", name)
		}
		select {
		case got := <-c.answer:
			t.Fatalf("%s ended the wait with %q, %v", name, got.code, got.err)
		default:
		}
	}
	if status, page, _ := c.send(t, "GET", "/callback", c.good(), nil); status != 200 || !strings.Contains(page, "You are signed in") {
		t.Errorf("the right answer after all these: %d %s", status, page)
	}
	if code, err := c.wait(t.Context()); code != "the-code" || err != nil {
		t.Errorf("%q, %v", code, err)
	}
}

func TestOneAnswerCounts(t *testing.T) {
	t.Parallel()
	c := listen(t)
	c.send(t, "GET", "/callback", c.good(), nil)
	second := c.good()
	second.Set("code", "another")
	if status, page, _ := c.send(t, "GET", "/callback", second, nil); status != 400 || !strings.Contains(page, "not the sign-in") {
		t.Errorf("a second answer: %d %s", status, page)
	}
	if code, err := c.wait(t.Context()); code != "the-code" || err != nil {
		t.Errorf("%q, %v", code, err)
	}
	if _, err := http.Get("http://" + c.listener.Addr().String() + "/callback"); err == nil {
		t.Error("the listener is still there after the answer")
	}
}

// With our state but without a code of our broker: the sign-in ends, and says why.
func TestAWrongAnswerEndsTheSignIn(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]struct {
		change func(url.Values)
		says   string
	}{
		"of another server":     {func(q url.Values) { q.Set("iss", "https://evil.example") }, "did not come from this broker"},
		"of a server unnamed":   {func(q url.Values) { q.Del("iss") }, "did not come from this broker"},
		"of two servers":        {func(q url.Values) { q.Add("iss", "https://evil.example") }, "did not come from this broker"},
		"declined":              {func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, "declined"},
		"a refusal":             {func(q url.Values) { q.Set("error", "server_error"); q.Set("error_description", "down\x1b[31m") }, `"server_error": "down\x1b[31m"`},
		"no code":               {func(q url.Values) { q.Del("code") }, "no code"},
		"two codes":             {func(q url.Values) { q.Add("code", "x") }, "no code"},
		"a refusal and no more": {func(q url.Values) { q.Del("code"); q.Set("error", strings.Repeat("x", 5000)) }, "xxx"},
	} {
		c := listen(t)
		q := c.good()
		a.change(q)
		status, page, _ := c.send(t, "GET", "/callback", q, nil)
		if status != 200 || !strings.Contains(page, "You are not signed in") || strings.Contains(page, "evil") || strings.Contains(page, "down") {
			t.Errorf("%s: %d %s", name, status, page)
		}
		code, err := c.wait(t.Context())
		if code != "" || err == nil || !strings.Contains(err.Error(), a.says) || len(err.Error()) > 400 {
			t.Errorf("%s: %q, %v; want %q", name, code, err, a.says)
		}
	}
}

func TestThePageIsSafeToShow(t *testing.T) {
	t.Parallel()
	c := listen(t)
	_, text, header := c.send(t, "GET", "/callback", c.good(), nil)
	policy := header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src data:", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, never := range []string{"<script", "<style", " style=", "{{", "the-code", c.state, "http://", "https://"} {
		if strings.Contains(text, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if !strings.Contains(text, `<link rel="stylesheet" href="data:text/css;base64,LyogVGhl`) || !strings.Contains(text, `lang="en"`) {
		t.Errorf("the page is plain: %.600s", text)
	}
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &callback{answer: make(chan result, 1)}
		if _, err := c.wait(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody signed in within") {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("after Ctrl-C: %v", err)
		}
	})
}
