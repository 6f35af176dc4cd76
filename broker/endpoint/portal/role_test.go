package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

func TestWhatIsNotGrantedAndWhatDoesNotExistAnswerAlike(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for _, ref := range []string{"production/Nothing", "nowhere/Admin", "arn:aws:iam::999999999999:role/Admin", "arn:aws:iam::111122223333:role/Nothing", "<script>", "Admin", "production/", "/Admin"} {
		for _, path := range []string{"/console", "/keys", "/why"} {
			w := visit(h, path+"?role="+url.QueryEscape(ref))
			html := w.Body.String()
			if w.Code != http.StatusForbidden || !strings.Contains(html, "This role is not granted to you") || !strings.Contains(html, "role_not_granted") {
				t.Errorf("%s %s: answered %d", path, ref, w.Code)
			}
			if id := w.Header().Get("X-Request-Id"); strings.Count(html, id) < 2 {
				t.Errorf("%s %s: the request id is missing in the middle or at the foot", path, ref)
			}
		}
	}
}

func TestAnAddressWithoutARoleSaysSo(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/console", "/keys?role=", "/why"} {
		if w := visit(site(t, demo()), path); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "names no role") {
			t.Errorf("%s: answered %d", path, w.Code)
		}
	}
}

func TestARoleIsFoundByEachOfItsNames(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for _, ref := range []string{"development/Deploy", "development/ci/Deploy", "444455556666/Deploy", "444455556666/ci/Deploy", "arn:aws:iam::444455556666:role/ci/Deploy"} {
		w := visit(h, "/keys?role="+url.QueryEscape(ref))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "by grant <code>of-Deploy</code>") {
			t.Errorf("%s: answered %d", ref, w.Code)
		}
	}
}

func TestAWithheldRoleKeepsItsPageAndSaysWhy(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for _, path := range []string{"/console", "/keys"} {
		w := visit(h, path+"?role=production/Billing")
		html := w.Body.String()
		if w.Code != http.StatusForbidden || !strings.Contains(html, "when: the condition does not hold") || !strings.Contains(html, "of-Billing") {
			t.Errorf("%s: answered %d", path, w.Code)
		}
		if strings.Contains(html, `action="`+path+`"`) {
			t.Errorf("%s still offers its form", path)
		}
	}
}

func TestARoleThatNeedsAFreshSignInLeadsThereAndBack(t *testing.T) {
	t.Parallel()
	w := visit(site(t, demo()), "/keys?role=production/Breakglass")
	if w.Code != http.StatusUnauthorized {
		t.Errorf("answered %d", w.Code)
	}
	if want := `href="/login?fresh=1&amp;provider=corp&amp;return_to=%2Fkeys%3Frole%3Dproduction%2FBreakglass"`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("the page lacks %s", want)
	}
}

func TestAnOrderThatNeedsAFreshSignInShowsTheSamePage(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.err = broker.Fail(broker.StepUp, "session_ends", "Your sign-in ends in less than 15 minutes.")
	for _, path := range []string{"/console", "/keys"} {
		w := post(site(t, fake), path+"?role=production/Admin", path, url.Values{"role": {"production/Admin"}})
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "ends in less than 15 minutes") || !strings.Contains(w.Body.String(), "/login?fresh=1") {
			t.Errorf("%s: answered %d", path, w.Code)
		}
	}
}

func TestARefusalOfAWSIsAPageWithoutItsCause(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.err = broker.Fail(broker.AWSRefused, "aws_refused", "AWS did not let us take production/Admin.").Because(errSTS)
	for _, path := range []string{"/console", "/keys"} {
		w := post(site(t, fake), "/", path, url.Values{"role": {"production/Admin"}})
		html := w.Body.String()
		if w.Code != http.StatusBadGateway || !strings.Contains(html, "AWS refused the role") || strings.Contains(html, errSTS.Error()) {
			t.Errorf("%s: answered %d: %s", path, w.Code, html)
		}
	}
}

func TestARoleThatIsNobodysStillReachesTheRecord(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.err = broker.Fail(broker.AccessDenied, "role_not_granted", "This role is not granted to you.")
	w := post(site(t, fake), "/", "/keys", url.Values{"role": {"production/Nothing"}})
	if w.Code != http.StatusForbidden || len(fake.orders) != 1 || fake.orders[0].Role != "production/Nothing" {
		t.Errorf("answered %d, ordered %+v", w.Code, fake.orders)
	}
}

func TestALinkChoosesServiceAndRegion(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	html := visit(h, "/console?role=production/Admin&service=athena&region=ap-south-1&choose=1").Body.String()
	for _, want := range []string{`<option value="athena" selected>athena</option>`, `<option value="ap-south-1" selected>`, `http://sso.example.com/console?role=production/Admin&amp;service=athena&amp;region=ap-south-1`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	plain := visit(h, "/console?role=production/Admin&service=%3Cscript%3E&region=x").Body.String()
	for _, want := range []string{`<option value="eu-west-1" selected>`, `>http://sso.example.com/console?role=production/Admin</code>`} {
		if !strings.Contains(plain, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestRegionsAreThoseOfThePartition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ partition, asked, usual, want string }{
		{"aws-cn", "", "eu-west-1", ""},
		{"aws-cn", "", "cn-north-1", "cn-north-1"},
		{"aws-us-gov", "us-gov-west-1", "us-gov-east-1", "us-gov-west-1"},
		{"aws", "", "eu-west-1", "eu-west-1"},
		{"aws", "xx-new-9", "eu-west-1", "xx-new-9"},
		{"aws", "not a region", "eu-west-1", ""},
	} {
		got := ""
		for _, o := range regions(c.partition, c.asked, c.usual) {
			if o.Chosen {
				got += o.Value
			}
		}
		if got != c.want {
			t.Errorf("%+v: chose %q", c, got)
		}
	}
}

func TestDurationsEndWithTheMostThatTheGrantAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		usual, most time.Duration
		want        []page.Option
	}{
		{time.Hour, time.Hour, []page.Option{{Value: "3600", Text: "1 hour", Chosen: true}}},
		{15 * time.Minute, 30 * time.Minute, []page.Option{{Value: "900", Text: "15 minutes", Chosen: true}, {Value: "1800", Text: "30 minutes, the most"}}},
		{time.Hour, 8 * time.Hour, []page.Option{{Value: "3600", Text: "1 hour", Chosen: true}, {Value: "14400", Text: "4 hours"}, {Value: "28800", Text: "8 hours, the most"}}},
	} {
		if diff := cmp.Diff(c.want, durations(c.usual, c.most)); diff != "" {
			t.Errorf("%v to %v (-want +got):\n%s", c.usual, c.most, diff)
		}
	}
}
