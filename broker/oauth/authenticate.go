package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/dpop"
)

// AuthInput is what of a request says who calls. A token in the query or in a
// form is never read.
type AuthInput struct {
	Authorization []string // values of the Authorization header
	DPoP          []string // values of the DPoP header
	Method        string
	URL           string // as the client knows it
}

// AuthenticateRequest is Authenticate for a request to a path of the broker.
func (s *Server) AuthenticateRequest(ctx context.Context, origin broker.Origin, r *http.Request) (broker.Caller, error) {
	return s.Authenticate(ctx, origin, AuthInput{
		Authorization: r.Header.Values("Authorization"), DPoP: r.Header.Values("DPoP"),
		Method: r.Method, URL: s.base + r.URL.EscapedPath(),
	})
}

// Authenticate gives the caller an access token stands for (RFC 6750 section
// 2.1, RFC 9449 section 7). The error is a *broker.Error; its Reason is
// "no_token", "invalid_token" or "invalid_dpop_proof".
func (s *Server) Authenticate(ctx context.Context, origin broker.Origin, in AuthInput) (broker.Caller, error) {
	event := s.event(origin, "authenticate")
	caller, err := s.authenticate(ctx, in, &event)
	if err == nil {
		return caller, nil // what is done with it is recorded
	}
	if limited := s.limitAddress(ctx, origin, "authenticate"); limited != nil {
		return broker.Caller{}, limited
	}
	if failed := s.conclude(ctx, event, err); failed != nil {
		return broker.Caller{}, failed
	}
	return broker.Caller{}, err
}

func (s *Server) authenticate(ctx context.Context, in AuthInput, event *audit.Event) (broker.Caller, error) {
	scheme, token, err := credentials(in.Authorization)
	if err != nil {
		return broker.Caller{}, err
	}
	event.TokenDigest = digest(token)
	found, err := s.cfg.Tokens.Access(ctx, token)
	if errors.Is(err, session.ErrNotFound) {
		return broker.Caller{}, unauthenticated("invalid_token", "The access token has ended or is not one of this broker. Run `rolecall login`.").Because(err)
	}
	if err != nil {
		return broker.Caller{}, fmt.Errorf("access token: %w", err)
	}
	caller := broker.CallerOfFamily(found.Family)
	describe(event, caller)
	event.Client = found.Family.Client
	switch {
	case caller.App != "":
		return broker.Caller{}, unauthenticated("invalid_token", "This access token is an app's: it is good at /tvm/v1 only.")
	case found.Thumbprint == "" && scheme == schemeBearer:
		return caller, nil
	case found.Thumbprint == "":
		return broker.Caller{}, unauthenticated("invalid_token", "This access token is not bound to a key: send it with the scheme Bearer.")
	case scheme == schemeBearer:
		return broker.Caller{}, unauthenticated("invalid_token", "This access token is bound to a key: send it with the scheme DPoP and a proof.")
	}
	if _, err := s.prove(ctx, in.DPoP, proofWanted{method: in.Method, address: in.URL, token: token, thumbprint: found.Thumbprint}); err != nil {
		if refusal, ok := errors.AsType[*Error](err); ok {
			return broker.Caller{}, unauthenticated("invalid_dpop_proof", "The DPoP proof was not accepted: "+refusal.Description+".").Because(refusal)
		}
		return broker.Caller{}, err
	}
	return caller, nil
}

const (
	schemeBearer = "bearer"
	schemeDPoP   = "dpop"
)

// credentials reads the one Authorization header.
func credentials(values []string) (scheme, token string, err error) {
	if len(values) == 0 {
		return "", "", unauthenticated("no_token", "An access token is needed. Run `rolecall login`.")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	scheme = strings.ToLower(scheme)
	if len(values) > 1 || !ok || token == "" || len(token) > maxToken || scheme != schemeBearer && scheme != schemeDPoP || strings.ContainsAny(token, " ,") {
		return "", "", unauthenticated("invalid_token", "The Authorization header must be Bearer or DPoP with one access token.")
	}
	return scheme, token, nil
}

func unauthenticated(reason, message string) *broker.Error {
	return broker.Fail(broker.Unauthenticated, reason, message)
}

// proofWanted is the request that a proof must be made for.
// nonce says that it is of an app, whose clock may be wrong.
type proofWanted struct {
	method, address, token, thumbprint string
	nonce                              bool
}

// prove judges the one DPoP header and lets its proof count once. It gives the
// thumbprint of the key.
func (s *Server) prove(ctx context.Context, proofs []string, want proofWanted) (string, error) {
	if len(proofs) != 1 {
		return "", refuse(errInvalidProof, "the request must have exactly one DPoP header")
	}
	wanted := dpop.Want{
		Method: want.method, URL: want.address, AccessToken: want.token, Thumbprint: want.thumbprint,
		Now: s.cfg.Now(), Window: s.cfg.DPoPWindow,
	}
	if want.nonce {
		wanted.Nonces, wanted.NonceOptional, wanted.P256 = s.cfg.Nonces, true, true
	}
	proof, err := dpop.Verify(proofs[0], wanted)
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		code := errInvalidProof
		if rejected.Reason == dpop.ReasonNonce {
			code = errUseNonce
		}
		return "", refuse(code, "%s", rejected.Detail).because(err)
	}
	if err != nil {
		return "", err
	}
	// The scope is no provider's name: those have no colon.
	err = s.cfg.Replay.Use(ctx, "dpop:"+proof.Thumbprint, proof.JTI, proof.Until)
	if errors.Is(err, replay.ErrReplayed) {
		return "", refuse(errInvalidProof, "the proof has been used before: make a new one for each request").because(err)
	}
	return proof.Thumbprint, err
}
