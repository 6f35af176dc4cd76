package page

import (
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
	view := problem{
		Status: fault.Status, Headline: headline(r, fault), Message: fault.Message, Advice: p.advice(fault),
		Reason: fault.Reason, Time: fault.Time, Actions: actions(r, fault),
	}
	if fault.Code == broker.RateLimited {
		view.Wait = fault.Retry
	}
	return p.render(w, r, look{name: "problem", title: view.Headline, status: fault.Status}, view)
}

// headline says what happened in one line.
func headline(r *http.Request, fault endpoint.Problem) string {
	switch fault.Reason {
	case "not_found":
		return "Page not found"
	case "csrf":
		return "This form has expired"
	case "role_not_granted":
		return "This role is not granted to you"
	}
	if isSignIn(r) && (fault.Code == broker.AccessDenied || fault.Code == broker.InvalidRequest) {
		return "The sign-in was refused"
	}
	switch fault.Code {
	case broker.InvalidRequest:
		return "The request cannot be answered"
	case broker.Unauthenticated:
		return "You are not signed in"
	case broker.AccessDenied:
		return "Access was refused"
	case broker.StepUp:
		return "This needs a fresh sign-in"
	case broker.TooLarge:
		return "The request is too large"
	case broker.RateLimited:
		return "Too many tries"
	case broker.AWSRefused:
		return "AWS refused the role"
	case broker.Unavailable:
		return "Not available right now"
	}
	return "Something failed on our side"
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
