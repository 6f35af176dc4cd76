package assemble

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// press sends the form of a page of ours that posts to a path.
func press(t *testing.T, b *scripted.Browser, base, page, path string) {
	t.Helper()
	if err := b.Get(base + page); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Page.Forms() {
		if f.Action == path && f.Method == "post" {
			if err := b.Submit(f, nil); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s has no form for %s: %d\n%s", page, path, b.Page.Status, b.Page.Text)
}

// onward is where a page leads by itself.
func onward(t *testing.T, p scripted.Page) string {
	t.Helper()
	_, to, ok := strings.Cut(p.Header.Get("Refresh"), "url=")
	if !ok || p.Status != 200 || p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("%s: %d, %v\n%s", p.URL, p.Status, p.Header, p.Text)
	}
	return to
}

// bring follows the page to the identity provider, and gives its answer as a form.
func bring(t *testing.T, b *scripted.Browser, to string) scripted.Form {
	t.Helper()
	if err := b.Get(to); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Page.Forms() {
		if f.Fields["SAMLResponse"] {
			return f
		}
	}
	t.Fatalf("the identity provider does not answer: %d %s\n%s", b.Page.Status, b.Page.URL, b.Page.Text)
	return scripted.Form{}
}

func TestAPersonsOwnAssertionOpensTheConsole(t *testing.T) {
	t.Parallel()
	w := runIn(t, ownMode)
	b := w.signIn(t, "corp")
	before := b.Client.Jar.Cookies(mustURL(t, w.URL))
	press(t, b, w.URL, "/console?role=production/Admin", "/console")
	to := onward(t, b.Page)
	if !strings.HasPrefix(to, w.IDP+"/saml/sso?SAMLRequest=") {
		t.Fatalf("it leads to %s", to)
	}
	form := bring(t, b, to)
	if form.Action != w.URL+"/saml/corp/acs" {
		t.Errorf("the answer goes to %s", form.Action)
	}
	if err := b.Submit(form, nil); err != nil {
		t.Fatal(err)
	}
	to = onward(t, b.Page)
	if !strings.HasPrefix(to, w.AWS+"/federation?Action=login&") {
		t.Fatalf("it leads to %s", to)
	}
	if after := b.Client.Jar.Cookies(mustURL(t, w.URL)); sessionOf(before) == sessionOf(after) {
		t.Error("the sign-in made no session of its own")
	}
	if err := b.Get(to); err != nil || !strings.Contains(b.Page.Text, "assumed-role/Admin/alice") {
		t.Errorf("%v: %d %s\n%s", err, b.Page.Status, b.Page.URL, b.Page.Text)
	}
	record := w.record(t)
	for _, want := range []string{`"event":"console"`, `"outcome":"granted"`, `"session_name":"alice"`} {
		if !strings.Contains(record, want) {
			t.Errorf("the record lacks %s:\n%s", want, record)
		}
	}
	token, _, _ := strings.Cut(strings.SplitAfter(to, "SigninToken=")[1], "&")
	without(t, "the record", record, form.Values.Get("SAMLResponse"), token)
	without(t, "the log", w.log.String(), form.Values.Get("SAMLResponse"), token)

	// The same answer once more opens nothing.
	if err := b.Submit(form, nil); err != nil || b.Page.Status < 400 || b.Page.Header.Get("Refresh") != "" {
		t.Errorf("again: %v, %d %s", err, b.Page.Status, b.Page.Header.Get("Refresh"))
	}
}

func TestAPersonsOwnAssertionGivesKeys(t *testing.T) {
	t.Parallel()
	w := runIn(t, ownMode)
	b := w.signIn(t, "corp")
	press(t, b, w.URL, "/keys?role=development/Developer", "/keys")
	if keysOn(b.Page) != "" {
		t.Fatal("keys without an assertion")
	}
	form := bring(t, b, onward(t, b.Page))
	if err := b.Submit(form, nil); err != nil || b.Page.Status != 200 || keysOn(b.Page) == "" {
		t.Fatalf("%v: %d\n%s", err, b.Page.Status, b.Page.Text)
	}
	// The page's own forms work with the session that it came with.
	for _, f := range b.Page.Forms() {
		if f.Action == "/logout" {
			if err := b.Submit(f, nil); err != nil || b.Page.Status >= 400 {
				t.Errorf("sign-out from the page: %v, %d", err, b.Page.Status)
			}
		}
	}
}

// Whoever comes back must be who chose: bob's assertion opens nothing for alice, and
// nothing for him.
func TestSomebodyElsesAssertionOpensNothing(t *testing.T) {
	t.Parallel()
	w := runIn(t, ownMode)
	b := w.signIn(t, "corp")
	press(t, b, w.URL, "/console?role=production/Developer", "/console")
	to := onward(t, b.Page)
	bob, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	bob.Hold = "SAMLResponse"
	if err := bob.SignIn(to, "corp", scripted.Person{Name: "bob", Password: w.People[1].Password.Reveal()}); err != nil {
		t.Fatal(err)
	}
	form := bob.Page.Forms()[0]
	if err := b.Submit(form, nil); err != nil || b.Page.Status != 403 || b.Page.Header.Get("Refresh") != "" || !strings.Contains(b.Page.Text, "somebody else than who chose") {
		t.Errorf("%v: %d\n%s", err, b.Page.Status, b.Page.Text)
	}
	if record := w.record(t); strings.Contains(record, `"access_key_id"`) || !strings.Contains(record, `"other_person"`) {
		t.Errorf("%s", record)
	}
}

// Without a browser there is no assertion: no other way gives such a role, nor does
// a list for programs show it.
func TestAnOwnAssertionComesByTheBrowserOnly(t *testing.T) {
	t.Parallel()
	w := runIn(t, ownMode)
	caller := modesCaller("alice")
	caller.Identity.Attributes = map[string][]string{
		"https://aws.amazon.com/SAML/Attributes/Role":            {"arn:aws:iam::111122223333:role/Admin," + devSAML("111122223333", "corp")},
		"https://aws.amazon.com/SAML/Attributes/RoleSessionName": {"alice"},
	}
	service := w.daemon.current.Load().broker
	origin := broker.Origin{RequestID: "r"}
	for _, via := range []broker.Via{broker.ViaBrowser, broker.ViaCLI, broker.ViaExchange} {
		caller.Via = via
		_, err := service.Vend(t.Context(), origin, caller, broker.Order{Role: "production/Admin"})
		if broker.CodeOf(err) != broker.AccessDenied || broker.Shown(err).Reason != "browser_only" {
			t.Errorf("%s: %v", via, err)
		}
		roles, err := service.Roles(t.Context(), origin, caller)
		listed := 0
		for _, r := range roles {
			if r.Withheld == "" {
				listed++
			}
		}
		if err != nil || (listed == 1) != (via == broker.ViaBrowser) {
			t.Errorf("%s: %+v, %v", via, roles, err)
		}
	}
	caller.Via = broker.ViaBrowser
	if _, err := service.Console(t.Context(), origin, caller, broker.ConsoleOrder{Role: "production/Admin"}); broker.Shown(err).Reason != "browser_only" {
		t.Errorf("%v", err)
	}
	if strings.Contains(w.record(t), `"access_key_id"`) {
		t.Error("something was handed out")
	}
}

func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sessionOf is the session cookie's value.
func sessionOf(cookies []*http.Cookie) string {
	for _, c := range cookies {
		if c.Name == "rolecall_session" {
			return c.Value
		}
	}
	return ""
}
