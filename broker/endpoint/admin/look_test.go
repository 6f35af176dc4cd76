package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// looked is what the fake says to who looks.
type looked struct {
	people        []insight.Person
	access        insight.Access
	health        insight.Health
	configuration insight.Configuration
	questions     []insight.Question
	healthAsked   []bool
}

// insightOf is the fake as Insight; some of its methods have the names of others.
type insightOf struct{ f *fake }

func (i insightOf) People(_ context.Context, _ broker.Caller, text string) ([]insight.Person, bool, error) {
	var found []insight.Person
	for _, p := range i.f.people {
		if strings.Contains(p.Username, text) {
			found = append(found, p)
		}
	}
	return found, false, i.f.refusal()
}

func (i insightOf) Access(context.Context, broker.Caller) (insight.Access, error) {
	return i.f.access, i.f.refusal()
}

func (i insightOf) Health(_ context.Context, _ broker.Caller, ask bool) (insight.Health, error) {
	i.f.healthAsked = append(i.f.healthAsked, ask)
	return i.f.health, i.f.refusal()
}

func (i insightOf) Configuration(context.Context, broker.Caller) (insight.Configuration, error) {
	return i.f.configuration, i.f.refusal()
}

// Explain answers by a real policy.
func (i insightOf) Explain(_ context.Context, _ broker.Origin, _ broker.Caller, q insight.Question) (insight.Explanation, error) {
	i.f.questions = append(i.f.questions, q)
	if err := i.f.refusal(); err != nil {
		return insight.Explanation{}, err
	}
	if q.Role == "bad" {
		return insight.Explanation{}, broker.Fail(broker.InvalidRequest, "malformed_role", "The role must be an ARN or ACCOUNT/ROLE.")
	}
	x := insight.Explanation{
		Identity: idp.Identity{Provider: "corp", Subject: "1", Username: "alice@example.com", Groups: []string{"platform"}}, At: noon, Seen: noon.Add(-time.Hour), JSON: `{"granted": "<b>"}`,
		Rules: []insight.Rule{
			{Number: 1, Rule: broker.Rule{Grant: "deny-leavers", Fate: broker.Skipped, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Skipped, Detail: "in none of leavers"}}}},
			{Number: 2, Selects: true, Rule: broker.Rule{Grant: "platform-admin", Fate: broker.Failed, Tests: []broker.RuleTest{
				{Test: "groups", Fate: broker.Held, Detail: `in "platform"`}, {Test: "when", Fate: broker.Failed, Detail: "false", When: `cidr("10.0.0.0/8").containsIP(request.ip)`},
			}}},
			{Number: 7, Selects: true, Rule: broker.Rule{Grant: "developers", Fate: broker.Held, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Held, Detail: `in "platform"`}}}},
		},
		Orders: []insight.Order{{Ref: "development/Developer", Grant: "developers", Lasts: time.Hour, Console: true, Call: "AssumeRole", First: "AssumeRole arn:aws:iam::999988887777:role/hub", Parameters: []insight.Parameter{
			{Name: "RoleArn", Value: "arn:aws:iam::444455556666:role/Developer"}, {Name: "RoleSessionName", Value: "alice@example.com"}, {Name: "DurationSeconds", Value: "3600"},
		}, Proof: []insight.Parameter{{Name: "SourceIdentity", Value: "corp=1"}}}},
	}
	x.Withheld = []insight.Withheld{{Ref: "production/Admin", Grant: "platform-admin", Reason: "the condition does not hold"}, {Grant: "by-convention", Reason: "a value is missing"}}
	if q.Role != "" {
		x.Role, x.Ref, x.Orders = &broker.Why{Grant: "platform-admin", Reason: "the condition does not hold"}, q.Role, nil
	}
	return x, nil
}

// sandboxes are one role in each of n accounts.
func sandboxes(n int) []insight.Node {
	var roles []insight.Node
	for i := range n {
		roles = append(roles, insight.Node{Kind: "role", Name: fmt.Sprintf("sandbox-%02d/Owner", i)})
	}
	return roles
}

func demoLooked() looked {
	day := 24 * time.Hour
	return looked{
		people: []insight.Person{
			{Provider: "corp", Subject: "1", Username: "alice@example.com", Name: "Alice Meyer", Groups: []string{"platform", "developers"}, MFA: true, Last: noon.Add(-time.Hour), Address: "198.51.100.24", Agent: "Firefox on Linux", Live: 2},
			{Provider: "google", Subject: "2", Username: "bob@example.com", Last: noon.Add(-30 * day)},
		},
		access: insight.Access{Digest: strings.Repeat("3f", 32), Loaded: noon.Add(-4 * time.Hour), Grants: []insight.Grant{
			{Number: 1, Name: "deny-leavers", Deny: true, Who: []insight.Node{{Kind: "group", Name: "leavers"}}, Roles: []insight.Node{{Kind: "roles", Name: "every role"}}},
			{Number: 2, Name: "platform-admin", Who: []insight.Node{{Kind: "group", Name: "platform"}}, Roles: []insight.Node{{Kind: "role", Name: "production/Admin"}}, Terms: []string{"condition", "two factors", "1 h"}, When: `cidr("10.0.0.0/8").containsIP(request.ip)`},
			{Number: 3, Name: "developers", Who: []insight.Node{{Kind: "group", Name: "developers"}, {Kind: "group", Name: "platform"}}, Roles: []insight.Node{{Kind: "role", Name: "production/ReadOnly"}, {Kind: "role", Name: "development/Developer"}}, Terms: []string{"8 h"}},
			{Number: 4, Name: "by-convention", Who: []insight.Node{{Kind: "pattern", Name: `AWS-(?P<account>\d{12})-(?P<role>\w+)`}}, Roles: []insight.Node{{Kind: "roles", Name: "arn:aws:iam::{{account}}:role/{{role}}"}}, Terms: []string{"1 h"}},
			{Number: 5, Name: "lake-analysts", Who: []insight.Node{{Kind: "group", Name: "data-science"}}, Roles: []insight.Node{{Kind: "role", Name: "data-lake/Analyst"}}, Terms: []string{"4 h"}},
			{Number: 6, Name: "auditors", Who: []insight.Node{{Kind: "group", Name: "security"}, {Kind: "user", Name: "eve@example.com"}}, Roles: []insight.Node{{Kind: "role", Name: "security-audit/SecurityAudit"}, {Kind: "role", Name: "production/ReadOnly"}}, Terms: []string{"two factors", "4 h"}},
			{Number: 7, Name: "sandbox-owners", Who: []insight.Node{{Kind: "everyone", Name: "everyone"}}, Roles: sandboxes(40), Terms: []string{"8 h"}},
		}},
		health: insight.Health{
			At: noon, Whole: true,
			Providers: []insight.ProviderHealth{
				{ProviderInfo: broker.ProviderInfo{Name: "corp", Label: "Corporate sign-in", Type: "saml", Host: "idp.example.com"}, Read: noon.Add(-3 * time.Minute), Took: 140 * time.Millisecond, Keys: 2, SignIns: 214, Refused: 1, Last: noon.Add(-time.Minute), Failed: noon.Add(-time.Hour), Reason: "expired", RequestID: "R7"},
				{ProviderInfo: broker.ProviderInfo{Name: "partner", Label: "Partner", Type: "oidc"}, Fault: "discovery: connection refused"},
				{ProviderInfo: broker.ProviderInfo{Name: "old", Label: "Old", Type: "saml"}, Fault: "it does not answer", Keys: 1, Read: noon.Add(-50 * time.Hour), Refused: 3},
				{ProviderInfo: broker.ProviderInfo{Name: "new", Label: "New", Type: "oauth2"}, Static: true},
				{ProviderInfo: broker.ProviderInfo{Name: "later", Label: "Later", Type: "oidc"}},
			},
			Certificates: []insight.Certificate{
				{What: "TLS of this server", Fingerprint: strings.Repeat("7c", 32), Ends: noon.Add(-day), Left: -day, Mark: "over"},
				{What: "Signs at Corporate sign-in", Fingerprint: strings.Repeat("d2", 32), Ends: noon.Add(9 * day), Left: 9 * day, Mark: "soon", Note: "its successor is known"},
				{What: "Token key RS256 (id), active", Fingerprint: "kid-1", Ends: noon.Add(68 * day), Left: 68 * day, Note: "followed by itself"},
			},
		},
		configuration: insight.Configuration{
			File: "rolecall.yaml", Digest: strings.Repeat("3f", 32), PolicyDigest: strings.Repeat("9a", 32), Loaded: noon.Add(-4 * time.Hour), Warnings: []string{"rolecall.yaml:3: something strange"},
			NotTaken: &insight.NotTaken{At: noon.Add(-time.Hour), Why: `rolecall.yaml:41: account "prodution" is not defined`},
			Lines: []config.Line{
				{Text: "server:"}, {Depth: 1, Text: "url: https://sso.example.com"}, {Depth: 1, Text: `listen: ":8443"`, Default: true},
				{Text: "providers:"}, {Depth: 1, Text: "- name: corp"}, {Depth: 2, Text: "client_secret: ", Secret: "secret, from ${env:CORP_SECRET}, set"},
			},
		},
	}
}

func TestTheOverviewSaysWhatWantsAttentionAndAsksNobody(t *testing.T) {
	t.Parallel()
	f := demo()
	html := visit(site(t, f), "/admin/").Body.String()
	for _, want := range []string{"A newer configuration was not taken", "1 warning", "Partner", "cannot be used: discovery: connection refused", "Old", "TLS of this server", "ends within 30 days; its successor is known, 2 Dec 2026"} {
		if !strings.Contains(html, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if strings.Contains(html, "Token key") {
		t.Error("a key that is well wants attention")
	}
	visit(site(t, f), "/admin/health")
	if got := fmt.Sprint(f.healthAsked); got != "[false true]" {
		t.Errorf("asked the providers: %s", got)
	}
}

func TestAQuestionIsPutAsTheFormSays(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	visit(h, "/admin/explain")
	if len(f.questions) != 0 {
		t.Error("the empty form asks")
	}
	visit(h, "/admin/explain?"+url.Values{
		"provider": {"corp"}, "username": {"new"}, "groups": {" platform \r\n\r\ndevelopers"}, "methods": {"pwd, mfa"}, "attributes": {"team = red\nteam=blue\na = b=c"},
		"role": {"production/Admin"}, "address": {"10.0.0.1"}, "at": {"2026-11-23T09:30"}, "via": {"device"}, "device": {"d-1"},
	}.Encode())
	want := insight.Question{
		Identity: idp.Identity{Provider: "corp", Subject: "new", Username: "new", Groups: []string{"platform", "developers"}, Methods: []string{"pwd", "mfa"}, Attributes: map[string][]string{"team": {"red", "blue"}, "a": {"b=c"}}},
		Role:     "production/Admin", Address: "10.0.0.1", At: noon.Add(-150 * time.Minute), Via: "device", Device: "d-1",
	}
	if len(f.questions) != 1 || fmt.Sprint(f.questions[0]) != fmt.Sprint(want) {
		t.Errorf("asked %+v", f.questions)
	}
	html := visit(h, "/admin/explain?person=alice").Body.String()
	for _, want := range []string{"2 more are withheld", "<code>production/Admin</code>", "a role that cannot be named", "AssumeRole arn:aws:iam::999988887777:role/hub", "1 grant speaks of others"} {
		if !strings.Contains(html, want) {
			t.Errorf("the answer lacks %q", want)
		}
	}
	f.questions = nil
	for target, fault := range map[string]string{
		"/admin/explain?person=alice&at=yesterday":          "The time cannot be read",
		"/admin/explain?username=a&attributes=no+equals":    "NAME = VALUE",
		"/admin/explain?person=alice&role=bad":              "The role must be an ARN",
		"/admin/explain?person=" + strings.Repeat("x", 999): "",
	} {
		w := visit(h, target)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), fault) {
			t.Errorf("%.50s: %d, without %q", target, w.Code, fault)
		}
	}
	f.err = errors.New("broken")
	if w := visit(h, "/admin/explain?person=alice"); w.Code != http.StatusInternalServerError {
		t.Errorf("a fault of ours answers %d", w.Code)
	}
}

func TestTheConfigurationPageHoldsNoSecret(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("rolecall.yaml", []byte(`server: {url: "https://sso.example.com"}
providers:
  - {name: staff, type: oidc, issuer: "https://idp.example.com", client_id: rolecall, client_secret: "${env:STAFF}"}
  - {name: other, type: oidc, issuer: "https://other.example.com", client_id: rolecall, client_secret: canary-literal}
accounts:
  - {id: "111122223333", name: production, external_id: canary-external}
`), func(string) (string, bool) { return "canary-env", true })
	if err != nil {
		t.Fatal(err)
	}
	c.Providers[0].Encryption.Key = secret.New("canary-key")
	f := demo()
	f.configuration.Lines = c.Running()
	html := visit(site(t, f), "/admin/configuration").Body.String()
	if strings.Contains(html, "canary") || strings.Count(html, "<b>secret, ") != 3 || !strings.Contains(html, "secret, from ${env:STAFF}, set") {
		t.Errorf("the page: %s", html)
	}
}

func TestAnExportIsWhatTheFormFindsAsItStandsInTheFile(t *testing.T) {
	t.Parallel()
	f := demo()
	w := visit(site(t, f), "/admin/audit/records?q=alice&since=24h&before=77")
	if w.Body.String() != strings.Join(f.lines, "\n")+"\n" || w.Header().Get("Content-Type") != "application/jsonl; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="rolecall-audit-2026-11-23-1200.jsonl"` || f.asked[0].Text != "alice" || f.asked[0].Before != 0 {
		t.Errorf("%v, %q, asked %+v", w.Header(), w.Body, f.asked)
	}
	empty := demo()
	empty.exported, empty.lines = f.exported, nil
	if w := visit(site(t, empty), "/admin/audit/records"); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Disposition") == "" {
		t.Errorf("nothing found: %d, %v", w.Code, w.Header())
	}
	if w := visit(site(t, f), "/admin/audit/records?from=yesterday"); w.Code != http.StatusBadRequest {
		t.Errorf("a time that cannot be read: %d", w.Code)
	}
}

func TestAnExportThatBreaksOffDoesNotLookWhole(t *testing.T) {
	t.Parallel()
	f := demo()
	f.exported = errors.New("the disk is gone")
	server := httptest.NewServer(site(t, f))
	t.Cleanup(server.Close)
	answer, err := http.Get(server.URL + "/admin/audit/records")
	if err == nil {
		defer func() { _ = answer.Body.Close() }()
		_, err = answer.Body.Read(make([]byte, 1<<16))
		for err == nil {
			_, err = answer.Body.Read(make([]byte, 1<<16))
		}
	}
	if err == nil || err.Error() == "EOF" {
		t.Errorf("it ended with %v", err)
	}
	empty := demo()
	empty.exported, empty.lines = f.exported, nil
	if w := visit(site(t, empty), "/admin/audit/records"); w.Code != http.StatusInternalServerError || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("before the first line: %d, %v", w.Code, w.Header())
	}
}

func TestARecordLeadsToItsRequestItsPersonAndItsExplanation(t *testing.T) {
	t.Parallel()
	f := demo()
	html := visit(site(t, f), "/admin/audit/record?at=4096").Body.String()
	for _, want := range []string{
		`href="/admin/audit?request=R1"`, `href="/admin/audit?person=1&amp;since=2160h"`, `person=corp%3D1`, `role=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2FAdmin`, `at=2026-11-23T11%3A58%3A00`, "Record 184219", "verified", "a \\u003cb",
	} {
		if want == "a \\u003cb" {
			want = "a &lt;b&gt;detail"
		}
		if !strings.Contains(html, want) {
			t.Errorf("the record lacks %q", want)
		}
	}
	for target, status := range map[string]int{"/admin/audit/record": 404, "/admin/audit/record?at=x": 404, "/admin/audit/record?at=5": 400} {
		if w := visit(site(t, f), target); w.Code != status {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	f.position.Broken, f.position.Followed, f.position.Why = 12, 0, "it was edited"
	if html := visit(site(t, f), "/admin/audit/record?at=4096").Body.String(); !strings.Contains(html, "The chain breaks at record 12:") || strings.Contains(html, ">verified<") {
		t.Error("a broken chain looks verified")
	}
}

// policyOf makes n grants of one group and roles in accounts each.
func policyOf(n, accounts int) insight.Access {
	a := insight.Access{Digest: strings.Repeat("0", 64)}
	for i := range n {
		g := insight.Grant{Number: i + 1, Name: fmt.Sprintf("grant-%03d", i), Who: []insight.Node{{Kind: "group", Name: fmt.Sprintf("group-%02d", i%40)}}, Terms: []string{"1 h"}}
		for k := range accounts {
			g.Roles = append(g.Roles, insight.Node{Kind: "role", Name: fmt.Sprintf("account-%03d/Role%d", k, i%7)})
		}
		a.Grants = append(a.Grants, g)
	}
	return a
}

func TestTheGraphIsReadableWith3AndWith300Grants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		access insight.Access
		closer bool
		boxes  int
	}{
		"three grants":              {policyOf(3, 1), true, 9},
		"a grant of 300 accounts":   {policyOf(1, 300), false, 3},
		"300 grants":                {policyOf(300, 1), false, 0},
		"300 grants of 50 accounts": {policyOf(300, 50), false, 0},
	} {
		d := draw(c.access.Grants[:min(maxDrawn, len(c.access.Grants))], c.closer)
		if c.boxes > 0 && len(d.Boxes) != c.boxes {
			t.Errorf("%s: %d boxes, want %d", name, len(d.Boxes), c.boxes)
		}
		for i, a := range d.Boxes {
			if a.X < 0 || a.Y < headRoom || a.X+a.Width > d.Width || a.Y+a.Height > d.Height {
				t.Errorf("%s: box %q is outside: %+v", name, a.Text, a)
			}
			for _, b := range d.Boxes[:i] {
				if a.X == b.X && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height {
					t.Fatalf("%s: boxes %q and %q lie upon one another", name, a.Text, b.Text)
				}
			}
		}
		if d.Height > 3500 {
			t.Errorf("%s: the drawing is %d high", name, d.Height)
		}
	}
	three := draw(policyOf(3, 1).Grants, true)
	for _, b := range three.Boxes[:3] {
		if b.Y != three.Boxes[int(b.Y-headRoom)/tall+3].Y {
			t.Errorf("what belongs together is not level: %+v", three.Boxes)
		}
	}
}

func TestALargePolicyIsForEverybodyToo(t *testing.T) {
	t.Parallel()
	f := demo()
	f.access = policyOf(300, 50)
	server := httptest.NewServer(site(t, f))
	t.Cleanup(server.Close)
	pagetest.Browse(t, server.URL, "/admin/access", map[string]string{"access-300": "/admin/access", "access-300-group": "/admin/access?focus=group:group-07", "access-300-grant": "/admin/access?focus=grant:grant-007"})
}

func TestAFocusAndASearchNarrowTheGraph(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	rows := regexp.MustCompile(`<th scope="row"[^>]*><span><a [^>]*><code>([^<]*)</code>`)
	for target, want := range map[string]string{
		"/admin/access":                              "deny-leavers platform-admin developers by-convention lake-analysts auditors sandbox-owners",
		"/admin/access?focus=group:platform":         "platform-admin developers",
		"/admin/access?focus=role:production/Admin":  "platform-admin",
		"/admin/access?focus=grant:developers":       "developers",
		"/admin/access?focus=nonsense:developers":    "deny-leavers platform-admin developers by-convention lake-analysts auditors sandbox-owners",
		"/admin/access?focus=group:nobody":           "",
		"/admin/access?q=ADMIN":                      "platform-admin",
		"/admin/access?q=platform&in=who":            "platform-admin developers",
		"/admin/access?q=platform&in=grant":          "platform-admin",
		"/admin/access?q=production&in=role":         "platform-admin developers auditors",
		"/admin/access?q=readonly&focus=group:nope":  "",
		"/admin/access?q=dev&focus=group:platform":   "developers",
		"/admin/access?q=%3Cscript%3Ealert(1)":       "",
		"/admin/access?page=99999":                   "deny-leavers platform-admin developers by-convention lake-analysts auditors sandbox-owners",
		"/admin/access?focus=role:production/Read&q": "",
	} {
		html := visit(h, target).Body.String()
		var got []string
		for _, m := range rows.FindAllStringSubmatch(html, -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, " ") != want || strings.Contains(html, "<script>alert") {
			t.Errorf("%s: %v", target, got)
		}
	}
	if html := visit(h, "/admin/access?q=readonly").Body.String(); strings.Contains(html, "development/Developer") || !strings.Contains(html, "production/ReadOnly") {
		t.Error("a grant shows roles that were not looked for")
	}
	f.access = policyOf(300, 50)
	html := visit(h, "/admin/access?page=40").Body.String()
	if !strings.Contains(html, "41 to 80 of 300") || !strings.Contains(html, `href="/admin/access">Previous`) || !strings.Contains(html, `href="/admin/access?page=80">Next`) || len(html) > 400_000 {
		t.Errorf("the second part of 300 grants, %d bytes", len(html))
	}
}

func TestAListIsShownInParts(t *testing.T) {
	t.Parallel()
	f := demo()
	for i := range 250 {
		f.people = append(f.people, insight.Person{Provider: "corp", Subject: fmt.Sprint(i), Username: fmt.Sprintf("user-%03d", i), Last: noon})
	}
	html := visit(site(t, f), "/admin/people?q=user&skip=100").Body.String()
	if !strings.Contains(html, "101 to 200 of 250") || !strings.Contains(html, `href="/admin/people?q=user">Previous`) || !strings.Contains(html, `href="/admin/people?q=user&amp;skip=200">Next`) || !strings.Contains(html, "user-150") || strings.Contains(html, "user-250") {
		t.Error("the second part of a list is not what it should be")
	}
	for _, skip := range []string{"-5", "250", "x", "99999999999999999999"} {
		if html := visit(site(t, f), "/admin/people?q=user&skip="+skip).Body.String(); !strings.Contains(html, "1 to 100 of 250") {
			t.Errorf("skip=%s does not begin at the front", skip)
		}
	}
}
