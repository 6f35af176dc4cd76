package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rolecall/rolecall/broker"
)

// Next is what the browser gets: exactly one member is set.
type Next struct {
	// Redirect is the client's address with a code or an error.
	Redirect string
	SignIn   *SignIn
	Consent  *Consent
}

// SignIn sends the person to sign in first.
type SignIn struct {
	// ReturnTo is a path of ours with the request, for after the sign-in.
	ReturnTo string
	// Fresh demands that the provider asks the person again.
	Fresh bool
}

// Consent is what the person is asked.
type Consent struct {
	Client      string // its name, for people
	RedirectURI string // where the answer goes
	Username    string
	// Abilities are what the client will be able to do, a sentence each.
	Abilities []string
	// Params is the request, to be posted back with the decision.
	Params url.Values
}

// decision is what the person answered.
type decision int

const (
	undecided decision = iota
	approved
	denied
)

// Authorize judges an authorization request (RFC 6749 section 4.1.1, OpenID
// Connect Core 1.0 section 3.1.2). caller is the browser's session, nil without
// one. A *broker.Error is for a page: nothing may be sent to the client.
func (s *Server) Authorize(ctx context.Context, origin broker.Origin, params url.Values, caller *broker.Caller) (Next, error) {
	return s.authorize(ctx, origin, params, caller, undecided)
}

// Decide is Authorize with the person's answer to the consent page. The caller
// of Decide has made sure that it comes from that page.
func (s *Server) Decide(ctx context.Context, origin broker.Origin, params url.Values, caller *broker.Caller, approve bool) (Next, error) {
	answer := denied
	if approve {
		answer = approved
	}
	return s.authorize(ctx, origin, params, caller, answer)
}

func (s *Server) authorize(ctx context.Context, origin broker.Origin, params url.Values, caller *broker.Caller, answer decision) (Next, error) {
	if err := s.limitAddress(ctx, origin, "authorize"); err != nil {
		return Next{}, err
	}
	event := s.event(origin, "authorize")
	if caller != nil {
		describe(&event, *caller)
	}
	request, err := s.parseRequest(params)
	event.Client = request.client.id
	var next Next
	if err == nil {
		next, err = s.advance(ctx, origin, &request, caller, answer)
	}
	if err == nil && next.Redirect == "" || errors.Is(err, errTurnedAway) {
		return next, err // nothing was granted or refused yet, or it is recorded in bulk
	}
	if failed := s.conclude(ctx, event, err); failed != nil {
		return Next{}, failed
	}
	if refusal, ok := errors.AsType[*Error](err); ok {
		return Next{Redirect: request.answer(s.cfg.Issuer.URL(), url.Values{
			"error": {string(refusal.Code)}, "error_description": {refusal.Description},
		})}, nil
	}
	return next, err
}

// advance takes a good request as far as it goes: sign-in, consent, code.
func (s *Server) advance(ctx context.Context, origin broker.Origin, r *authRequest, caller *broker.Caller, answer decision) (Next, error) {
	signIn, err := r.signIn(caller, s.cfg.Now())
	if err != nil || signIn != nil {
		return Next{SignIn: signIn}, err
	}
	if who := caller.Identity.Provider; r.client.app && !slices.Contains(r.client.providers, who) {
		return Next{}, refuse(errAccessDenied, "people of the provider %s do not log in to this app", who)
	}
	switch answer {
	case denied:
		return Next{}, refuse(errAccessDenied, "the person did not allow it")
	case approved:
		if err := s.cfg.Sessions.Consent(ctx, caller.Session, r.client.id); err != nil {
			return Next{}, fmt.Errorf("keep the consent: %w", err)
		}
	case undecided:
		consented, err := s.cfg.Sessions.Consented(ctx, caller.Session, r.client.id)
		if err != nil {
			return Next{}, fmt.Errorf("read the consent: %w", err)
		}
		if consented && !r.asks("consent") {
			break
		}
		if r.asks("none") {
			return Next{}, refuse(errConsentRequired, "the person must be asked first")
		}
		return Next{Consent: s.consent(r, caller)}, nil
	}
	if err := s.limitSubject(ctx, origin, "authorize", caller.Identity); err != nil {
		return Next{}, err
	}
	code, err := s.keepCode(ctx, r, *caller)
	if err != nil {
		return Next{}, err
	}
	return Next{Redirect: r.answer(s.cfg.Issuer.URL(), url.Values{"code": {code}})}, nil
}

func (s *Server) consent(r *authRequest, caller *broker.Caller) *Consent {
	c := &Consent{
		Client: r.client.name, RedirectURI: r.redirectURI, Username: caller.Identity.Username, Params: r.params,
		Abilities: []string{"see who you are and list your accounts and roles", "fetch temporary keys for your roles"},
	}
	if r.client.app {
		c.Abilities = []string{"log you in on the device that it runs on", "fetch temporary keys there, of the roles that the app has for you"}
		return c
	}
	if slices.Contains(r.granted(), scopeOffline) {
		left := s.familyEnd(*caller).Sub(s.cfg.Now()).Round(time.Minute)
		c.Abilities = append(c.Abilities, "stay signed in for "+spoken(left)+" without asking again")
	}
	return c
}

// spoken is a duration as people say it.
func spoken(d time.Duration) string {
	unit := func(n int64, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return strconv.FormatInt(n, 10) + " " + name + "s"
	}
	hours, minutes := int64(d/time.Hour), int64(d%time.Hour/time.Minute)
	switch {
	case hours == 0:
		return unit(minutes, "minute")
	case minutes == 0:
		return unit(hours, "hour")
	}
	return unit(hours, "hour") + " " + unit(minutes, "minute")
}

// providerClock is how far a provider's clock may be behind ours when it says
// that it has just seen the person.
const providerClock = time.Minute

// signIn says whether the person must sign in first, nil where not. Who was sent
// to sign in comes back with signin_after, and must have a session since then;
// the browser's user could take that parameter away, but they could take
// prompt=login away as well: the client reads auth_time.
func (r *authRequest) signIn(caller *broker.Caller, now time.Time) (*SignIn, error) {
	asked := r.signinAfter
	if asked.Before(now.Add(-signInLife)) || asked.After(now.Add(time.Minute)) {
		asked = time.Time{}
	}
	again := caller != nil && !asked.IsZero() && !caller.Since.Before(asked)
	fresh := r.asks("login") || caller != nil && r.tooOld(*caller, now)
	if fresh && again && !provenAt(*caller).Before(asked.Add(-providerClock)) {
		fresh = false
	}
	switch {
	case caller != nil && !fresh && (again || !r.asks("select_account")):
		return nil, nil
	case r.asks("none"):
		return nil, refuse(errLoginRequired, "the person must sign in first")
	case fresh && again:
		return nil, refuse(errLoginRequired, "the identity provider did not ask the person again")
	}
	params := url.Values{}
	for name, values := range r.params {
		params[name] = values
	}
	params.Set("signin_after", strconv.FormatInt(now.Unix(), 10))
	return &SignIn{ReturnTo: "/oauth2/authorize?" + params.Encode(), Fresh: fresh}, nil
}

// tooOld reports whether the person was authenticated longer ago than max_age.
func (r *authRequest) tooOld(caller broker.Caller, now time.Time) bool {
	return r.maxAge >= 0 && now.Sub(provenAt(caller)) > r.maxAge
}

// provenAt is when the provider saw the person, as far as is known.
func provenAt(caller broker.Caller) time.Time {
	if at := caller.Identity.AuthenticatedAt; !at.IsZero() {
		return at
	}
	return caller.Since
}

// familyEnd is when tokens of a sign-in end at the latest.
func (s *Server) familyEnd(caller broker.Caller) time.Time {
	end := caller.Since.Add(s.cfg.RefreshMax)
	if p := caller.ProviderEnd; !p.IsZero() && p.Before(end) {
		end = p
	}
	return end
}
