package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A person's own assertion, in a real browser, with the binary's own policy of
// content: it is brought, goes on to AWS, and neither it nor the address that signs
// in to the console is told to anybody else.
func TestInChromiumAPersonsOwnAssertionOpensTheConsole(t *testing.T) {
	t.Parallel()
	w := startWorld(t, "--mode", "saml-user")
	ctx := chromium(t)
	var mu sync.Mutex
	var secrets, referers []string
	heard := 0
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if _, token, found := strings.Cut(e.Request.URL, "SigninToken="); found {
				token, _, _ = strings.Cut(token, "&")
				secrets = append(secrets, token)
			}
		case *network.EventRequestWillBeSentExtraInfo: // what is on the wire
			heard++
			for name, value := range e.Headers {
				if text, _ := value.(string); strings.EqualFold(name, "Referer") {
					referers = append(referers, text)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	chooseAndSignIn(t, ctx, w, w.SAMLProvider, "alice")
	do(t, ctx, "open the console", chromedp.Navigate(w.URL+"/console?role=production/Admin&service=s3"))
	waitForConsole(t, ctx, w)
	do(t, ctx, "make keys",
		chromedp.Navigate(w.URL+"/keys?role=production/Developer"),
		click(`main form[method=post][action^="/keys"] button`),
		visible("[data-left]"))
	text := ask(t, ctx, "read the keys", chromedp.TextContent(chromedp.CSS("main")))
	if !strings.Contains(text, "AWS_ACCESS_KEY_ID") {
		t.Errorf("the page of the keys reads:\n%.1500s", text)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(secrets) != 1 || heard < 5 {
		t.Errorf("the console was opened %d times, in %d requests", len(secrets), heard)
	}
	for _, r := range referers {
		if strings.Contains(r, "SigninToken=") || strings.HasPrefix(r, w.URL) {
			t.Errorf("a Referer: %s", r)
		}
	}
	record, err := os.ReadFile(filepath.Join(w.data, "audit.jsonl"))
	if err != nil || !strings.Contains(string(record), `"event":"console"`) {
		t.Fatalf("%v\n%s", err, record)
	}
	for _, s := range secrets {
		if strings.Contains(string(record), s) {
			t.Error("the record holds the address of the console")
		}
	}
}
