package apps

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/dpop"
)

// Request is what of a request says who calls.
type Request struct {
	Authorization []string // values of the Authorization header
	DPoP          []string // values of the DPoP header
	Method        string
	// Path is below the address of the broker, as it was escaped.
	Path string
}

// RequestOf reads a request.
func RequestOf(r *http.Request) Request {
	return Request{Authorization: r.Header.Values("Authorization"), DPoP: r.Header.Values("DPoP"), Method: r.Method, Path: r.URL.EscapedPath()}
}

// Authenticate gives the device that calls, and whoever is logged in on it: its
// token, with a proof of its key. what is counted by itself, by address and device.
// The Reason of a refusal is "no_token", "invalid_token", "invalid_dpop_proof" or
// "use_dpop_nonce".
func (s *Service) Authenticate(ctx context.Context, origin broker.Origin, what string, r Request) (broker.Caller, error) {
	event := s.event(origin, "authenticate")
	caller, _, err := s.authenticate(ctx, r, &event)
	if err == nil {
		orders := s.apps[caller.App].orders
		return caller, s.turnedAway(ctx, origin, what, orders.Subject("tvm."+what, caller.App, caller.Device))
	}
	return broker.Caller{}, s.refuse(ctx, origin, event, err)
}

// refuse counts and records a request that proves nobody. That a nonce is missing is
// how every device begins: it costs next to nothing and is no refusal.
func (s *Service) refuse(ctx context.Context, origin broker.Origin, event audit.Event, err error) error {
	if broker.Shown(err).Reason == reasonNonce {
		return err
	}
	if limited := s.turnedAway(ctx, origin, event.Event, s.cfg.Limit.Address(event.Event, origin.Address)); limited != nil {
		return limited
	}
	return s.conclude(ctx, event, err)
}

// authenticate gives the caller with the token and the proof.
func (s *Service) authenticate(ctx context.Context, r Request, event *audit.Event) (broker.Caller, proven, error) {
	token, err := tokenOf(r.Authorization)
	if err != nil {
		return broker.Caller{}, proven{}, err
	}
	event.TokenDigest = digest(token)
	// The nonce and the signature are judged before the store is asked.
	proof, err := s.prove(r, token)
	if err != nil {
		return broker.Caller{}, proven{}, err
	}
	found, err := s.cfg.Tokens.Access(ctx, token)
	if errors.Is(err, session.ErrNotFound) {
		return broker.Caller{}, proven{}, unauthenticated("invalid_token", "The access token has ended or is not one of this broker. Refresh it, or register the device again.").Because(err)
	}
	if err != nil {
		return broker.Caller{}, proven{}, storeFailed(err)
	}
	caller := broker.CallerOfFamily(found.Family)
	describe(event, caller)
	switch {
	case caller.Device == "":
		return broker.Caller{}, proven{}, unauthenticated("invalid_token", "This access token is not a device's: it is not good at /tvm/v1.")
	case s.apps[caller.App] == nil:
		return broker.Caller{}, proven{}, unauthenticated("invalid_token", "The app is not known here any more.")
	case found.Thumbprint != proof.Thumbprint:
		return broker.Caller{}, proven{}, unauthenticated(reasonProof, "The DPoP proof was made with another key than the token is bound to.")
	}
	if err := s.once(ctx, proof); err != nil {
		return broker.Caller{}, proven{}, err
	}
	return caller, proven{proof, found.Family}, nil
}

// proven is a proof, with the family of the token that it came with.
type proven struct {
	dpop.Proof
	family session.Family
}

// The reasons that a client must tell apart.
const (
	reasonProof = "invalid_dpop_proof"
	reasonNonce = "use_dpop_nonce"
	// reasonChanged is that of a device that changed while its tokens were made.
	reasonChanged = "device_changed"
)

// prove judges the one DPoP header of a request, but not whether it has been used.
func (s *Service) prove(r Request, token string) (dpop.Proof, error) {
	if len(r.DPoP) == 0 {
		return dpop.Proof{}, unauthenticated(reasonNonce, "A DPoP proof is needed, with the nonce of the header DPoP-Nonce.")
	}
	if len(r.DPoP) > 1 {
		return dpop.Proof{}, unauthenticated(reasonProof, "The request must have exactly one DPoP header.")
	}
	return s.proof(r.DPoP[0], r, token)
}

func (s *Service) proof(text string, r Request, token string) (dpop.Proof, error) {
	proof, err := dpop.Verify(text, dpop.Want{
		Method: r.Method, URL: s.base + r.Path, AccessToken: token, Now: s.cfg.Now(), Nonces: s.cfg.Nonces, P256: true,
	})
	rejected, ok := errors.AsType[*idp.Rejection](err)
	switch {
	case ok && rejected.Reason == dpop.ReasonNonce:
		return dpop.Proof{}, unauthenticated(reasonNonce, "The DPoP proof was not accepted: "+rejected.Detail+".").Because(err)
	case ok:
		return dpop.Proof{}, unauthenticated(reasonProof, "The DPoP proof was not accepted: "+rejected.Detail+".").Because(err)
	}
	return proof, err
}

// once lets a proof count a single time on this node.
func (s *Service) once(ctx context.Context, proof dpop.Proof) error {
	err := s.cfg.Proofs.Use(ctx, proof.Thumbprint, proof.JTI, proof.Until)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, replay.ErrReplayed):
		return unauthenticated(reasonProof, "The DPoP proof has been used before: make a new one for each request.").Because(err)
	}
	return broker.Fail(broker.Unavailable, "proofs", "Too many requests come in. Try again in a moment.").Because(err)
}

// tokenOf reads the one Authorization header.
func tokenOf(values []string) (string, error) {
	if len(values) == 0 {
		return "", unauthenticated("no_token", "An access token is needed: register the device at /tvm/v1/devices.")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || token == "" || len(token) > maxToken || !strings.EqualFold(scheme, "DPoP") || strings.ContainsAny(token, " ,") {
		return "", unauthenticated("invalid_token", "The Authorization header must be DPoP with one access token.")
	}
	return token, nil
}

func unauthenticated(reason, message string) *broker.Error {
	return broker.Fail(broker.Unauthenticated, reason, message)
}

// digest names a token in the record without giving it away.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}
