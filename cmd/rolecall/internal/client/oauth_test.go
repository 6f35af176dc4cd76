package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestASignInGivesTokensBoundToOneKey(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	c := f.person()
	var asked url.Values
	err := c.Login(t.Context(), true, func(address string) {
		u, err := url.Parse(address)
		if err != nil {
			t.Error(err)
		}
		asked = u.Query()
		visit(t, address, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"client_id": "rolecall-cli", "response_type": "code", "code_challenge_method": "S256", "scope": "openid offline_access", "prompt": "login",
	} {
		if got := asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if to := asked.Get("redirect_uri"); !strings.HasPrefix(to, "http://127.0.0.1:") || !strings.HasSuffix(to, "/callback") {
		t.Errorf("redirect_uri is %q", to)
	}
	if len(asked.Get("state")) < 26 || len(asked.Get("code_challenge")) != 43 {
		t.Errorf("state %q, code_challenge %q", asked.Get("state"), asked.Get("code_challenge"))
	}
	who, err := c.Identity(t.Context()) // the fake broker checks the proof
	if err != nil || who.Username != "alice" {
		t.Errorf("%v, %v", who, err)
	}
	if remembered, err := c.settings.Remembered(); err != nil || remembered != f.URL {
		t.Errorf("remembered %q, %v", remembered, err)
	}
}

func TestARefusedSignInLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	for name, change := range map[string]func(url.Values){
		"another code":  func(q url.Values) { q.Set("code", "stolen") },
		"another issue": func(q url.Values) { q.Set("iss", "https://evil.example") },
	} {
		c := f.person()
		if err := c.Login(t.Context(), false, func(address string) { visit(t, address, change) }); err == nil {
			t.Errorf("%s: signed in", name)
		}
		if left, _ := os.ReadDir(c.settings.Dir); len(left) != 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

// Codes, verifiers and tokens go to the broker itself, whatever its document says.
func TestADocumentThatNamesAForeignEndpointIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "revocation_endpoint", "device_authorization_endpoint"} {
		for _, to := range []string{"https://evil.example/token", "http://127.0.0.1:1/token", "SELFevil/token", "/oauth2/token", "javascript:alert(1)"} {
			f := newFakeBroker(t)
			f.document[name] = strings.ReplaceAll(to, "SELF", f.URL)
			err := f.person().Login(t.Context(), false, func(address string) { t.Errorf("%s %s: a browser was sent to %s", name, to, address) })
			if err == nil || !strings.Contains(err.Error(), "names an endpoint elsewhere") {
				t.Errorf("%s %s: %v", name, to, err)
			}
		}
	}
	f := newFakeBroker(t)
	delete(f.document, "token_endpoint")
	if err := f.person().Login(t.Context(), false, func(string) {}); err == nil {
		t.Error("a document without a token endpoint was taken")
	}
}

func TestWhatIsNoBrokerIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"no such page": {http.NotFound, "404 Not Found; is it the address of a rolecall broker?"},
		"a web page":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "is not the document of a rolecall broker"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		},
			"302 Found; is it the address"},
	} {
		f := newFakeBroker(t)
		f.Config.Handler = c.answer
		if err := f.person().Login(t.Context(), false, func(string) {}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := newFakeBroker(t)
	c := f.person()
	signIn(t, c)
	f.Close()
	if _, err := c.Identity(t.Context()); err == nil || !strings.Contains(err.Error(), f.URL+" cannot be reached: ") || errors.Is(err, ErrSignedOut) {
		t.Errorf("a broker that is down: %v", err)
	}
	if !c.SignedIn() {
		t.Error("a broker that is down signs people out")
	}
}

// However many helpers start at once, one rotates the refresh token: a second use
// of it would end the sign-in.
func TestOfManyProcessesOneRefreshes(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	dir := t.TempDir()
	f.life = time.Second // below the margin: every token is due at once
	signIn(t, f.in(dir))
	f.life = time.Hour
	var group sync.WaitGroup
	for range 25 { // each with a lock, a vault and connections of its own
		group.Go(func() {
			if _, err := f.in(dir).Identity(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if f.turns != 1 {
		t.Errorf("refreshed %d times", f.turns)
	}
}

func TestARefreshKeepsWhatItGot(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	f.life = time.Second
	c := f.person()
	signIn(t, c)
	for i := range 3 { // each uses the refresh token of the one before
		if _, err := c.Identity(t.Context()); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if f.turns != 3 {
		t.Errorf("refreshed %d times, want 3", f.turns)
	}
}

func TestAnEndedSignInSaysSo(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	f.life = time.Second
	c := f.person()
	signIn(t, c)
	f.refresh = "revoked by an administrator"
	if _, err := c.Identity(t.Context()); !errors.Is(err, ErrSignedOut) || !strings.Contains(err.Error(), "the sign-in has ended") {
		t.Errorf("%v", err)
	}
	if _, err := f.person().Identity(t.Context()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("never signed in: %v", err)
	}
}

func TestRefusalsOfTheBrokerKeepTheirCode(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	c := f.person()
	signIn(t, c)
	for _, a := range []struct {
		status    int
		body      string
		code      string
		says      string
		signedOut bool
	}{
		{401, `{"error":"insufficient_user_authentication","error_description":"Sign in again.","request_id":"R1"}`, "insufficient_user_authentication", "Sign in again. (request R1)", false},
		{403, `{"error":"access_denied","error_description":"Not granted.","request_id":"R2"}`, "access_denied", "Not granted. (request R2)", false},
		{401, `{"error":"invalid_token","error_description":"Unknown token."}`, "invalid_token", "not signed in: Unknown token.", true},
		{401, `{"error":"unauthenticated"}`, "unauthenticated", "not signed in: the broker answered 401", true},
		{502, `<html>a proxy</html>`, "", "the broker answered 502", false},
		{429, `{"error":"rate_limited","error_description":"Wait."}`, "rate_limited", "Wait.", false},
	} {
		f.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(a.status)
			fmt.Fprint(w, a.body)
		}
		_, err := c.Credentials(t.Context(), "production/Admin", "")
		refused, ok := errors.AsType[*APIError](err)
		if !ok || refused.Code != a.code || refused.Status != a.status || err.Error() != a.says || errors.Is(err, ErrSignedOut) != a.signedOut {
			t.Errorf("%s: %v", a.body, err)
		}
	}
}

func TestLogoutRevokesAndForgets(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	c := f.person()
	signIn(t, c)
	if err := c.Logout(t.Context()); err != nil || len(f.revoked) != 1 || f.revoked[0] != "refresh-0" {
		t.Errorf("revoked %v, %v", f.revoked, err)
	}
	if c.SignedIn() {
		t.Error("still signed in")
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
	signIn(t, c)
	f.Close()
	if err := c.Logout(t.Context()); err == nil || !strings.Contains(err.Error(), "forgotten here, but the broker could not be told") || c.SignedIn() {
		t.Errorf("with the broker down: %v", err)
	}
}

func TestTheDeviceFlowIsForBrokersThatHaveIt(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	if err := f.person().LoginByDevice(t.Context(), nil); !errors.Is(err, ErrNoDeviceFlow) {
		t.Errorf("%v", err)
	}
	f.document["device_authorization_endpoint"] = f.URL + "/oauth2/device"
	f.pending = 1
	c := f.person()
	err := c.LoginByDevice(t.Context(), func(address, code string) {
		if address != f.URL+"/device" || code != "BCDF-GHJK" {
			t.Errorf("announced %s %s", address, code)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := c.Identity(t.Context()); err != nil || who.Username != "alice" {
		t.Errorf("%v, %v", who, err)
	}
}
