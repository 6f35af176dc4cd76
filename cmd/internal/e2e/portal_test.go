package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

var requestID = regexp.MustCompile(`[A-Z2-7]{26}`)

// signedIn is a browser with a session of that person.
func signedIn(t testing.TB, w world, provider, name string) *scripted.Browser {
	t.Helper()
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SignIn(w.URL+"/", provider, w.person(t, name)); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusOK || b.Page.URL.Path != "/" {
		t.Fatalf("after signing in as %s: %d at %s\n%.2000s", name, b.Page.Status, b.Page.URL, b.Page.Text)
	}
	return b
}

func sessionCookie(b *scripted.Browser, w world) string {
	req, _ := http.NewRequest(http.MethodGet, w.URL, nil)
	for _, c := range b.Client.Jar.Cookies(req.URL) {
		if c.Name == "rolecall_session" {
			return c.Value
		}
	}
	return ""
}

// formWith finds the form whose action starts with a path.
func formWith(t testing.TB, p scripted.Page, action string) scripted.Form {
	t.Helper()
	for _, f := range p.Forms() {
		if strings.HasPrefix(f.Action, action) && f.Method == "post" {
			return f
		}
	}
	t.Fatalf("no form posts to %s at %s:\n%.3000s", action, p.URL, p.Text)
	return scripted.Form{}
}

func TestPeopleSeeTheirRolesByEachProvider(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, provider := range []string{w.SAMLProvider, w.OIDCProvider} {
		alice := signedIn(t, w, provider, "alice")
		for _, want := range []string{"production", "111122223333", "development", "444455556666"} {
			if !strings.Contains(alice.Page.Text, want) {
				t.Errorf("%s: alice's page does not say %s", provider, want)
			}
		}
		for _, link := range []string{"/console?role=production/Admin", "/console?role=production/Developer", "/console?role=development/Developer", "/keys?role=production/Admin"} {
			if _, ok := alice.Page.Link(link); !ok {
				t.Errorf("%s: alice's page has no link %s", provider, link)
			}
		}
		bob := signedIn(t, w, provider, "bob")
		if strings.Contains(bob.Page.Text, "production/Admin") {
			t.Errorf("%s: bob sees production/Admin", provider)
		}
		carol := signedIn(t, w, provider, "carol")
		if !strings.Contains(strings.ToLower(carol.Page.Text), "no role") || !requestID.MatchString(carol.Page.Text) {
			t.Errorf("%s: carol's page does not say that she has no role, with a request id:\n%.2000s", provider, carol.Page.Text)
		}
	}
}

func TestSignOutEndsTheSessionOnTheServer(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := signedIn(t, w, w.SAMLProvider, "alice")
	stolen := sessionCookie(b, w)
	if stolen == "" {
		t.Fatal("no session cookie")
	}
	if got := rolesByCookie(t, w, stolen); got != http.StatusOK {
		t.Fatalf("before sign-out: %d", got)
	}
	if err := b.Submit(formWith(t, b.Page, "/logout"), nil); err != nil {
		t.Fatal(err)
	}
	if got := rolesByCookie(t, w, stolen); got != http.StatusUnauthorized {
		t.Errorf("after sign-out the old cookie gets %d, want 401", got)
	}
	if sessionCookie(b, w) != "" {
		t.Error("the browser still has a session cookie")
	}
}

func rolesByCookie(t testing.TB, w world, cookie string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.URL+"/api/v1/roles", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "rolecall_session", Value: cookie})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}

func TestKeysAreMadeByAPostOnly(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := signedIn(t, w, w.OIDCProvider, "alice")
	if err := b.Get(w.URL + "/keys?role=production/Admin"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.Page.Text, "ASIA") {
		t.Fatal("a GET made keys")
	}
	f := formWith(t, b.Page, "/keys")
	if err := b.Submit(f, nil); err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`ASIA[A-Z0-9]{12,}`).FindString(b.Page.Text)
	if b.Page.Status != http.StatusOK || key == "" {
		t.Fatalf("no keys: %d\n%.2000s", b.Page.Status, b.Page.Text)
	}
	if !strings.Contains(b.Page.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("the page with keys may be stored: %q", b.Page.Header.Get("Cache-Control"))
	}
	f.Values.Set("csrf", "forged")
	if err := b.Submit(f, nil); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusForbidden || strings.Contains(b.Page.Text, "ASIA") {
		t.Errorf("a form with a forged token: %d, want 403 and no keys", b.Page.Status)
	}
}

func TestTheConsoleOpensAsTheRole(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := signedIn(t, w, w.SAMLProvider, "alice")
	if err := b.Get(w.URL + "/console?role=production/Admin"); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(formWith(t, b.Page, "/console"), map[string]string{"service": "s3", "region": "eu-west-1"}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.Page.URL.String(), w.STSEndpoint+"/console") {
		t.Fatalf("the console is at %s (%d), want %s/console...\n%.1000s", b.Page.URL, b.Page.Status, w.STSEndpoint, b.Page.Text)
	}
	for _, want := range []string{"111122223333", "Admin", "alice", "s3", "eu-west-1"} {
		if !strings.Contains(b.Page.Text, want) {
			t.Errorf("the console does not say %q:\n%.2000s", want, b.Page.Text)
		}
	}
}

func TestARoleThatIsNotGrantedGivesAPageAndNoKeys(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := signedIn(t, w, w.SAMLProvider, "bob")
	if err := b.Get(w.URL + "/keys?role=production/Developer"); err != nil {
		t.Fatal(err)
	}
	f := formWith(t, b.Page, "/keys")
	f.Values.Set("role", "production/Admin")
	f.Action = "/keys?role=production/Admin"
	if err := b.Submit(f, nil); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusForbidden || strings.Contains(b.Page.Text, "ASIA") || !requestID.MatchString(b.Page.Text) {
		t.Errorf("bob asked for production/Admin: %d, want a 403 page with a request id\n%.1500s", b.Page.Status, b.Page.Text)
	}
	audit := readAudit(t, w)
	if !strings.Contains(audit, `"reason":"role_not_granted"`) {
		t.Errorf("the record does not say why:\n%s", audit)
	}
}

func readAudit(t testing.TB, w world) string {
	t.Helper()
	return scripted.ReadRecord(t, filepath.Join(w.data, "audit.jsonl"))
}

func TestTheRecordOfADayHoldsAndNamesNoSecret(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := signedIn(t, w, w.SAMLProvider, "alice")
	cookie := sessionCookie(b, w)
	if err := b.Get(w.URL + "/keys?role=production/Admin"); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(formWith(t, b.Page, "/keys"), nil); err != nil {
		t.Fatal(err)
	}
	record := readAudit(t, w)
	if strings.Contains(record, cookie) || strings.Contains(record, w.person(t, "alice").Password) {
		t.Error("the record holds a secret")
	}
	var intents, outcomes int
	for scan := bufio.NewScanner(strings.NewReader(record)); scan.Scan(); {
		line := scan.Text()
		if !strings.Contains(line, `"event":"credentials"`) {
			continue
		}
		if strings.Contains(line, `"outcome":"granted"`) {
			outcomes++
		} else if !strings.Contains(line, `"outcome"`) {
			intents++
		}
	}
	if intents != 1 || outcomes != 1 {
		t.Errorf("%d intents and %d outcomes for one set of keys:\n%s", intents, outcomes, record)
	}
	verify := func(text string) error {
		file := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(filepath.Join(bin, "rolecalld"), "audit", "verify", file).Run()
	}
	if err := verify(record); err != nil {
		t.Errorf("the chain does not hold: %v", err)
	}
	if err := verify(strings.Replace(record, "alice", "mallory", 1)); err == nil {
		t.Error("a changed record was not found")
	}
	lines := strings.SplitAfter(record, "\n")
	if err := verify(lines[0] + strings.Join(lines[2:], "")); err == nil {
		t.Error("a missing record was not found")
	}
}
