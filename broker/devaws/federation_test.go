package devaws_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/rolecall/rolecall/broker/devaws"
)

// browser keeps cookies and follows redirects.
func browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar}
}

func (c *cloud) do(client *http.Client, method, path string, form url.Values) (*http.Response, string) {
	c.t.Helper()
	address, body := c.url+path, io.Reader(nil)
	if method == http.MethodGet && form != nil {
		address += "?" + form.Encode()
	} else if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(text)
}

func sessionJSON(k *types.Credentials) string {
	text, _ := json.Marshal(map[string]string{"sessionId": *k.AccessKeyId, "sessionKey": *k.SecretAccessKey, "sessionToken": *k.SessionToken})
	return string(text)
}

// signinToken asks for a token; "" where it is refused.
func (c *cloud) signinToken(method string, k *types.Credentials, duration int) string {
	c.t.Helper()
	form := url.Values{"Action": {"getSigninToken"}, "Session": {sessionJSON(k)}}
	if duration != 0 {
		form.Set("SessionDuration", strconv.Itoa(duration))
	}
	res, text := c.do(http.DefaultClient, method, "/federation", form)
	if res.StatusCode == http.StatusBadRequest {
		if strings.Contains(text, *k.SecretAccessKey) || strings.Contains(text, *k.SessionToken) {
			c.t.Error("the refusal repeats the credentials")
		}
		return ""
	}
	var answer struct{ SigninToken string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/json" {
		c.t.Fatal(res.Status, text)
	}
	return answer.SigninToken
}

func (c *cloud) login(client *http.Client, token, destination, issuer string) (*http.Response, string) {
	c.t.Helper()
	return c.do(client, http.MethodGet, "/federation", url.Values{
		"Action": {"login"}, "Issuer": {issuer}, "Destination": {destination}, "SigninToken": {token},
	})
}

const portal = "https://sso.example.com/console?role=111122223333/Admin"

// alice is a session of Admin with a tag and a source identity.
func alice(c *cloud) *types.Credentials {
	in := order("Admin")
	in.SourceIdentity, in.Tags, in.TransitiveTagKeys = aws.String("corp=alice"), tags("team", "plat form"), []string{"team"}
	return c.assume(c.broker(), in).Credentials
}

func console(t *testing.T) *cloud {
	return start(t, map[string]string{"Admin": devaws.TrustPolicy("", brokerARN, "arn:aws:iam::111122223333:root")})
}

func TestTheConsoleShowsWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		c, client := console(t), browser()
		token := c.signinToken(method, alice(c), 0)
		res, page := c.login(client, token, c.url+"/console/s3/home?region=eu-west-1", portal)
		if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/console/s3/home" {
			t.Fatal(res.Status, res.Request.URL, page)
		}
		for _, want := range []string{
			"production", "111122223333", "arn:aws:iam::111122223333:role/Admin", "arn:aws:sts::111122223333:assumed-role/Admin/alice",
			"corp=alice", "team", "plat form", "transitive", "eu-west-1", "<strong>s3</strong>", `datetime="2026-11-23T10:00:00Z"`,
			`href="` + portal + `"`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %s", method, want)
			}
		}
		for _, unwanted := range []string{token, "<script", "style=", "<style"} {
			if strings.Contains(page, unwanted) {
				t.Errorf("the page holds %s", unwanted)
			}
		}
		h := res.Header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'") || h.Get("Cache-Control") != "no-store" ||
			h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Error(h)
		}
	}
}

func TestTheCookieIsForThisSiteAndNoScript(t *testing.T) {
	t.Parallel()
	c := console(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, _ := c.login(client, c.signinToken(http.MethodPost, alice(c), 0), c.url+"/console/", portal)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/console/" || res.Header.Get("Cache-Control") != "no-store" {
		t.Error(res.Status, res.Header)
	}
	cookies := res.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "devaws_console" || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || len(cookies[0].Value) < 43 {
		t.Error(cookies)
	}
}

func TestASigninTokenCountsOnceAndForFifteenMinutes(t *testing.T) {
	t.Parallel()
	c := console(t)
	k := alice(c)
	token := c.signinToken(http.MethodPost, k, 0)
	if res, _ := c.login(browser(), token, c.url+"/console/", portal); res.StatusCode != http.StatusOK {
		t.Error("first:", res.Status)
	}
	if res, _ := c.login(browser(), token, c.url+"/console/", portal); res.StatusCode != http.StatusBadRequest {
		t.Error("again:", res.Status)
	}
	token = c.signinToken(http.MethodPost, k, 0)
	c.wait(15 * time.Minute)
	if res, _ := c.login(browser(), token, c.url+"/console/", portal); res.StatusCode != http.StatusBadRequest {
		t.Error("late:", res.Status)
	}
}

func TestAConsoleSessionEndsWithItsCredentialsAndLinksBack(t *testing.T) {
	t.Parallel()
	c, client := console(t), browser()
	c.login(client, c.signinToken(http.MethodPost, alice(c), 0), c.url+"/console/", portal)
	c.wait(time.Hour - time.Second)
	if res, _ := c.do(client, http.MethodGet, "/console/", nil); res.StatusCode != http.StatusOK {
		t.Error("before:", res.Status)
	}
	c.wait(time.Second)
	res, page := c.do(client, http.MethodGet, "/console/ec2", nil)
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(page, "has ended") || !strings.Contains(page, `href="`+portal+`"`) {
		t.Error(res.Status, page)
	}
}

func TestASessionDurationOutlivesTheCredentials(t *testing.T) {
	t.Parallel()
	c, client := console(t), browser()
	c.login(client, c.signinToken(http.MethodPost, alice(c), 43200), c.url+"/console/", portal)
	c.wait(11 * time.Hour)
	if res, _ := c.do(client, http.MethodGet, "/console/", nil); res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
	c.wait(time.Hour)
	if res, _ := c.do(client, http.MethodGet, "/console/", nil); res.StatusCode != http.StatusUnauthorized {
		t.Error(res.Status)
	}
}

func TestASessionDurationIsRefusedForChainedCredentials(t *testing.T) {
	t.Parallel()
	c := console(t)
	chained := c.assume(c.as(c.assume(c.broker(), order("Admin")).Credentials), order("Admin")).Credentials
	if c.signinToken(http.MethodPost, chained, 3600) != "" {
		t.Error("a duration was taken")
	}
	if c.signinToken(http.MethodPost, chained, 0) == "" {
		t.Error("without a duration it was refused")
	}
	for _, seconds := range []int{-1, 899, 43201} {
		if c.signinToken(http.MethodPost, alice(c), seconds) != "" {
			t.Errorf("%d s were taken", seconds)
		}
	}
}

func TestBadCredentialsGetNoSigninToken(t *testing.T) {
	t.Parallel()
	c := console(t)
	k, other := alice(c), alice(c)
	for name, bad := range map[string]types.Credentials{
		"another session's secret": {AccessKeyId: k.AccessKeyId, SecretAccessKey: other.SecretAccessKey, SessionToken: k.SessionToken},
		"another session's token":  {AccessKeyId: k.AccessKeyId, SecretAccessKey: k.SecretAccessKey, SessionToken: other.SessionToken},
		"an unknown key":           {AccessKeyId: aws.String("ASIANOBODY0000000001"), SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken},
		"a long-term key":          {AccessKeyId: aws.String(brokerKey), SecretAccessKey: aws.String(brokerWord), SessionToken: aws.String("")},
	} {
		if bad.SessionToken != nil && *bad.SessionToken == "" {
			res, _ := c.do(http.DefaultClient, http.MethodPost, "/federation", url.Values{"Action": {"getSigninToken"}, "Session": {sessionJSON(&bad)}})
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s", name, res.Status)
			}
		} else if c.signinToken(http.MethodPost, &bad, 0) != "" {
			t.Errorf("%s got a token", name)
		}
	}
	c.wait(time.Hour)
	if c.signinToken(http.MethodPost, k, 0) != "" {
		t.Error("expired credentials got a token")
	}
}

func TestASignInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	c := console(t)
	token := c.signinToken(http.MethodPost, alice(c), 0)
	host := strings.TrimPrefix(c.url, "http://")
	for _, destination := range []string{
		"", "/console/", "https://evil.example/console/", "//evil.example/console/", "http://" + host + ".evil.example/console/",
		"http://user@" + host + "/console/", "https://" + host + "/console/", c.url, c.url + "/", c.url + "/consolex", c.url + "/federation",
		"javascript:alert(1)//" + host + "/console/", "http:" + host + "/console/", c.url + "\\@evil.example/console/",
	} {
		if res, _ := c.login(browser(), token, destination, portal); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", destination, res.Status)
		}
	}
	if res, _ := c.login(browser(), token, c.url+"/console/", portal); res.StatusCode != http.StatusOK {
		t.Errorf("the token was used up by refusals: %s", res.Status)
	}
}

func TestAnIssuerThatIsNoWebAddressIsNotLinked(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"javascript:alert(1)", "data:text/html,x", "sso.example.com", `https:"><script>`, "https://" + strings.Repeat("a", 3000)} {
		c, client := console(t), browser()
		_, page := c.login(client, c.signinToken(http.MethodPost, alice(c), 0), c.url+"/console/", issuer)
		if strings.Contains(page, "Other roles are at") || strings.Contains(page, "javascript:") || strings.Contains(page, "<script") {
			t.Errorf("%.40q is on the page", issuer)
		}
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	t.Parallel()
	c, client := console(t), browser()
	c.login(client, c.signinToken(http.MethodPost, alice(c), 0), c.url+"/console/", portal)
	copied := browser() // somebody who copied the cookie
	at, _ := url.Parse(c.url)
	copied.Jar.SetCookies(at, client.Jar.Cookies(at))
	c.do(client, http.MethodPost, "/console/signout", url.Values{})
	for who, client := range map[string]*http.Client{"the browser": client, "the copy": copied} {
		if res, page := c.do(client, http.MethodGet, "/console/", nil); res.StatusCode != http.StatusUnauthorized || !strings.Contains(page, "not signed in") {
			t.Errorf("%s: %s", who, res.Status)
		}
	}
}

func TestOtherCallsOfTheFederationEndpointAreRefused(t *testing.T) {
	t.Parallel()
	c := console(t)
	for name, form := range map[string]url.Values{
		"no action":             {},
		"another action":        {"Action": {"logout"}},
		"no session":            {"Action": {"getSigninToken"}},
		"a session of no JSON":  {"Action": {"getSigninToken"}, "Session": {"x"}},
		"a form that is a book": {"Action": {"getSigninToken"}, "Session": {strings.Repeat("x", 65<<10)}},
	} {
		if res, _ := c.do(http.DefaultClient, http.MethodPost, "/federation", form); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
}

func TestTheOriginSaysWhatItIs(t *testing.T) {
	t.Parallel()
	c := console(t)
	res, page := c.do(http.DefaultClient, http.MethodGet, "/", nil)
	if res.StatusCode != http.StatusOK || !strings.Contains(page, "stand-in for AWS") || !strings.Contains(page, c.url) {
		t.Error(res.Status, page)
	}
	if res, css := c.do(http.DefaultClient, http.MethodGet, "/assets/devaws.css", nil); res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") || css == "" {
		t.Error(res.Status, res.Header)
	}
	if res, _ := c.do(http.DefaultClient, http.MethodGet, "/assets/", nil); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
}

func TestTheLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	var b syncBuffer
	c := start(t, map[string]string{"Admin": devaws.TrustPolicy("tenant-CANARY", brokerARN)}, func(cfg *devaws.Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	in := order("Admin")
	in.ExternalId = aws.String("tenant-CANARY")
	k := c.assume(c.broker(), in).Credentials
	for _, bad := range []string{"tenant-CANARY-2", "tenant CANARY"} {
		in.ExternalId = aws.String(bad)
		if _, err := c.broker().AssumeRole(t.Context(), in); err == nil {
			t.Error("accepted")
		}
	}
	token := c.signinToken(http.MethodPost, k, 0)
	c.login(browser(), token, "https://evil.example/", portal)
	c.login(browser(), token, c.url+"/console/", portal)
	c.login(browser(), token, c.url+"/console/", portal)
	c.signinToken(http.MethodPost, k, 1)
	text := b.String()
	if !strings.Contains(text, "AssumeRole denied") || !strings.Contains(text, "federation refused") {
		t.Error("the log does not say what was refused:", text)
	}
	for _, secret := range []string{"CANARY", *k.SecretAccessKey, *k.SessionToken, token, brokerWord} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
