package saml

import (
	"slices"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// issueAge is how old a message may be when it arrives; clock_skew comes on top.
const issueAge = 3 * time.Minute

// stamp is how times are shown.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// early and late compare with the clock, in favour of the document by the skew.
func (j *judgement) early(t time.Time) bool { return j.At.Before(t.Add(-j.Skew)) }
func (j *judgement) late(t time.Time) bool  { return !j.At.Before(t.Add(j.Skew)) }

// checkResponse judges the attributes of the Response.
func (j *judgement) checkResponse() *idp.Rejection {
	issuer := j.head.child(spaceAssertion, "Issuer")
	if issuer == nil {
		j.note(notedNoIssuer, "the Response names no Issuer; that of the Assertion counts")
	} else {
		text, fault := issuerOf(issuer)
		if fault != nil {
			return fault
		}
		if text != j.IDP.EntityID {
			return idp.Reject("issuer", "the Issuer of the Response is %q and not %q", shorten(text), j.IDP.EntityID)
		}
	}
	issued, fault := instant(j.head, "IssueInstant")
	if fault != nil {
		return fault
	}
	if fault := j.checkIssued("Response", issued); fault != nil {
		return fault
	}
	if fault := j.checkDestination(); fault != nil {
		return fault
	}
	return j.checkRequest()
}

// checkIssued judges an IssueInstant both ways.
func (j *judgement) checkIssued(what string, at time.Time) *idp.Rejection {
	if j.early(at) {
		return idp.Reject("not-yet-valid", "the %s is from the future: issued %s, now %s", what, stamp(at), stamp(j.At))
	}
	if j.late(at.Add(issueAge)) {
		j.weak(weakStale, "the %s was issued %s, more than %s before now (%s)", what, stamp(at), issueAge, stamp(j.At))
		return nil
	}
	j.fits("issue-instant", "%s issued %s", what, stamp(at))
	return nil
}

// checkDestination demands our ACS; a signed Response must name it.
func (j *judgement) checkDestination() *idp.Rejection {
	destination, named := j.head.attr("Destination")
	switch {
	case named && destination != "" && !j.ours(destination) && !slices.Contains(j.Destinations, destination):
		return idp.Reject("destination", "the Destination is %q and not %q", shorten(destination), j.ACSURL)
	case named && destination != "":
		j.fits("destination", "%s", shorten(destination))
	case j.responseSignature != nil:
		j.weak(weakDestination, "the signed Response names no Destination")
	default:
		j.fits("destination", "not named; the signed Recipient counts")
	}
	return nil
}

// ours reports whether a URL is where answers to us are sent.
func (j *judgement) ours(url string) bool {
	return url == j.ACSURL || slices.Contains(j.Recipients, url)
}

// checkRequest binds the Response to the one pending request.
func (j *judgement) checkRequest() *idp.Rejection {
	if j.Exchange {
		return nil
	}
	answered, named := j.head.attr("InResponseTo")
	switch {
	case j.RequestID == "" && !named:
		j.weak(weakInitiated, "nobody asked for this Response")
		return nil
	case j.RequestID == "":
		return idp.Reject("in-response-to", "the Response answers %q, and no request is pending", shorten(answered))
	case answered != j.RequestID:
		return idp.Reject("in-response-to", "the Response answers %q and not the pending request %q", shorten(answered), shorten(j.RequestID))
	}
	j.fits("in-response-to", "%s", shorten(answered))
	return nil
}

// checkAssertion judges what the assertion says about itself.
func (j *judgement) checkAssertion(s *statement) *idp.Rejection {
	if s.issuer != j.IDP.EntityID {
		return idp.Reject("issuer", "the Issuer of the Assertion is %q and not %q", shorten(s.issuer), j.IDP.EntityID)
	}
	j.fits("issuer", "%s", shorten(s.issuer))
	if fault := j.checkIssued("Assertion", s.issueInstant); fault != nil {
		return fault
	}
	if j.advice {
		j.weak(weakAdvice, "the Assertion carries other assertions as advice")
	}
	for _, check := range []func(*statement) *idp.Rejection{j.checkConditions, j.checkAudience, j.checkConfirmations, j.checkAuthn} {
		if fault := check(s); fault != nil {
			return fault
		}
	}
	return nil
}

func (j *judgement) checkConditions(s *statement) *idp.Rejection {
	if !s.notBefore.IsZero() && !s.notOnOrAfter.IsZero() && !s.notBefore.Before(s.notOnOrAfter) {
		return idp.Reject("conditions", "the Conditions end (%s) before they begin (%s)", stamp(s.notOnOrAfter), stamp(s.notBefore))
	}
	if !s.notBefore.IsZero() && j.early(s.notBefore) {
		return idp.Reject("not-yet-valid", "the Conditions hold from %s, now is %s", stamp(s.notBefore), stamp(j.At))
	}
	if s.notOnOrAfter.IsZero() {
		j.weak(weakNotOnOrAfter, "the Conditions name no end")
		return nil
	}
	if j.late(s.notOnOrAfter) {
		return idp.Reject("expired", "the Conditions ended %s, now is %s", stamp(s.notOnOrAfter), stamp(j.At))
	}
	j.fits("conditions", "until %s", stamp(s.notOnOrAfter))
	return nil
}

// checkAudience: every restriction must name us, each by any of its audiences.
func (j *judgement) checkAudience(s *statement) *idp.Rejection {
	if len(s.audiences) == 0 {
		j.weak(weakAudience, "the Assertion is for anybody: it has no AudienceRestriction")
		return nil
	}
	for _, restriction := range s.audiences {
		if !slices.Contains(restriction, j.EntityID) {
			return idp.Reject("audience", "the Assertion is for %q and not for %q", shorten(firstOf(restriction)), j.EntityID)
		}
	}
	j.fits("audience", "%s", j.EntityID)
	return nil
}

func firstOf(list []string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return list[0] + " ..."
}

// checkConfirmations: one bearer confirmation must hold, whatever the others are.
func (j *judgement) checkConfirmations(s *statement) *idp.Rejection {
	var why *idp.Rejection
	held := -1
	for i, c := range s.confirmations {
		if c.method != methodBearer {
			continue
		}
		fault := j.checkBearer(c)
		if fault == nil && (held < 0 || c.notBefore.IsZero()) {
			held = i
		}
		if fault != nil && why == nil {
			why = fault
		}
	}
	if held < 0 {
		if why == nil {
			why = idp.Reject("no-bearer-confirmation", "none of the %d SubjectConfirmations is a bearer confirmation", len(s.confirmations))
		}
		return why
	}
	c := s.confirmations[held]
	if !c.notBefore.IsZero() {
		j.weak(weakConfirmation, "the bearer confirmation has a NotBefore")
	}
	if c.address != "" {
		j.note(notedConfirmation, "the confirmation names an address, which is not compared")
	}
	j.fits("confirmation", "bearer, until %s, for %s", stamp(c.notOnOrAfter), shorten(c.recipient))
	return nil
}

func (j *judgement) checkBearer(c confirmation) *idp.Rejection {
	switch {
	case !c.data:
		return idp.Reject("confirmation", "the bearer confirmation has no SubjectConfirmationData")
	case !j.ours(c.recipient):
		return idp.Reject("recipient", "the Recipient is %q and not %q", shorten(c.recipient), j.ACSURL)
	case c.notOnOrAfter.IsZero():
		return idp.Reject("confirmation", "the bearer confirmation names no end")
	case j.late(c.notOnOrAfter):
		return idp.Reject("expired", "the bearer confirmation ended %s, now is %s", stamp(c.notOnOrAfter), stamp(j.At))
	case !c.notBefore.IsZero() && j.early(c.notBefore):
		return idp.Reject("not-yet-valid", "the bearer confirmation holds from %s, now is %s", stamp(c.notBefore), stamp(j.At))
	case j.Exchange:
		return nil
	case c.inResponseTo != j.RequestID:
		return idp.Reject("in-response-to", "the bearer confirmation answers %q and not the pending request %q", shorten(c.inResponseTo), shorten(j.RequestID))
	}
	return nil
}

// checkAuthn judges when and how the person proved themselves.
func (j *judgement) checkAuthn(s *statement) *idp.Rejection {
	if len(s.authn) == 0 {
		return idp.Reject("authn-statement", "the Assertion has no AuthnStatement: it does not say that anybody signed in")
	}
	for _, a := range s.authn {
		asked := !j.Since.IsZero() || j.MaxAge > 0
		switch {
		case asked && j.early(a.instant):
			return idp.Reject("not-yet-valid", "the person signs in at %s, now is %s", stamp(a.instant), stamp(j.At))
		case !a.end.IsZero() && j.late(a.end):
			return idp.Reject("session-ended", "the session at the provider ended %s, now is %s", stamp(a.end), stamp(j.At))
		case !j.Since.IsZero() && a.instant.Before(j.Since.Add(-j.Skew)):
			return idp.Reject("not-fresh", "a fresh sign-in was asked for at %s, but the person signed in at %s", stamp(j.Since), stamp(a.instant))
		case j.MaxAge > 0 && j.late(a.instant.Add(j.MaxAge)):
			return idp.Reject("not-fresh", "the person signed in at %s, longer than %s ago", stamp(a.instant), j.MaxAge)
		case len(j.ACR) > 0 && !slices.Contains(j.ACR, a.class):
			return idp.Reject("authn-context", "the authentication context is %q and not what was asked for", shorten(a.class))
		}
	}
	j.fits("authn-statement", "signed in %s by %s", stamp(s.authn[0].instant), shorten(s.authn[0].class))
	return nil
}
