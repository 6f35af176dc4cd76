// Package pagetest holds the pages of other endpoint packages to what the page
// package demands of its own: golden files, and one run of a real browser with
// axe-core, on a phone in light and on a desk in dark.
package pagetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

var digests = regexp.MustCompile(`-[0-9a-f]{12}\.(css|js|svg)|request [A-Z2-7]{26}|>[A-Z2-7]{26}<|(name="csrf" value)="[^"]{20,}"`)

// Golden compares a page with testdata/NAME.html, without what differs from run
// to run. It also refuses what the Content-Security-Policy would block.
func Golden(t *testing.T, name, html string, update bool) {
	t.Helper()
	got := digests.ReplaceAllStringFunc(html, func(s string) string {
		switch s[0] {
		case '-':
			return "-DIGEST" + s[13:]
		case '>':
			return ">REQUEST<"
		case 'n':
			return `name="csrf" value="TOKEN"`
		}
		return "request REQUEST"
	})
	if inline := regexp.MustCompile(`(?i)<style|<script(?: [^>]*)?>[^<]|\sstyle=|\son[a-z]+=|javascript:`).FindString(html); inline != "" {
		t.Errorf("%s holds %q", name, inline)
	}
	for _, form := range regexp.MustCompile(`(?s)<form[^>]*method="post".*?</form>`).FindAllString(html, -1) {
		if !strings.Contains(form, `name="csrf"`) {
			t.Errorf("%s: a form without a token: %.120s", name, form)
		}
	}
	file := filepath.Join("testdata", name+".html")
	if update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-golden +got):\n%s", file, diff)
	}
}

const tooSmall = `[...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')].filter((el) => {
	if (!el.checkVisibility({visibilityProperty: true}) || el.closest('.skip, p, dd, td, .note, svg') && el.tagName.toLowerCase() === 'a') return false;
	const box = (el.closest('label') || el).getBoundingClientRect();
	return box.width > 0 && (box.width < 24 || box.height < 24);
}).map((el) => el.outerHTML.slice(0, 100))`

const outside = `[...document.querySelectorAll('body *')].filter((el) => {
	const box = el.getBoundingClientRect();
	return box.width > 1 && box.right > innerWidth + 1 && el.checkVisibility() && !el.closest('.unseen, .wide, pre, thead');
}).map((el) => el.outerHTML.slice(0, 100))`

const violations = `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then((r) =>
	r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 120) + ' ' + n.failureSummary)))`

// Browse opens each path, the first to sign in, and fails the test for controls
// under 24 px, what sticks out of the page, and what axe-core finds. With
// ROLECALL_TEST_PICTURES it keeps screenshots, for eyes.
func Browse(t *testing.T, base, signIn string, paths map[string]string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("these tests need Chromium; make deps installs it")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	script := axe(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(base+signIn)); err != nil { // the browser lives as long as its first context
		t.Fatal(err)
	}
	for _, screen := range []struct {
		width  int64
		scheme string
	}{{360, "light"}, {1280, "dark"}} {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
			t.Fatal(err)
		}
		for name, target := range paths {
			what := fmt.Sprintf("%s-%d-%s", name, screen.width, screen.scheme)
			do(t, ctx, what, chromedp.EmulateViewport(screen.width, 800), chromedp.Navigate(base+target), chromedp.Evaluate[chromedp.Void](script))
			for _, check := range []string{tooSmall, outside, violations} {
				for _, found := range list(t, ctx, what, check) {
					t.Errorf("%s: %s", what, found)
				}
			}
			picture(t, ctx, what)
		}
	}
}

func do(t *testing.T, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func list(t *testing.T, ctx context.Context, what, script string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return got
}

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
func axe(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-save", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "axe-core@4.14.1")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("axe-core, by npm from its registry: %v: %s", err, out)
	}
	script, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
