package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/session"
)

// Session gives the caller whose cookie holds token. Without a live session the
// code is Unauthenticated.
func (b *Broker) Session(ctx context.Context, _ Origin, token string) (Caller, error) {
	found, err := b.cfg.Sessions.Get(ctx, token)
	if errors.Is(err, session.ErrNotFound) {
		return Caller{}, Fail(Unauthenticated, "no_session", "Your session has ended. Sign in again.").Because(err)
	}
	if err != nil {
		return Caller{}, storeFailed("read the session", err)
	}
	caller := CallerOf(found)
	if verdict := b.verdict(caller.Identity, caller.Session, "", caller.Since); verdict.Dead {
		return Caller{}, Fail(Unauthenticated, "no_session", "Your session has ended. Sign in again.").
			Because(fmt.Errorf("revocation %d", verdict.Number))
	}
	return caller, nil
}

// CallerOf is the caller of a live session.
func CallerOf(s session.Session) Caller {
	return Caller{
		Identity: s.Identity, Session: s.ID, Via: Via(s.Via),
		Since: s.Since, NotAfter: s.Expires, ProviderEnd: s.NotAfter,
	}
}

// SignOut ends the session whose cookie holds token, and every token that was
// made from it; then the browser may have to go on to the provider, to sign out
// there. A session that is gone already is no error.
func (b *Broker) SignOut(ctx context.Context, origin Origin, token, browser string) (Left, error) {
	found, err := b.cfg.Sessions.Get(ctx, token)
	if errors.Is(err, session.ErrNotFound) {
		return Left{}, nil
	}
	if err != nil {
		return Left{}, storeFailed("read the session", err)
	}
	if err := b.cfg.Sessions.End(ctx, found.ID); err != nil {
		return Left{}, storeFailed("end the session", err)
	}
	b.Forget(found.ID)
	event := b.event(origin, "signout", found.Identity)
	event.Outcome, event.Session = audit.Granted, found.ID
	if err := b.record(ctx, event); err != nil {
		return Left{}, err
	}
	return b.leaveUpstream(ctx, origin, found, browser), nil
}
