package page

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rolecall/rolecall/broker/endpoint"
)

// browse starts a headless Chromium, which make deps installs. What the
// browser complains about (scripts that fail, what the policy blocks) fails the test.
func browse(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("these tests need Chromium; make deps installs it")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	var mu sync.Mutex
	var complaints []string
	t.Cleanup(func() {
		cancel()
		stop()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			t.Errorf("the browser complains: %s", c)
		}
	})
	err = chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, "the script failed: "+e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == "error" && e.Entry.Source != "network" { // a 403 page is no complaint
				complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// do runs steps in the browser within half a minute.
func do(t *testing.T, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func eval[T any](t *testing.T, ctx context.Context, what, script string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return got
}

// serveSamples serves every sample page at /s/NAME.
func serveSamples(t *testing.T) (base string, names []string) {
	t.Helper()
	pages := newPages(t, Config{Organisation: "Example Corp", Support: "cloud-access@example.com"})
	mounted := routes{}
	for name, render := range samples(pages) {
		if name == "autopost" || name == "leave" || name == "goon" || name == "opening" {
			continue // leaves at once
		}
		names = append(names, name)
		mounted["GET /s/"+name] = render
	}
	slices.Sort(names)
	var edge http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { edge.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	edge = endpoint.New(endpoint.Config{
		URL: address, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	}, pages, mounted)
	return server.URL, names
}

// tooSmall lists controls under 24 by 24 CSS pixels (WCAG 2.2, 2.5.8); links in a line of text are exempt.
const tooSmall = `[...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')].filter((el) => {
	if (!el.checkVisibility({visibilityProperty: true}) || el.closest('.skip, p, dd, td, .note') && el.tagName === 'A') return false;
	const box = (el.closest('label') || el).getBoundingClientRect();
	return box.width > 0 && (box.width < 24 || box.height < 24);
}).map((el) => el.outerHTML.slice(0, 80) + ' ' + el.getBoundingClientRect().width + 'x' + el.getBoundingClientRect().height)`

// outside lists what sticks out to the right of the page.
const outside = `[...document.querySelectorAll('body *')].filter((el) => {
	const box = el.getBoundingClientRect();
	return box.width > 1 && box.right > innerWidth + 1 && el.checkVisibility() && !el.closest('.unseen');
}).map((el) => el.outerHTML.slice(0, 80))`

// violations runs axe-core over what WCAG 2.2 AA asks for.
const violations = `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then((r) =>
	r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 120) + ' ' + n.failureSummary)))`

func TestEachPageIsForEverybodyOnAPhoneAndOnADesk(t *testing.T) {
	t.Parallel()
	ctx := browse(t)
	base, names := serveSamples(t)
	script, err := axe()
	if err != nil {
		t.Fatalf("axe-core, by npm from its registry: %v", err)
	}
	for _, screen := range []struct {
		width  int64
		scheme string
	}{{360, "light"}, {1280, "dark"}} {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			what := fmt.Sprintf("%s-%d-%s", name, screen.width, screen.scheme)
			do(t, ctx, what, chromedp.EmulateViewport(screen.width, 800), chromedp.Navigate(base+"/s/"+name))
			if small := eval[[]string](t, ctx, what, tooSmall); len(small) > 0 {
				t.Errorf("%s: under 24 px: %q", what, small)
			}
			if wide := eval[[]string](t, ctx, what, outside); len(wide) > 0 {
				t.Errorf("%s: sticks out: %q", what, wide)
			}
			do(t, ctx, what, chromedp.Evaluate[chromedp.Void](script))
			for _, violation := range eval[[]string](t, ctx, what, violations) {
				t.Errorf("%s: %s", what, violation)
			}
			picture(t, ctx, what)
		}
	}
}

// picture keeps a screenshot in the folder named by the environment, for eyes.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	folder := os.Getenv("ROLECALL_TEST_PICTURES")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600)
	}
	if err != nil {
		t.Errorf("picture %s: %v", name, err)
	}
}

// axe fetches axe-core from npm, which keeps it.
func axe() (string, error) {
	folder, err := os.MkdirTemp("", "rolecall-axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-save", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "axe-core@4.14.1")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install axe-core: %w: %s", err, out)
	}
	script, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	return string(script), err
}
