package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium starts Debian's Chromium for one test; what its pages complain about
// (Content-Security-Policy, script errors) fails the test, and so does a request
// to anywhere but loopback.
func chromium(t *testing.T) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Listen(ctx, func(event any) { judge(t, event) }); err != nil {
		t.Fatalf("start Chromium (make deps installs it): %v", err)
	}
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// judge fails the test for what a page must not do.
func judge(t *testing.T, event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "status of 4") {
			t.Errorf("the browser complains: %s (%v)", e.Entry.Text, e.Entry.URL)
		}
	case *cdpruntime.EventExceptionThrown:
		t.Errorf("a script failed: %s", e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		url := e.Request.URL
		if !strings.HasPrefix(url, "http://127.0.0.1:") && !strings.HasPrefix(url, "data:") {
			t.Errorf("a page asked for %s", url)
		}
	}
}

// screenshot keeps a picture where SCREENSHOTS names a folder.
func screenshot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Error(err)
	}
}

// do runs actions that give nothing.
func do(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		at, _ := chromedp.Run(ctx, chromedp.Location())
		text, _ := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("body")))
		t.Fatalf("%s: %v\nat %s:\n%.1500s", what, err, at, text)
	}
}

// ask runs an action that gives something.
func ask[T any](t *testing.T, ctx context.Context, what string, action chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return got
}

func visible(css string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(css))
}

func click(css string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(css)) }

func typeInto(css, text string) chromedp.Action[chromedp.Void] {
	return chromedp.SendKeys(chromedp.CSS(css), text)
}

// chooseAndSignIn goes from the portal through a provider back to the portal.
func chooseAndSignIn(t *testing.T, ctx context.Context, w world, provider, name string) {
	t.Helper()
	who := w.person(t, name)
	way := `a[href*="/` + provider + `/login"]`
	do(t, ctx, "open the portal", chromedp.Navigate(w.URL+"/"), chromedp.WaitReady(chromedp.CSS(way)))
	screenshot(t, ctx, "signin-"+provider)
	do(t, ctx, "choose "+provider,
		chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('details').forEach(d => { d.open = true })"),
		click(way), visible("input[type=password]"))
	screenshot(t, ctx, "idp-"+provider)
	do(t, ctx, "type the password",
		typeInto("input[name=username]", who.Name), typeInto("input[type=password]", who.Password+"\r"),
		chromedp.WaitReady(chromedp.CSS(`form[action^="/logout"]`)))
}

func TestInChromiumAliceSignsInAndOpensTheConsole(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, provider := range []string{w.SAMLProvider, w.OIDCProvider} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			ctx := chromium(t)
			chooseAndSignIn(t, ctx, w, provider, "alice")
			do(t, ctx, "see the roles", visible(`a[href*="/console?role=production/Admin"]`))
			if got := ask(t, ctx, "focus", chromedp.Evaluate[string]("document.activeElement.type")); got != "search" {
				t.Errorf("the focus is in %q, want the search field", got)
			}
			screenshot(t, ctx, "home-"+provider)

			do(t, ctx, "make keys",
				chromedp.Navigate(w.URL+"/keys?role=production/Admin"),
				click(`main form[method=post][action^="/keys"] button`),
				visible("[data-left], .snippet, pre"))
			text := ask(t, ctx, "read the keys", chromedp.TextContent(chromedp.CSS("main")))
			if !strings.Contains(text, "AWS_ACCESS_KEY_ID") || !strings.Contains(text, "Show") {
				t.Errorf("the page of the keys reads:\n%.1500s", text)
			}
			screenshot(t, ctx, "keys-"+provider)

			do(t, ctx, "open the console", chromedp.Navigate(w.URL+"/console?role=production/Admin&service=s3"))
			waitForConsole(t, ctx, w)
			screenshot(t, ctx, "console-"+provider)
		})
	}
}

// waitForConsole polls until the page is the stand-in's console.
func waitForConsole(t *testing.T, ctx context.Context, w world) {
	t.Helper()
	late := time.Now().Add(20 * time.Second)
	for {
		at, err := chromedp.Run(ctx, chromedp.Location()) // fails while the page is on its way
		if strings.HasPrefix(at, w.STSEndpoint+"/console") {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the console did not open; the browser is at %s: %v", at, err)
		}
	}
	do(t, ctx, "see the console", visible("main"))
	text := ask(t, ctx, "read the console", chromedp.TextContent(chromedp.CSS("body")))
	if !strings.Contains(text, "111122223333") || !strings.Contains(text, "Admin") {
		t.Errorf("the console reads:\n%.1500s", text)
	}
}

func TestInChromiumCarolReadsWhatToDo(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ctx := chromium(t)
	chooseAndSignIn(t, ctx, w, w.SAMLProvider, "carol")
	text := ask(t, ctx, "read", chromedp.TextContent(chromedp.CSS("main")))
	if !strings.Contains(strings.ToLower(text), "no role") {
		t.Errorf("carol reads:\n%s", text)
	}
	screenshot(t, ctx, "no-role")
}
