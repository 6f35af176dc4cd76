package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// TokenRequest is a posted form of the token or revocation endpoint.
type TokenRequest struct {
	Form url.Values // of the body only
	// DPoP are the values of the DPoP header.
	DPoP []string
	// Authorization are the values of the Authorization header. Some public clients
	// name themselves there, with an empty password.
	Authorization []string
}

// Issued is a successful answer of the token endpoint.
type Issued struct {
	AccessToken  secret.String
	Type         string // Bearer or DPoP
	ExpiresIn    time.Duration
	RefreshToken secret.String // empty without offline_access
	IDToken      secret.String // empty without openid
	Scope        []string
	// Device, IdentityID and Alias are of an app's device on which somebody logged in.
	Device, IdentityID, Alias string
}

// maxToken bounds codes and tokens that come in; ours are much shorter.
const maxToken = 256

// Token answers the token endpoint (RFC 6749 section 3.2).
func (s *Server) Token(ctx context.Context, origin broker.Origin, req TokenRequest) (Issued, error) {
	if err := s.limitAddress(ctx, origin, "token"); err != nil {
		return Issued{}, err
	}
	event := s.event(origin, "token")
	issued, family, err := s.token(ctx, origin, req, &event)
	if errors.Is(err, errTurnedAway) || errors.Is(err, errUnrecorded) {
		return Issued{}, err
	}
	if failed := s.conclude(ctx, event, err); failed != nil {
		err = failed
	}
	if err != nil && family != "" {
		s.takeBack(ctx, origin, family)
	}
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// token answers with the tokens and the family they belong to.
func (s *Server) token(ctx context.Context, origin broker.Origin, req TokenRequest, event *audit.Event) (Issued, string, error) {
	client, err := s.identify(req)
	if err != nil {
		return Issued{}, "", err
	}
	event.Client = client.id
	kind := req.Form.Get("grant_type")
	switch kind {
	case "authorization_code", "refresh_token", grantDevice:
	case "":
		return Issued{}, "", refuse(errInvalidRequest, "grant_type is missing")
	default:
		return Issued{}, "", refuse(errUnsupportedGrant, "the grant types here are authorization_code, refresh_token, device_code and token-exchange")
	}
	event.Event = "token." + strings.TrimPrefix(kind, "urn:ietf:params:oauth:grant-type:")
	if client.app && kind == grantDevice {
		return Issued{}, "", refuse(errUnauthorizedClient, "an app gets its first tokens at /tvm/v1, by the key of the device; here it refreshes them, or turns a code into those of somebody")
	}
	thumbprint, err := s.provenKey(ctx, req.DPoP, client)
	if err != nil {
		return Issued{}, "", err
	}
	switch kind {
	case "refresh_token":
		return s.refresh(ctx, origin, client, req.Form, thumbprint, event)
	case grantDevice:
		return s.poll(ctx, origin, client, req.Form, thumbprint, event)
	}
	return s.redeem(ctx, origin, client, req.Form, thumbprint, event)
}

// identify finds the client and refuses repeated parameters (RFC 6749 section
// 3.2) and secrets, which a public client does not have.
func (s *Server) identify(req TokenRequest) (client, error) {
	for _, name := range []string{"grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "token", "token_type_hint", "device_code"} {
		if len(req.Form[name]) > 1 {
			return client{}, refuse(errInvalidRequest, "the parameter %s is there more than once", name)
		}
	}
	id := req.Form.Get("client_id")
	if len(req.Authorization) > 0 {
		named, secret, ok := (&http.Request{Header: http.Header{"Authorization": req.Authorization[:1]}}).BasicAuth()
		if !ok || secret != "" || len(req.Authorization) > 1 {
			return client{}, refuse(errInvalidClient, "this client is public and does not authenticate: send client_id and no Authorization header")
		}
		if id != "" && id != named {
			return client{}, refuse(errInvalidRequest, "the request names two clients")
		}
		id = named
	}
	found, ok := s.clientOf(id)
	switch {
	case id == "":
		return client{}, refuse(errInvalidClient, "client_id is missing")
	case !ok:
		return client{}, refuse(errInvalidClient, "there is no such client")
	case req.Form.Get("client_secret") != "":
		return client{}, refuse(errInvalidClient, "this client is public and has no secret")
	}
	return found, nil
}

// provenKey judges the proof of a token request: the thumbprint of its key, ""
// without a proof.
func (s *Server) provenKey(ctx context.Context, proofs []string, c client) (string, error) {
	if len(proofs) == 0 {
		return "", nil
	}
	return s.prove(ctx, proofs, proofWanted{method: http.MethodPost, address: s.base + "/oauth2/token", nonce: c.app})
}

// redeem turns a code into tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
// The code is taken first: whoever brings it with a wrong verifier has spent it.
func (s *Server) redeem(ctx context.Context, origin broker.Origin, c client, form url.Values, thumbprint string, event *audit.Event) (Issued, string, error) {
	code, verifier := form.Get("code"), form.Get("code_verifier")
	switch {
	case code == "" || len(code) > maxToken:
		return Issued{}, "", refuse(errInvalidRequest, "code is missing or malformed")
	case form.Get("redirect_uri") == "":
		return Issued{}, "", refuse(errInvalidRequest, "redirect_uri is missing")
	case c.app && thumbprint == "":
		return Issued{}, "", refuse(errInvalidProof, "an app needs a DPoP proof of the device's key")
	case verifier == "":
		return Issued{}, "", refuse(errInvalidRequest, "code_verifier is missing: PKCE is required (RFC 7636)")
	case !isVerifier(verifier):
		return Issued{}, "", refuse(errInvalidRequest, "code_verifier must have 43 to 128 characters of A-Z, a-z, 0-9, '-', '.', '_', '~'")
	}
	kept, err := s.takeCode(ctx, code)
	if err != nil {
		return Issued{}, "", err
	}
	describe(event, broker.CallerOfFamily(kept.Family))
	switch {
	case kept.Client != c.id:
		return Issued{}, "", refuse(errInvalidGrant, "the code was given to another client")
	case kept.RedirectURI != form.Get("redirect_uri"):
		return Issued{}, "", refuse(errInvalidGrant, "redirect_uri is not the one of the authorization request")
	case !verifies(kept.Challenge, verifier):
		return Issued{}, "", refuse(errInvalidGrant, "code_verifier does not fit the code_challenge")
	case kept.Thumbprint != "" && kept.Thumbprint != thumbprint:
		return Issued{}, "", refuse(errInvalidProof, "the code is bound to another key than the proof's (dpop_jkt)")
	}
	issued, err := s.first(ctx, origin, c, kept.Family, thumbprint)
	if err != nil {
		return Issued{}, "", err
	}
	event.TokenDigest = digest(issued.AccessToken.Reveal())
	if slices.Contains(kept.Scope, scopeOpenID) {
		issued.IDToken, err = s.idToken(ctx, kept, issued.AccessToken.Reveal())
	}
	return issued, kept.Family.ID, err
}

// first makes the first tokens of a family; an app's are those of the device that
// has the key, which becomes the person's.
func (s *Server) first(ctx context.Context, origin broker.Origin, c client, f session.Family, thumbprint string) (Issued, error) {
	if c.app {
		return s.cfg.LogIn(ctx, origin, c.id, thumbprint, f.ID, idp.Login{Identity: f.Identity, NotAfter: f.ProviderEnd})
	}
	pair := s.pair(f, thumbprint)
	if err := s.begin(ctx, f, pair); err != nil {
		return Issued{}, err
	}
	return s.issued(f, pair), nil
}

// idToken says to the client who signed in.
func (s *Server) idToken(ctx context.Context, c session.Code, access string) (secret.String, error) {
	who := c.Family.Identity
	token, err := s.cfg.Issuer.MintIDToken(ctx, issuer.IDToken{
		Audience: c.Client, Provider: who.Provider, Subject: who.Subject, Username: who.Username, Nonce: c.Nonce,
		AccessToken: access, AuthTime: provenAt(broker.CallerOfFamily(c.Family)), Methods: who.Methods,
	})
	return secret.New(token), err
}

// refresh turns a refresh token into new tokens and ends the old ones (RFC 9700
// section 4.14.2). Everything is judged before the token is spent.
func (s *Server) refresh(ctx context.Context, origin broker.Origin, c client, form url.Values, thumbprint string, event *audit.Event) (Issued, string, error) {
	token := form.Get("refresh_token")
	if token == "" || len(token) > maxToken {
		return Issued{}, "", refuse(errInvalidRequest, "refresh_token is missing or malformed")
	}
	found, err := s.cfg.Tokens.Refresh(ctx, token)
	if err := refreshError(err); err != nil {
		return Issued{}, "", err
	}
	family := found.Family
	describe(event, broker.CallerOfFamily(family))
	switch {
	case family.Client != c.id:
		return Issued{}, "", refuse(errInvalidGrant, "the refresh token was given to another client")
	case found.Thumbprint != "" && thumbprint == "":
		return Issued{}, "", refuse(errInvalidProof, "the refresh token is bound to a key: a DPoP proof is required")
	case found.Thumbprint != "" && found.Thumbprint != thumbprint:
		return Issued{}, "", refuse(errInvalidProof, "the refresh token is bound to another key than the proof's")
	}
	if asked := strings.Fields(form.Get("scope")); slices.ContainsFunc(asked, func(s string) bool { return !slices.Contains(family.Scope, s) }) {
		return Issued{}, "", refuse(errInvalidScope, "a refresh can ask for less than was granted, never for more")
	}
	if err := s.limitSubject(ctx, origin, "token", family.Identity); err != nil {
		return Issued{}, "", err
	}
	pair := s.pair(family, thumbprint)
	if err := refreshError(s.cfg.Tokens.Rotate(ctx, token, pair)); err != nil {
		return Issued{}, "", err
	}
	event.TokenDigest = digest(pair.Access)
	return s.issued(family, pair), family.ID, nil
}

func (s *Server) issued(f session.Family, p session.Pair) Issued {
	kind := "Bearer"
	if p.Thumbprint != "" {
		kind = "DPoP"
	}
	return Issued{
		AccessToken: secret.New(p.Access), RefreshToken: secret.New(p.Refresh), Type: kind,
		ExpiresIn: p.AccessUntil.Sub(s.cfg.Now()).Truncate(time.Second), Scope: f.Scope,
	}
}

// takeBack ends tokens that could not be handed out.
func (s *Server) takeBack(ctx context.Context, origin broker.Origin, family string) {
	if err := s.cfg.Tokens.EndFamily(context.WithoutCancel(ctx), family); err != nil {
		s.cfg.Log.Error("end tokens that could not be handed out", "request_id", origin.RequestID, "error", err)
	}
}
