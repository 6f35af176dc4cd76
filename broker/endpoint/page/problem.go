package page

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
)

// action is a button of the error page.
type action struct{ URL, Text string }

// problem is the view of the error page: what happened, what to do, then facts
// for whoever helps.
type problem struct {
	Status                    int
	Headline, Message, Advice string
	Reason                    string
	Time                      time.Time
	Wait                      time.Duration
	Actions                   []action
}

// Problem implements endpoint.ProblemPage.
func (p *Pages) Problem(w http.ResponseWriter, r *http.Request, fault endpoint.Problem) error {
	said := wordsOf(r, fault)
	view := problem{
		Status: fault.Status, Headline: said.headline, Message: fault.Message, Advice: cmp.Or(said.advice, p.advice(fault)),
		Reason: fault.Reason, Time: fault.Time, Actions: actions(r, fault),
	}
	if view.Message == view.Headline+"." {
		view.Message = "" // it says no more
	}
	if fault.Code == broker.RateLimited {
		view.Wait = fault.Retry
	}
	return p.render(w, r, look{name: "problem", title: view.Headline, status: fault.Status}, view)
}

// advice is what to do where the message does not say it.
func (p *Pages) advice(fault endpoint.Problem) string {
	whom := "your administrators"
	if p.config.Support != "" {
		whom = p.config.Support
	}
	switch fault.Code {
	case broker.AWSRefused:
		return "An administrator of the account can mend it: the policy here grants the role, and AWS did not let us take it. Give the request below to " + whom + "."
	case broker.Internal:
		if fault.Reason != "not_found" {
			return "Try again. If it happens again, give the request below to " + whom + "."
		}
	}
	return ""
}

// actions are the ways on, the best one first.
func actions(r *http.Request, fault endpoint.Problem) []action {
	home := action{"/", "Your roles"}
	signIn := func(query url.Values, text string) action {
		if back := backTo(r); back != "/" {
			query.Set("return_to", back)
		}
		if len(query) == 0 {
			return action{"/login", text}
		}
		return action{"/login?" + query.Encode(), text}
	}
	switch {
	case isSignIn(r) && (fault.Code == broker.RateLimited || fault.Code == broker.Unavailable):
		return []action{{"/login", "Try again"}}
	case isSignIn(r):
		return []action{{"/login", "Sign in again"}}
	case fault.Code == broker.Unauthenticated:
		return []action{signIn(url.Values{}, "Sign in")}
	case fault.Code == broker.StepUp:
		return []action{signIn(url.Values{"fresh": {"1"}}, "Sign in again"), home}
	case fault.Code == broker.Unavailable, fault.Code == broker.RateLimited, fault.Code == broker.Internal, fault.Reason == "csrf":
		return []action{{backTo(r), "Try again"}, home}
	}
	return []action{home}
}

// backTo is the page to come back to: this one, or the page of the form that
// was posted.
func backTo(r *http.Request) string {
	if r.Method == http.MethodGet {
		return endpoint.LocalPath(r.URL.RequestURI())
	}
	if role := r.PostForm.Get("role"); role != "" && (r.URL.Path == "/console" || r.URL.Path == "/keys") {
		return endpoint.LocalPath(RoleURL(r.URL.Path, role))
	}
	return "/"
}

// isSignIn reports whether the request was part of signing in.
func isSignIn(r *http.Request) bool {
	for _, prefix := range []string{"/saml/", "/oidc/", "/oauth/", "/login"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return true
		}
	}
	return false
}
