package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/oauth2"
)

// deviceClient is a program on another machine, by a stock library.
func deviceClient(w world) oauth2.Config {
	return oauth2.Config{ClientID: "rolecall-cli", Scopes: []string{"openid", "offline_access"}, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: w.URL + "/oauth2/device_authorization", TokenURL: w.URL + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams,
	}}
}

func startDevice(t *testing.T, w world) *oauth2.DeviceAuthResponse {
	t.Helper()
	client := deviceClient(w)
	started, err := client.DeviceAuth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// polled asks once, as a client that does not wait, and gives the error.
func polled(t *testing.T, w world, started *oauth2.DeviceAuthResponse) string {
	t.Helper()
	resp, err := http.PostForm(w.URL+"/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"rolecall-cli"}, "device_code": {started.DeviceCode},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Error string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Error
}

const codeField, next = "input[name=user_code]:not([type=hidden])", `form[action="/device"] button`

// enter types a code into the page.
func enter(t *testing.T, ctx context.Context, w world, code string) {
	t.Helper()
	do(t, ctx, "type the code", chromedp.Navigate(w.URL+"/device"), visible(codeField), typeInto(codeField, code), click(next))
}

// again is the sign-in that the question demands, by the provider on the page.
func again(t *testing.T, ctx context.Context, w world, name string) {
	t.Helper()
	who, way := w.person(t, name), `a[href*="/`+w.OIDCProvider+`/login"]`
	do(t, ctx, "be sent to sign in", chromedp.WaitReady(chromedp.CSS(way)))
	if href := ask(t, ctx, "the way", chromedp.Evaluate[string](`document.querySelector('`+way+`').href`)); !strings.Contains(href, "fresh=1") {
		t.Errorf("the sign-in is not a fresh one: %s", href)
	}
	do(t, ctx, "sign in",
		chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('details').forEach(d => { d.open = true })"), click(way), visible("input[type=password]"),
		typeInto("input[name=username]", who.Name), typeInto("input[type=password]", who.Password+"\r"), visible(codeField))
}

func mainText(t *testing.T, ctx context.Context) string {
	t.Helper()
	return ask(t, ctx, "read", chromedp.TextContent(chromedp.CSS("main")))
}

func TestInChromiumAliceConnectsADevice(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ctx := chromium(t)
	chooseAndSignIn(t, ctx, w, w.OIDCProvider, "alice")
	asked := time.Now()
	started := startDevice(t, w)
	enter(t, ctx, w, strings.ToLower(strings.ReplaceAll(started.UserCode, "-", " ")))
	again(t, ctx, w, "alice") // her sign-in is older than the device's question
	if got := ask(t, ctx, "the code", chromedp.Evaluate[string](`document.querySelector('`+codeField+`').value`)); got != started.UserCode {
		t.Errorf("after the sign-in the code is %q, want %q", got, started.UserCode)
	}
	if got := polled(t, w, started); got != "authorization_pending" {
		t.Errorf("before the answer the device gets %q", got)
	}
	do(t, ctx, "see the question", click(next), visible(`button[value=approve]`))
	screenshot(t, ctx, "device-question")
	text := mainText(t, ctx)
	for _, part := range []string{started.UserCode, "rolecall CLI", "127.0.0.1", "your 3 roles", "alice"} {
		if !strings.Contains(text, part) {
			t.Errorf("the question does not say %q:\n%s", part, text)
		}
	}
	if now, later := asked.UTC().Format("15:04"), asked.Add(time.Minute).UTC().Format("15:04"); !strings.Contains(text, now) && !strings.Contains(text, later) {
		t.Errorf("the question does not say when it was asked, %s:\n%s", now, text)
	}
	do(t, ctx, "approve", click(`button[value=approve]`), chromedp.WaitNotPresent(chromedp.CSS(`button[value=approve]`)), visible("main h1"))
	if text := mainText(t, ctx); !strings.Contains(text, "connected") {
		t.Errorf("after the approval:\n%s", text)
	}
	screenshot(t, ctx, "device-connected")
	client := deviceClient(w)
	token, err := client.DeviceAccessToken(t.Context(), started)
	if err != nil || token.RefreshToken == "" {
		t.Fatalf("%+v, %v", token, err)
	}
	if got := polled(t, w, started); got != "expired_token" && got != "invalid_grant" {
		t.Errorf("a second use of the device code: %q", got)
	}
}

func TestInChromiumADeviceIsDeniedAndCodesAreNotGuessed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ctx := chromium(t)
	denied := startDevice(t, w)
	do(t, ctx, "open the link that fills in", chromedp.Navigate(denied.VerificationURIComplete))
	again(t, ctx, w, "bob")
	do(t, ctx, "see the question", click(next), visible(`button[value=deny]`))
	do(t, ctx, "deny", click(`button[value=deny]`), chromedp.WaitNotPresent(chromedp.CSS(`button[value=deny]`)), visible("main h1"))
	if text := mainText(t, ctx); !strings.Contains(text, "got nothing") {
		t.Errorf("after the denial:\n%s", text)
	}
	client := deviceClient(w)
	denied.Interval = 1
	var refused *oauth2.RetrieveError
	if _, err := client.DeviceAccessToken(t.Context(), denied); !errors.As(err, &refused) || refused.ErrorCode != "access_denied" {
		t.Errorf("the device that was denied: %v", err)
	}

	// One try is spent; four wrong ones more, and the right code is of no use.
	started := startDevice(t, w)
	for i := range 4 {
		enter(t, ctx, w, "BCDF-GHJ"+string("BCDF"[i]))
		do(t, ctx, "read the refusal", visible("main h1"), chromedp.WaitNotPresent(chromedp.CSS(codeField)))
		if text := mainText(t, ctx); !strings.Contains(text, "not known") {
			t.Fatalf("wrong code %d:\n%s", i, text)
		}
	}
	enter(t, ctx, w, started.UserCode)
	do(t, ctx, "be turned away", visible("main h1"), chromedp.WaitNotPresent(chromedp.CSS(codeField)))
	if text := mainText(t, ctx); !strings.Contains(strings.ToLower(text), "too many") {
		t.Errorf("the sixth try:\n%s", text)
	}
	screenshot(t, ctx, "device-limit")
	if got := polled(t, w, started); got != "authorization_pending" {
		t.Errorf("the device that nobody answered for gets %q", got)
	}
}
