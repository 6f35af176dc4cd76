package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rolecall/rolecall/broker"
)

func TestALinkWithAServiceShowsWhereItGoesAndIssuesNothing(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.kept = marked()
	w := visit(site(t, fake), "/console?role=production/Admin&service=s3&region=eu-north-1")
	html := w.Body.String()
	for _, want := range []string{
		"Opening S3 in eu-north-1 as", `data-colour="red"`, "111122223333", `<form method="post" action="/console" class="actions" data-auto-post>`, `name="service" value="s3"`, `name="region" value="eu-north-1"`,
		"Open console", `href="/console?role=production/Admin&amp;service=s3&amp;choose=1&amp;region=eu-north-1"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if w.Code != http.StatusOK || len(fake.console)+len(fake.orders) > 0 {
		t.Errorf("answered %d, ordered %v", w.Code, fake.console)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://signin.aws.example") {
		t.Errorf("the form cannot reach the console: %s", csp)
	}
}

func TestOnlyWhatCanOpenPostsItself(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for _, target := range []string{
		"/console?role=production/Admin", "/console?role=production/Admin&region=eu-north-1", "/console?role=production/Admin&service=%3Cscript%3E", "/console?role=production/Admin&service=s3&choose=1",
		"/console?role=production/Billing&service=s3", "/console?role=development/Deploy&service=s3", "/console?role=production/Breakglass&service=s3", "/console?role=nowhere/Admin&service=s3",
	} {
		if html := visit(h, target).Body.String(); strings.Contains(html, "data-auto-post") {
			t.Errorf("%s posts itself", target)
		}
	}
	if html := visit(h, "/console?role=production/Admin&service=athena").Body.String(); !strings.Contains(html, "Opening athena in eu-west-1") {
		t.Error("a service that is not in the list is not opened")
	}
}

func TestALinkWithAServiceArrivesAtTheConsole(t *testing.T) {
	t.Parallel()
	fake := demo()
	ctx, base := open(t, fake)
	do(t, ctx, "link", chromedp.Navigate(base+"/console?role=production/Admin&service=s3"), chromedp.WaitVisible(chromedp.CSS(`#aws`)))
	if want := (broker.ConsoleOrder{Role: "arn:aws:iam::111122223333:role/Admin", Service: "s3", Region: "eu-west-1"}); len(fake.console) != 1 || fake.console[0] != want {
		t.Errorf("ordered %+v", fake.console)
	}
	if len(fake.used) != 1 {
		t.Errorf("remembered %v", fake.used)
	}
}
