package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestInChromiumAliceSeesAdministrationAndBobDoesNot(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ctx := chromium(t)
	chooseAndSignIn(t, ctx, w, w.SAMLProvider, "alice")
	do(t, ctx, "open administration", chromedp.Navigate(w.URL+"/admin/sessions"), visible("main"))
	if text := ask(t, ctx, "read", chromedp.TextContent(chromedp.CSS("main"))); !strings.Contains(text, "alice") || !strings.Contains(text, "Revoke") {
		t.Errorf("alice reads:\n%.800s", text)
	}
	do(t, ctx, "search the record", chromedp.Navigate(w.URL+"/admin/audit?event=signin"), visible("main"))
	if text := ask(t, ctx, "read", chromedp.TextContent(chromedp.CSS("main"))); !strings.Contains(text, "chain whole") || !strings.Contains(text, "alice") {
		t.Errorf("the record reads:\n%.800s", text)
	}
	do(t, ctx, "own sessions", chromedp.Navigate(w.URL+"/sessions"), visible("main"))
	if text := ask(t, ctx, "read", chromedp.TextContent(chromedp.CSS("main"))); !strings.Contains(text, "this one") || !strings.Contains(text, "Sign-in") {
		t.Errorf("her sessions read:\n%.800s", text)
	}

	other := chromium(t)
	chooseAndSignIn(t, other, w, w.SAMLProvider, "bob")
	do(t, other, "try administration", chromedp.Navigate(w.URL+"/admin/"), visible("main"))
	if text := ask(t, other, "read", chromedp.TextContent(chromedp.CSS("body"))); !strings.Contains(text, "not yours to see") || strings.Contains(text, "alice") {
		t.Errorf("bob reads:\n%.800s", text)
	}
}
