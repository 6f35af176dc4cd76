package page

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/idp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestEachPageIsAsItsGoldenFileSays(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{Organisation: "Example Corp", Support: "cloud-access@example.com"})
	for name, render := range samples(pages) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := stable(get(t, pages, "/sample", render).Body.String())
			file := filepath.Join("testdata", name+".html")
			if *update {
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
		})
	}
}

func TestEachPageIsWellFormedAndLabelled(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	for name, render := range samples(pages) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			html := get(t, pages, "/sample", render).Body.String()
			if err := pagetest.WellFormed(html); err != nil {
				t.Errorf("not well-formed: %v", err)
			}
			for what, pattern := range map[string]string{"a language": `<html lang="en"`, "a title": `<title>[^<]+ · rolecall</title>`, "main": `<main id="main"`, "a skip link": `href="#main"`, "one level-one heading": `<h1`} {
				if n := len(regexp.MustCompile(pattern).FindAllString(html, -1)); n != 1 {
					t.Errorf("has %d times %s, want 1", n, what)
				}
			}
			ids := map[string]bool{}
			for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(html, -1) {
				if ids[m[1]] {
					t.Errorf("id %q is there twice", m[1])
				}
				ids[m[1]] = true
			}
			for _, m := range regexp.MustCompile(` (?:for|aria-labelledby|aria-describedby|data-copy|data-link|href)="#?([\w-]+)"`).FindAllStringSubmatch(html, -1) {
				if !ids[m[1]] {
					t.Errorf("%s points at no element", m[0])
				}
			}
		})
	}
}

func TestNoPageNeedsAnUnsafeContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`(?i)<style|<script(?: [^>]*)?>[^<]|\sstyle=|\son[a-z]+=|javascript:|<base|https?://[^" ]*\.(?:js|css)`)
	pages := newPages(t, Config{})
	for name, render := range samples(pages) {
		w := get(t, pages, "/sample", render)
		if found := inline.FindString(w.Body.String()); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy is %q", name, csp)
		}
		if cache := w.Header().Get("Cache-Control"); cache != "no-store" {
			t.Errorf("%s: Cache-Control is %q", name, cache)
		}
	}
}

func TestEachLinkAndFormLeadsToARouteThatExists(t *testing.T) {
	t.Parallel()
	// What the other endpoint packages mount. A page that is not built must not be linked.
	known := regexp.MustCompile(`^(/|/#a-\d{12}|/login|/logout|/console|/keys|/why|/sessions|/help|/admin/|/accounts/\d{12}|/favourites|/oauth2/authorize|/device|/(saml|oidc)/\w+/login|/saml/\w+/confirm|/nothing|/sample|#main)(\?|$)`)
	pages := newPages(t, Config{})
	for name, render := range samples(pages) {
		html := get(t, pages, "/sample", render).Body.String()
		for _, m := range regexp.MustCompile(` (?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
			target := m[1]
			switch {
			case strings.HasPrefix(target, "/assets/"):
				if w := ask(t, pages, httptest.NewRequest(http.MethodGet, target, nil), nil); w.Code != http.StatusOK {
					t.Errorf("%s: %s answers %d", name, target, w.Code)
				}
			case name == "autopost" && target == "https://idp.example.com/sso":
			case name == "leave" && target == "https://idp.example.com/slo?SAMLRequest=x&amp;RelayState=h":
			case name == "goon" && target == "https://signin.aws.amazon.com/federation?Action=login&amp;SigninToken=t":
			case !known.MatchString(target):
				t.Errorf("%s leads to %s", name, target)
			}
		}
	}
}

func TestEachFormThatPostsHomeCarriesTheToken(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	form := regexp.MustCompile(`(?s)<form[^>]*method="post"[^>]*action="/[^>]*>.*?</form>`)
	seen := 0
	for name, render := range samples(pages) {
		for _, f := range form.FindAllString(get(t, pages, "/sample", render).Body.String(), -1) {
			if strings.Contains(f, `action="/login"`) {
				continue // nobody is signed in yet; it changes nothing and only chooses a button
			}
			seen++
			if !regexp.MustCompile(`name="csrf" value="[\w-]{43}"`).MatchString(f) {
				t.Errorf("%s: a form without a token: %s", name, f)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d forms were looked at", seen)
	}
}

func TestTheBrowsersChoiceOfColoursIsRenderedByTheServer(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	for cookie, want := range map[string]string{"dark": `<html lang="en" data-theme="dark">`, "light": `<html lang="en" data-theme="light">`, "auto": `<html lang="en">`, `x" onload="y`: `<html lang="en">`} {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header.Set("Cookie", "rolecall_theme="+cookie)
		w := ask(t, pages, r, func(w http.ResponseWriter, r *http.Request) error { return pages.SignIn(w, r, SignIn{}) })
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("cookie %q: the page does not hold %s", cookie, want)
		}
	}
}

func TestTheConsentPageMayLeadToItsRedirectOriginOnly(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	w := get(t, pages, "/sample", samples(pages)["consent"])
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://127.0.0.1:49152;") {
		t.Errorf("Content-Security-Policy is %q", csp)
	}
	html := w.Body.String()
	if approve, deny := strings.Index(html, `value="approve"`), strings.Index(html, `value="deny"`); approve < 0 || approve > deny {
		t.Error("the first button does not approve")
	}
}

func TestAnAutoPostFormRefusesAScriptAddress(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	w := get(t, pages, "/sample", func(w http.ResponseWriter, r *http.Request) error {
		return pages.AutoPost(w, r, idp.Form{Action: "javascript:alert(1)", Fields: map[string]string{`"><script>`: `"><script>alert(1)</script>`}})
	})
	if html := w.Body.String(); strings.Contains(html, "javascript:") || strings.Contains(html, "<script>") {
		t.Errorf("the page holds the attack: %s", html)
	}
}

func TestAPageThatCannotBeRenderedBecomesAnErrorPage(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	w := get(t, pages, "/sample", func(w http.ResponseWriter, r *http.Request) error {
		return pages.render(w, r, look{name: "home", title: "x", person: &Person{}}, struct{}{})
	})
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "Something failed on our side") {
		t.Errorf("answered %d: %s", w.Code, w.Body)
	}
}

var _ endpoint.ProblemPage = (*Pages)(nil)
var _ endpoint.AutoPostPage = (*Pages)(nil)
var _ endpoint.Mounter = (*Pages)(nil)

func TestEveryErrorSaysWhatHappenedWhatToDoAndItsRequest(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	pages := newPages(t, Config{})
	for name, render := range problemSamples(pages) {
		html := get(t, pages, "/sample", render).Body.String()
		title := regexp.MustCompile(`<h1>([^<]+)</h1>`).FindStringSubmatch(html)
		if title == nil || seen[title[1]] != "" {
			t.Errorf("%s has no headline of its own: %v, as %s", name, title, seen[title[1]])
			continue
		}
		seen[title[1]] = name
		for _, want := range []string{`<code id="rid">`, `class="button main" href="/`, "<time datetime="} {
			if !strings.Contains(html, want) {
				t.Errorf("%s lacks %s", name, want)
			}
		}
		if strings.Contains(html, "!") && regexp.MustCompile(`>[^<]*!\s*<`).MatchString(html) {
			t.Errorf("%s shouts", name)
		}
	}
	if len(seen) < 12 {
		t.Errorf("%d kinds of errors only", len(seen))
	}
}
