package apps

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/idp/device"
)

// RotateRequest is a device that wants another key. The request itself is proved by
// the old one.
type RotateRequest struct {
	Request
	Device string
	// Proof is a DPoP proof of the new key for the same request, without a token.
	Proof string
	// Signature is of the old key over the text of Proof: ES256, r and s, base64url.
	Signature string
}

// Rotate gives a device another key, and tokens that are bound to it. Who is logged
// in stays logged in.
func (s *Service) Rotate(ctx context.Context, origin broker.Origin, req RotateRequest) (Identified, error) {
	event := s.event(origin, "device.key")
	got, err := s.rotate(ctx, req, &event)
	if err != nil {
		return Identified{}, s.refuse(ctx, origin, event, err)
	}
	return got, s.conclude(ctx, event, nil)
}

func (s *Service) rotate(ctx context.Context, req RotateRequest, event *audit.Event) (Identified, error) {
	caller, old, err := s.authenticate(ctx, req.Request, event)
	if err != nil {
		return Identified{}, err
	}
	if req.Device != caller.Device {
		return Identified{}, notYours()
	}
	if !signedBy(old.Key, req.Proof, req.Signature) {
		return Identified{}, broker.Fail(broker.InvalidRequest, "signature", "signature must be the old key's, over the text of proof: ES256, 64 bytes in base64url.")
	}
	next, err := s.proof(req.Proof, req.Request, "")
	if err != nil {
		return Identified{}, err
	}
	if err := s.once(ctx, next); err != nil {
		return Identified{}, err
	}
	d, err := s.cfg.Devices.Rotate(ctx, caller.Device, old.Thumbprint, next.Thumbprint)
	switch {
	case errors.Is(err, device.ErrKeyTaken):
		return Identified{}, broker.Fail(broker.InvalidRequest, "key_taken", "The new key is that of a device already. Make another one.").Because(err)
	case errors.Is(err, device.ErrNotFound):
		return Identified{}, unauthenticated("invalid_token", "The device has changed meanwhile. Register it again.").Because(err)
	case err != nil:
		return Identified{}, storeFailed(err)
	}
	s.cfg.Broker.Forget(old.family.ID)
	f := s.family(s.apps[d.App], d)
	f.Guest, f.Identity, f.Since, f.Last, f.ProviderEnd = old.family.Guest, old.family.Identity, old.family.Since, old.family.Last, old.family.ProviderEnd
	return s.issue(ctx, f, d.Thumbprint, event)
}

// signedBy reports whether text was signed with a P-256 key.
func signedBy(key any, text, signature string) bool {
	public, ok := key.(*ecdsa.PublicKey)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if !ok || err != nil || len(raw) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(text))
	return ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:]))
}
