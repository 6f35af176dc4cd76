package peers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium starts Debian's Chromium for one test. What a page of ours complains
// about (Content-Security-Policy, scripts) fails the test.
func chromium(t *testing.T, ours string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	options = append(options, more...)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && strings.HasPrefix(e.Entry.URL, ours) {
				t.Errorf("the browser complains: %s (%v)", e.Entry.Text, e.Entry.URL)
			}
		case *cdpruntime.EventExceptionThrown:
			if strings.HasPrefix(e.ExceptionDetails.URL, ours) {
				t.Errorf("a script failed: %s", e.ExceptionDetails.Text)
			}
		}
	})
	if err != nil {
		t.Fatalf("start Chromium (make deps installs it): %v", err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 50*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A real browser holds us to Content-Security-Policy and SameSite, on the way out
// by redirect and by form, and on the way back by the provider's form.
func TestInChromiumPeopleComeBackFromTheProvider(t *testing.T) {
	t.Parallel()
	for name, bindings := range map[string]map[string]any{
		"redirect": {},
		"post":     {"SingleSignOnServiceBinding": []string{"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := startSAML(t)
			idp.set(t, bindings)
			d := serve(t, idp.provider("corp", "sign_requests: true"))
			idp.meet(t, d, "corp")
			ctx := chromium(t, d.url)
			err := chromedp.Do(ctx,
				chromedp.Navigate(d.url+"/console?role=production/Quoted"),
				chromedp.Click(chromedp.CSS(`a[href*="/corp/login"]`)),
				chromedp.WaitVisible(chromedp.CSS("input[type=password]")),
				chromedp.SendKeys(chromedp.CSS("input[name=username]"), "alice"),
				chromedp.SendKeys(chromedp.CSS("input[type=password]"), "alice-pw\r"),
				chromedp.WaitReady(chromedp.CSS(`main form[method=post][action^="/console"]`)))
			at, _ := chromedp.Run(ctx, chromedp.Location())
			if err != nil || !strings.HasPrefix(at, d.url+"/console?role=") {
				text, _ := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("body")))
				t.Fatalf("%v: the browser is at %s\n%.1500s", err, at, text)
			}
		})
	}
}
