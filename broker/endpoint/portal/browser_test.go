package portal

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/config/secret"
)

// realConsole is a fakeBroker whose console addresses work; AWS's own redirect
// to another origin is part of the way.
type realConsole struct {
	*fakeBroker
	address string
}

func (r realConsole) Console(ctx context.Context, o broker.Origin, c broker.Caller, order broker.ConsoleOrder) (broker.ConsoleURL, error) {
	if _, err := r.fakeBroker.Console(ctx, o, c, order); err != nil {
		return broker.ConsoleURL{}, err
	}
	return broker.ConsoleURL{URL: secret.New(r.address)}, nil
}

// open starts the portal, its console and a browser that is signed in.
func open(t *testing.T, fake *fakeBroker) (ctx context.Context, base string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("these tests need Chromium; make deps installs it")
	}
	console := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<title>AWS console</title><p id=aws>AWS")
	}))
	t.Cleanup(console.Close)
	federation := httptest.NewServer(http.RedirectHandler(console.URL+"/home", http.StatusFound))
	t.Cleanup(federation.Close)

	pages, err := page.New(page.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var edge http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/test-sign-in" {
			http.SetCookie(w, &http.Cookie{Name: "rolecall_session", Value: aliceSession, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
			return
		}
		edge.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	edge = endpoint.New(endpoint.Config{URL: address, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}, pages,
		Endpoint{Service: realConsole{fake, federation.URL}, Explain: fake, Own: fake, Pages: pages, Role: rolePages(t, pages), URL: server.URL, Region: "eu-west-1",
			ConsoleOrigins: []string{federation.URL, console.URL}, Now: func() time.Time { return noon }})
	ctx = browse(t, path)
	do(t, ctx, "sign in", chromedp.Navigate(server.URL+"/test-sign-in"))
	return ctx, server.URL
}

// browse starts a browser; what it complains about fails the test.
func browse(t *testing.T, path string) context.Context {
	t.Helper()
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
		if len(complaints) > 0 {
			t.Errorf("the browser complains: %q", complaints)
		}
	})
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, "the script failed: "+e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == "error" && !strings.Contains(e.Entry.URL, "favicon") {
				complaints = append(complaints, e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func do(t *testing.T, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return got
}

const focused = `document.activeElement.getAttribute('href') || document.activeElement.id`

func TestTypingAndEnterOpenTheConsoleInANewTab(t *testing.T) {
	t.Parallel()
	fake := demo()
	ctx, base := open(t, fake)
	do(t, ctx, "home", chromedp.Navigate(base+"/"))
	if got := eval[string](t, ctx, focused); got != "q" {
		t.Errorf("the focus is on %q, not in the search field", got)
	}
	do(t, ctx, "search", chromedp.KeyEvent("prodadm"))
	if got := eval[string](t, ctx, `document.querySelector('.role.next > a').textContent + ' of ' + document.querySelector('[data-found]').textContent`); got != "Admin of 1 role in 1 account" {
		t.Errorf("framed is %q", got)
	}
	opened := chromedp.WaitNewTarget(ctx, func(info *target.Info) bool { return strings.HasSuffix(info.URL, "/home") })
	do(t, ctx, "enter", chromedp.KeyEvent(kb.Enter))
	select {
	case <-opened:
	case <-time.After(20 * time.Second):
		t.Fatal("no tab reached the console: form-action stops redirects that the page does not name")
	}
	if len(fake.console) != 1 || fake.console[0].Role != "arn:aws:iam::111122223333:role/Admin" {
		t.Errorf("ordered %+v", fake.console)
	}
	if got := eval[string](t, ctx, `location.pathname`); got != "/" {
		t.Errorf("the list went to %s", got)
	}
	do(t, ctx, "escape", chromedp.KeyEvent(kb.Escape))
	if got := eval[int](t, ctx, `[...document.querySelectorAll('.account')].filter((el) => el.checkVisibility()).length`); got != 2 {
		t.Errorf("after Esc %d accounts are shown, want all 2", got)
	}
}

func TestTheArrowsMoveByAccountAndRole(t *testing.T) {
	t.Parallel()
	ctx, base := open(t, demo())
	do(t, ctx, "home", chromedp.Navigate(base+"/"))
	for i, step := range []struct{ key, want string }{
		{kb.ArrowDown, "/console?role=development/Developer"},
		{kb.ArrowRight, "/keys?role=development/Deploy"},
		{kb.ArrowDown, "/console?role=production/Admin"},
		{kb.ArrowLeft, "/console?role=production/ReadOnly"},
		{kb.ArrowUp, "/console?role=development/Developer"},
		{kb.ArrowUp, "q"},
		{kb.ArrowDown, "/console?role=development/Developer"},
		{"/", "q"},
	} {
		do(t, ctx, "press", chromedp.KeyEvent(step.key))
		if got := eval[string](t, ctx, focused); got != step.want {
			t.Fatalf("step %d: after %q the focus is on %s, want %s", i+1, step.key, got, step.want)
		}
	}
	do(t, ctx, "keys", chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent("k"), chromedp.WaitVisible(chromedp.CSS(`form[action="/keys"] button`)))
	if got := eval[string](t, ctx, `location.pathname + location.search`); got != "/keys?role=development/Developer" {
		t.Errorf("k leads to %s", got)
	}
}

func TestTheLettersWorkAmongTheRecentRolesAndPressAStar(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.kept.Recent = []account.Recent{{Role: "arn:aws:iam::444455556666:role/Developer"}}
	ctx, base := open(t, fake)
	do(t, ctx, "home", chromedp.Navigate(base+"/#a-444455556666"), chromedp.Evaluate[chromedp.Void](`new Promise((done) => {
		const look = () => (document.activeElement.matches('.open') ? done() : requestAnimationFrame(look)); look(); })`, chromedp.EvalAwaitPromise))
	if got := eval[string](t, ctx, focused); got != "/console?role=development/Developer" {
		t.Errorf("the account that the address names: the focus is on %s", got)
	}
	do(t, ctx, "recent", chromedp.Focus(chromedp.CSS(`.recent .open`)), chromedp.KeyEvent("k"), chromedp.WaitVisible(chromedp.CSS(`form[action="/keys"] button`)))
	do(t, ctx, "star", chromedp.Navigate(base+"/"), chromedp.Evaluate[chromedp.Void](`document.getElementById('stars').addEventListener('submit', (e) => {
		e.preventDefault(); document.title = e.submitter.name + '=' + e.submitter.value; })`),
		chromedp.Focus(chromedp.CSS(`#a-444455556666 .open`)), chromedp.KeyEvent("f"))
	if got := eval[string](t, ctx, `document.title`); got != "on=444455556666" {
		t.Errorf("f posts %s", got)
	}
}

func TestSecretsAreShownByTheSwitchOnly(t *testing.T) {
	t.Parallel()
	ctx, base := open(t, demo())
	do(t, ctx, "keys", chromedp.Navigate(base+"/keys?role=production/Admin"), chromedp.Click(chromedp.CSS(`form[action="/keys"] button`)), chromedp.WaitVisible(chromedp.CSS(`#c-bash`)))
	if shown := eval[string](t, ctx, `document.body.innerText`); strings.Contains(shown, secretKey) || !strings.Contains(shown, "ASIATEST") {
		t.Error("the secret is on the screen before it was asked for")
	}
	do(t, ctx, "show", chromedp.Click(chromedp.CSS(`#reveal`)))
	if shown := eval[string](t, ctx, `document.body.innerText`); !strings.Contains(shown, secretKey) {
		t.Error("the switch does not show the secret")
	}
	do(t, ctx, "next tab", chromedp.Focus(chromedp.CSS(`#p-bash-tab`)), chromedp.KeyEvent(kb.ArrowRight))
	if got := eval[string](t, ctx, `document.activeElement.textContent + ': ' + document.querySelector('#c-fish').innerText.split('\n')[0]`); got != "fish: set -gx AWS_ACCESS_KEY_ID 'ASIATEST'" {
		t.Errorf("the next tab is %q", got)
	}
	if got := eval[string](t, ctx, `document.querySelector('[data-clock]').textContent`); got != "30 min" && got != "29 min" {
		t.Errorf("the clock says %q", got)
	}
}

func TestTheChoiceOfColoursOutlivesThePage(t *testing.T) {
	t.Parallel()
	ctx, base := open(t, demo())
	do(t, ctx, "home", chromedp.Navigate(base+"/"), chromedp.Click(chromedp.CSS(`[data-theme-switch]`)), chromedp.Click(chromedp.CSS(`[data-theme-switch]`)), chromedp.Reload())
	if got := eval[string](t, ctx, `document.documentElement.dataset.theme + ' ' + document.querySelector('[data-theme-name]').textContent`); got != "dark Dark" {
		t.Errorf("after two presses and a reload: %q", got)
	}
}

func TestTheFormOpensTheConsoleWithServiceAndRegion(t *testing.T) {
	t.Parallel()
	fake := demo()
	ctx, base := open(t, fake)
	opened := chromedp.WaitNewTarget(ctx, func(info *target.Info) bool { return strings.HasSuffix(info.URL, "/home") })
	do(t, ctx, "console", chromedp.Navigate(base+"/console?role=production/Admin&service=s3&region=eu-north-1&choose=1"), chromedp.Click(chromedp.CSS(`form[action="/console"] button.main`)))
	select {
	case <-opened:
	case <-time.After(20 * time.Second):
		t.Fatal("no tab reached the console")
	}
	if want := (broker.ConsoleOrder{Role: "arn:aws:iam::111122223333:role/Admin", Service: "s3", Region: "eu-north-1"}); len(fake.console) != 1 || fake.console[0] != want {
		t.Errorf("ordered %+v", fake.console)
	}
}
