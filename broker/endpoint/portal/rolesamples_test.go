package portal

import (
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

var update = flag.Bool("update", false, "write the golden files")

var aliceShown = page.Person{Username: "alice@example.com", Name: "Alice Meyer", Provider: "Corporate sign-in", MFA: true, Until: noon.Add(10 * time.Hour)}

// frame is what the pages are drawn in.
func frame(t *testing.T) *page.Pages {
	t.Helper()
	pages, err := page.New(page.Config{Organisation: "Example Corp", Support: "cloud-access@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func newRolePages(t *testing.T) *RolePages {
	t.Helper()
	pages, err := NewRolePages(frame(t))
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

type routes map[string]endpoint.Handler

func (r routes) Mount(mux *endpoint.Mux) {
	for pattern, h := range r {
		mux.Page(pattern, h)
	}
}

// edge serves pages at their addresses, to whoever has a session.
func edgeAt(pages *page.Pages, base string, mounted routes) http.Handler {
	address, _ := url.Parse(base)
	return endpoint.New(endpoint.Config{URL: address, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}, pages, mounted)
}

// get is a page as it is sent.
func drawn(t *testing.T, render endpoint.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://sso.example.com/sample", nil)
	r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: "session-of-alice"})
	edgeAt(frame(t), "http://sso.example.com", routes{"GET /sample": render}).ServeHTTP(w, r)
	return w.Body.String()
}

// showing renders a view.
func showing[V any](render func(http.ResponseWriter, *http.Request, V) error, view V) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return render(w, r, view) }
}

func roleSamples(p *RolePages) map[string]endpoint.Handler {
	admin := Role{AccountID: "111122223333", AccountName: "production", Label: "prod", Colour: "red", Name: "Admin", Ref: "production/Admin", Grant: "platform-admin", Duration: time.Hour, MaxDuration: 8 * time.Hour, Console: true}
	held, stale, programs := admin, admin, admin
	held.Withheld = "when: the condition does not hold"
	stale.Withheld, stale.StepUp = "max_auth_age: signed in 2h ago, at most 15m", true
	programs.Console = false
	issued := &Issued{Left: 58 * time.Minute, Of: time.Hour, Region: "eu-west-1", Credentials: iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New("wJalr/EXAMPLEKEY"), SessionToken: secret.New("IQoJb3Jp//token=="), Expires: noon.Add(58 * time.Minute),
	}}
	return map[string]endpoint.Handler{
		"console": showing(p.Console, Console{
			Person: aliceShown, Role: admin, Services: []page.Option{{Value: "", Text: "Console home", Chosen: false}, {Value: "s3", Text: "S3", Chosen: true}}, Regions: []page.Option{{Value: "eu-west-1", Text: "eu-west-1 (Ireland)", Chosen: true}},
			Link: "https://sso.example.com/console?role=production/Admin&service=s3",
		}),
		"opening": showing(p.Opening, Opening{
			Person: aliceShown, Role: admin, Service: page.Option{Value: "s3", Text: "S3"}, Region: page.Option{Value: "eu-west-1", Text: "eu-west-1 (Ireland)"},
			CancelURL: "/console?role=production/Admin&service=s3&choose=1",
		}),
		"console-withheld": showing(p.Console, Console{Person: aliceShown, Role: held}),
		"console-programs": showing(p.Console, Console{Person: aliceShown, Role: programs}),
		"keys":             showing(p.Keys, Keys{Person: aliceShown, Role: admin, Durations: []page.Option{{Value: "1h", Text: "1 hour", Chosen: true}, {Value: "8h", Text: "8 hours, the most", Chosen: false}}}),
		"keys-issued":      showing(p.Keys, Keys{Person: aliceShown, Role: admin, Issued: issued}),
		"keys-stepup":      showing(p.Keys, Keys{Person: aliceShown, Role: stale, SignInURL: "/login?fresh=1"}),
	}
}

func whySamples(p *RolePages) map[string]endpoint.Handler {
	dev := Role{AccountID: "444455556666", AccountName: "development", Name: "Developer", Ref: "development/Developer", Grant: "developers", Duration: time.Hour, MaxDuration: 8 * time.Hour, Console: true}
	admin := Role{AccountID: "111122223333", AccountName: "production", Name: "Admin", Ref: "production/Admin", Grant: "platform-admin", Withheld: "its condition does not hold: false"}
	stale, refused := admin, admin
	stale.StepUp = true
	member := broker.RuleTest{Test: "groups", Fate: broker.Held, Detail: `in "platform"`}
	skipped := broker.Rule{Grant: "of-others", Fate: broker.Skipped}
	person := aliceShown
	person.Sessions, person.Admin = true, true
	return map[string]endpoint.Handler{
		"why-granted": showing(p.Why, Why{Person: person, Role: dev, Why: broker.Why{
			Granted: true, Grant: "developers", Session: "arn:aws:sts::444455556666:assumed-role/Developer/alice@example.com", SourceIdentity: "corp=00u1a2b3", Tags: []iam.Tag{{Key: "team", Value: "payments"}},
			Rules: []broker.Rule{{Grant: "developers", Fate: broker.Held, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Held, Detail: `in "developers"`}, {Test: "role", Fate: broker.Held, Detail: "gives arn:aws:iam::444455556666:role/Developer"}}}, skipped},
		}}),
		"why-condition": showing(p.Why, Why{Person: aliceShown, Role: admin, Address: "198.51.100.24", Others: []page.ListedRole{{Name: "ReadOnly", Ref: "production/ReadOnly", Console: true}}, Why: broker.Why{
			Grant: "platform-admin", Reason: "its condition does not hold: false",
			Rules: []broker.Rule{{Grant: "platform-admin", Fate: broker.Failed, Tests: []broker.RuleTest{member, {Test: "when", Fate: broker.Failed, When: `cidr("10.0.0.0/8").containsIP(request.ip)`}}}, skipped, skipped},
		}}),
		"why-stepup": showing(p.Why, Why{Person: aliceShown, Role: stale, SignInURL: "/login?fresh=1", Why: broker.Why{
			Grant: "platform-admin", Reason: "needs a second factor", StepUp: true,
			Rules: []broker.Rule{{Grant: "platform-admin", Fate: broker.Failed, Tests: []broker.RuleTest{member, {Test: "require.mfa", Fate: broker.Failed, Detail: "methods are pwd"}}}},
		}}),
		"why-refused": showing(p.Why, Why{Person: aliceShown, Role: refused, Why: broker.Why{
			Grant: "deny-leavers", Reason: "refused by the grant deny-leavers",
			Rules: []broker.Rule{{Grant: "deny-leavers", Deny: true, Fate: broker.Failed, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Held, Detail: `in "leavers"`}}}},
		}}),
	}
}
