package token_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A browser checks form-action also on the redirect that follows the form, so
// only a browser can tell whether the answer reaches the command line.
func TestChromiumBringsTheAnswerToTheCommandLine(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is needed to prove that the consent form leads to the command line: apt-get install chromium")
	}
	s := newSite(t)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil { // starts the browser
		t.Fatal(err)
	}

	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		// A tab of its own: the last one may still be loading its answer.
		tab, close := chromedp.NewContext(ctx)
		defer close()
		tab, expire := context.WithTimeout(tab, 30*time.Second)
		defer expire()
		answers := make(chan url.Values, 4)
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		cli := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/callback" {
				answers <- r.URL.Query()
			}
			_, _ = w.Write([]byte("done"))
		})}
		go func() { _ = cli.Serve(listener) }() // ends with Close
		to := "http://" + listener.Addr().String() + "/callback"
		if err := chromedp.Do(tab, chromedp.Navigate(s.url+ask("redirect_uri", to, "prompt", "consent")), chromedp.Click("button[value=approve]")); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		select {
		case answer := <-answers:
			if answer.Get("code") == "" || answer.Get("state") != "s t&ate+1" {
				t.Errorf("%s got %v", to, answer)
			}
		case <-time.After(10 * time.Second):
			page, _ := chromedp.Run(tab, chromedp.OuterHTML("html"))
			t.Errorf("%s got no answer; the browser shows %s", to, page)
		}
		if err := cli.Close(); err != nil {
			t.Error(err)
		}
	}
}
