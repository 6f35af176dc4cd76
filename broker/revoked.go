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

// mayBegin refuses sign-ins of people whom an operator has stopped for a while.
func (b *Broker) mayBegin(who idp.Identity) error {
	now := b.cfg.Now()
	verdict := b.verdict(who, "", "", now)
	if !verdict.Until.After(now) {
		return nil
	}
	return Fail(AccessDenied, "revoked", "An operator has stopped your sign-ins for a while. Ask your administrators.").
		Because(errors.New("revoked until " + verdict.Until.UTC().Format(time.RFC3339)))
}

func (b *Broker) verdict(who idp.Identity, session, grant string, since time.Time) revocation.Verdict {
	if b.cfg.Revoked == nil {
		return revocation.Verdict{}
	}
	return b.cfg.Revoked.Of(who, session, grant, since)
}
