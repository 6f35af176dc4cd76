package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/idp"
)

// revoked is what revocations say about a caller and a grant; the error ends the
// call. The number is part of the cache's key: what was kept before a revocation
// is never handed out after it.
func (b *Broker) revoked(caller Caller, grant string) (int64, error) {
	verdict := b.verdict(caller.Identity, caller.Session, grant, caller.Since)
	switch {
	case verdict.Dead:
		return 0, Fail(Unauthenticated, "revoked", "Your session has been ended by an operator. Sign in again.").
			Because(fmt.Errorf("revocation %d", verdict.Number))
	case verdict.Until.After(b.cfg.Now()):
		return 0, Fail(AccessDenied, "revoked", "An operator has stopped this for a while. Ask your administrators.").
			Because(fmt.Errorf("revocation %d, until %s", verdict.Number, verdict.Until.UTC().Format(time.RFC3339)))
	}
	return verdict.Number, nil
}

// mayBegin refuses people whom an operator has stopped for a while, and evidence
// that was made before they were revoked; since is when it was made.
func (b *Broker) mayBegin(who idp.Identity, session string, since time.Time) error {
	verdict := b.verdict(who, session, "", since)
	switch {
	case verdict.Until.After(b.cfg.Now()):
		return Fail(AccessDenied, "revoked", "An operator has stopped your sign-ins for a while. Ask your administrators.").
			Because(errors.New("revoked until " + verdict.Until.UTC().Format(time.RFC3339)))
	case verdict.Dead:
		return Fail(Unauthenticated, "revoked", "An operator has revoked what was issued to you before. Get a new token, or sign in again.").
			Because(fmt.Errorf("revocation %d; the evidence was made at %s", verdict.Number, since.UTC().Format(time.RFC3339)))
	}
	return nil
}

// madeAt is when evidence was made: not later than now, whatever its provider's
// clock says, and now where it does not say.
func (b *Broker) madeAt(login idp.Login) time.Time {
	now := b.cfg.Now()
	if login.IssuedAt.IsZero() || login.IssuedAt.After(now) {
		return now
	}
	return login.IssuedAt
}

func (b *Broker) verdict(who idp.Identity, session, grant string, since time.Time) revocation.Verdict {
	if b.cfg.Revoked == nil {
		return revocation.Verdict{}
	}
	return b.cfg.Revoked.Of(who, session, grant, since)
}
