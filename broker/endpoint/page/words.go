package page

import (
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
)

// words are what an error page says of one reason: what happened in a line, and
// what to do where the message does not say it.
type words struct{ headline, advice string }

// anywhere are the words of reasons wherever they occur.
var anywhere = map[string]words{
	"not_found":        {"Page not found", "The address may be old or mistyped. Your roles are at the beginning."},
	"csrf":             {"This form has expired", ""},
	"role_not_granted": {"This role is not granted to you", ""},
	"not_admin":        {"Administration is not yours to see", ""},
	"malformed_role":   {"There is no such role", "Check the account and the role in the link; the person who sent it can see it under their own roles."},
	"method":           {"This address is not a page", "It is where a form is sent, or a program. Go back to the page that you came from."},
	"content_type":     {"The form could not be read", ""},
	"malformed_form":   {"The form could not be read", ""},
	"store":            {"Not available right now", "Nothing was lost. The broker cannot reach its memory; whoever runs it sees that too."},
	"audit":            {"Not available right now", "What cannot be recorded is not done. Whoever runs the broker sees that too."},
	"aws_unavailable":  {"AWS does not answer right now", "Your sign-in is fine. Keys that you have already keep working until they expire."},
}

// atSignIn are the words of reasons on the way in. Reason codes are those of
// `rolecalld saml inspect` and `rolecalld oidc inspect`.
var atSignIn = map[string]words{
	"no_pending_signin":    {"This sign-in has expired", "A page of the identity provider that was left open, reloaded or reached by the back button cannot be used again. Begin anew."},
	"unknown_provider":     {"There is no such identity provider", ""},
	"wrong_provider":       {"The answer came from another provider", ""},
	"method":               {"Begin at the sign-in page", "This address is where the identity provider sends its answer. If it is a bookmark, replace it."},
	"replay":               {"This sign-in was used already", "A page that was reloaded sends the same answer again. Begin anew."},
	"provider_unavailable": {"The identity provider does not answer", ""},
	"access-denied":        {"The identity provider said no", "You or it cancelled the sign-in there, or you are not assigned to this application. Who runs the identity provider can assign you."},
	"status":               {"The identity provider said no", "It did not sign you in. Who runs the identity provider sees why."},
	"idp-error":            {"The identity provider reported a fault", "Who runs the identity provider sees why."},
	"expired":              {"The sign-in came too late", "The answer of the provider was no longer valid when it came: a page that waited, or a clock that is wrong, there or here."},
	"not-yet-valid":        {"The sign-in came too early", "The answer of the provider is dated in the future: its clock or ours is wrong."},
	"issued-at":            {"The sign-in came too early", "The answer of the provider is dated in the future: its clock or ours is wrong."},
	"signature":            {"The sign-in was refused", "The answer is signed by a key that the broker does not know. After a change of keys at the provider that can last a minute."},
	"unknown-key":          {"The sign-in was refused", "The answer is signed by a key that the broker does not know. After a change of keys at the provider that can last a minute."},
	"email-unverified":     {"Your e-mail address is not verified", "Verify it at your identity provider, then sign in again."},
	"require":              {"You may not sign in here", "You were recognised, but this organisation admits others only: perhaps another account of yours."},
	"hosted-domain":        {"You may not sign in here", "You were recognised, but this organisation admits others only: perhaps another account of yours."},
	"tenant":               {"You may not sign in here", "You were recognised, but this organisation admits others only: perhaps another account of yours."},
	"groups-overage":       {"You have too many groups", "The provider left them out of its answer. An administrator can have them fetched, or fewer sent."},
	"not-fresh":            {"The sign-in was not fresh", "The provider answered from a sign-in of before. Sign out there first."},
	"auth-time":            {"The sign-in was not fresh", "The provider answered from a sign-in of before. Sign out there first."},
}

// wordsOf finds what to say of a fault.
func wordsOf(r *http.Request, fault endpoint.Problem) words {
	found, ok := anywhere[fault.Reason]
	if at, known := atSignIn[fault.Reason]; known && isSignIn(r) {
		found, ok = at, true
	}
	if !ok || found.headline == "" {
		found.headline = headline(r, fault)
	}
	return found
}

// headline says what happened in one line, by the kind of fault alone.
func headline(r *http.Request, fault endpoint.Problem) string {
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
