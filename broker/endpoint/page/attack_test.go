package page

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/idp"
)

// Names come from identity providers and configuration; each may be an attack.
func TestANameCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{Organisation: `<b>Org</b>`, Support: `a@b.c"><script>alert(1)</script>`})
	for _, evil := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`, "`${alert(1)}`", `javascript:alert(1)`} {
		person := Person{Username: evil, Name: evil, Provider: evil, Until: noon}
		provider := Provider{Name: evil, Label: evil, Host: evil, URL: evil}
		for name, render := range map[string]endpoint.Handler{
			"signin": func(w http.ResponseWriter, r *http.Request) error {
				return pages.SignIn(w, r, SignIn{Main: &provider, Others: []Provider{provider}, Role: evil, Fault: evil})
			},
			"home": func(w http.ResponseWriter, r *http.Request) error {
				return pages.Home(w, r, Home{Person: person, Query: evil, Accounts: []Account{{ID: "111122223333", Name: evil, Roles: []ListedRole{{evil, evil, true, false}, {evil, evil, false, false}, {evil, evil, true, true}}}}})
			},
			"norole": func(w http.ResponseWriter, r *http.Request) error {
				return pages.NoRole(w, r, NoRole{Person: person, ProviderName: evil, Groups: []string{evil}, Checked: noon})
			},
			"consent": func(w http.ResponseWriter, r *http.Request) error {
				return pages.Consent(w, r, Consent{Username: evil, Client: evil, RedirectURI: evil, May: []string{evil}, Action: evil, Hidden: []Field{{evil, evil}}})
			},
			"goon": func(w http.ResponseWriter, r *http.Request) error {
				return pages.GoOn(w, r, evil, evil, evil)
			},
			"leave": func(w http.ResponseWriter, r *http.Request) error {
				return pages.Leave(w, r, idp.Redirect{URL: evil})
			},
			"confirm": func(w http.ResponseWriter, r *http.Request) error {
				return pages.ConfirmSignIn(w, r, broker.Confirmation{Handle: evil, Provider: evil, Label: evil, Username: evil, Subject: evil + "2"})
			},
			"problem": func(w http.ResponseWriter, r *http.Request) error {
				return pages.Problem(w, r, endpoint.Problem{Status: 400, Message: evil, Reason: evil, Time: noon})
			},
		} {
			html := get(t, pages, "/sample", render).Body.String()
			for _, bad := range []string{"<script>", "<img", `href="javascript:`, `action="javascript:`, "<b>", "' onmouseover"} {
				if strings.Contains(html, bad) {
					t.Errorf("%s with %q holds %s", name, evil, bad)
				}
			}
			if err := pagetest.WellFormed(html); err != nil {
				t.Errorf("%s with %q is not well-formed: %v", name, evil, err)
			}
		}
	}
}

func TestRightToLeftTextStaysInItsOwnElement(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	const rtl = "\u202enimda\u2066"
	html := get(t, pages, "/sample", func(w http.ResponseWriter, r *http.Request) error {
		return pages.Home(w, r, Home{Person: Person{Username: rtl, Name: rtl, Provider: rtl}, Query: rtl, Accounts: []Account{{ID: "111122223333", Name: rtl}}})
	}).Body.String()
	// Fields are isolated by themselves, and nobody sees an aria-label beside other text.
	withoutFields := regexp.MustCompile(` aria-label="[^"]*"`).ReplaceAllString(strings.ReplaceAll(html, `value="`+rtl+`"`, ""), "")
	for i := strings.Index(withoutFields, rtl); i >= 0; i = strings.Index(withoutFields, rtl) {
		before := withoutFields[:i]
		if open := strings.LastIndex(before, "<bdi"); open < 0 || strings.Contains(before[open:], "</bdi>") {
			t.Errorf("not isolated: %s", before[max(0, len(before)-60):])
		}
		withoutFields = withoutFields[i+len(rtl):]
	}
}

func TestDurationsReadAsPeopleSayThem(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		8 * time.Hour: "8 h", 90 * time.Minute: "1 h 30 min", time.Hour: "1 h", 58*time.Minute + 59*time.Second: "58 min",
		5 * time.Minute: "5 min", 200 * time.Second: "3:20", 42 * time.Second: "0:42", -time.Second: "0:00",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestARoleLinkKeepsItsSlashAndNothingElse(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"production/Admin":   "/console?role=production/Admin",
		"a b/R+S=T":          "/console?role=a+b/R%2BS%3DT",
		`x&y="#/%2F`:         "/console?role=x%26y%3D%22%23/%252F",
		"arn:aws:iam::1:r/A": "/console?role=arn%3Aaws%3Aiam%3A%3A1%3Ar/A",
	} {
		if got := RoleURL("/console", ref); got != want {
			t.Errorf("RoleURL(%q) = %s, want %s", ref, got, want)
		}
	}
}
