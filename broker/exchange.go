package broker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// Evidence is a token or an assertion that a program brings (RFC 8693).
type Evidence struct {
	Token secret.String
	// SAML says that it is an assertion; otherwise it is a JWT.
	SAML bool
}

// ExchangeRequest asks for credentials by evidence alone.
type ExchangeRequest struct {
	Origin
	Evidence Evidence
	// Order may have no Role where exactly one is granted.
	Order Order
}

// Exchange turns evidence into credentials in one call: no session is made.
func (b *Broker) Exchange(ctx context.Context, req ExchangeRequest) (Vended, error) {
	caller, err := b.Admit(ctx, req.Origin, req.Evidence)
	if err != nil {
		return Vended{}, err
	}
	order := req.Order
	if order.Role == "" {
		role, err := b.onlyRole(req.Origin, caller, "resource")
		if err != nil {
			return Vended{}, b.refuseExchange(ctx, req.Origin, caller.Identity, caller.Session, err)
		}
		order.Role = role.String()
	}
	return b.Vend(ctx, req.Origin, caller, order)
}

// Admit gives the caller whom evidence proves. What it refuses is recorded. The
// caller's session is the hash of the evidence: it names what is cached for it.
func (b *Broker) Admit(ctx context.Context, origin Origin, evidence Evidence) (Caller, error) {
	if err := Limited(b.cfg.Limit.Address("token", origin.Address)); err != nil {
		b.TurnedAway(ctx, origin, "exchange")
		return Caller{}, err
	}
	session := evidence.hash()
	login, err := b.accept(ctx, evidence)
	if err == nil {
		err = b.mayBegin(login.Identity, session, b.madeAt(login))
	}
	if err != nil {
		return Caller{}, b.refuseExchange(ctx, origin, login.Identity, session, err)
	}
	return Caller{
		Identity: login.Identity, Session: session, Via: ViaExchange, Since: b.madeAt(login),
		NotAfter: login.Once.Until, ProviderEnd: login.NotAfter,
	}, nil
}

// accept turns evidence into a Login: the provider is the one that issued it, and
// the evidence counts once where the provider says so.
func (b *Broker) accept(ctx context.Context, evidence Evidence) (idp.Login, error) {
	login, provider, err := b.verify(ctx, evidence)
	if err != nil {
		return idp.Login{Identity: idp.Identity{Provider: provider.Name}}, err
	}
	if err := Limited(b.cfg.Limit.Subject("token", login.Identity.Provider, login.Identity.Subject)); err != nil {
		return login, err
	}
	if !provider.OneTime {
		return login, b.unspent(ctx, provider, login)
	}
	err = b.cfg.Replay.Use(ctx, provider.Name, login.Once.Key, login.Once.Until)
	if errors.Is(err, replay.ErrReplayed) {
		return login, Fail(Unauthenticated, "replay", "This token has been used before, and its provider's tokens count once here. Get a new one.").Because(err)
	}
	if err != nil {
		return login, storeFailed("replay cache", err)
	}
	return login, nil
}

// unspent refuses evidence that has signed somebody in here by their browser. It
// was made for that alone, and a sign-out may have left it in the browser's history
// (OpenID Connect RP-Initiated Logout 1.0).
func (b *Broker) unspent(ctx context.Context, provider Provider, login idp.Login) error {
	if !login.Once.AtSignIn {
		return nil
	}
	used, err := b.cfg.Replay.Used(ctx, provider.Name, login.Once.Key)
	if err != nil {
		return storeFailed("replay cache", err)
	}
	if used {
		return Fail(Unauthenticated, "replay", "This token has signed somebody in here already; a program needs one of its own.")
	}
	return nil
}

// verify asks the providers whose the evidence is: several may have one issuer, and
// differ in whom its tokens are for. The provider is empty where it is nobody's.
func (b *Broker) verify(ctx context.Context, evidence Evidence) (idp.Login, Provider, error) {
	asked := 0
	var near Provider // one that knows the issuer, and what it says
	var nearly error
	for _, p := range b.cfg.Providers {
		if p.Verifier == nil || (p.Type == "saml") != evidence.SAML {
			continue
		}
		asked++
		login, err := p.Verifier.Verify(ctx, evidence.Token.Reveal())
		if !errors.Is(err, idp.ErrNotMine) {
			return login, p, err
		}
		if _, said := errors.AsType[*idp.Rejection](err); said && nearly == nil {
			near, nearly = p, err
		}
	}
	if nearly != nil {
		return idp.Login{}, near, nearly
	}
	if asked == 0 {
		return idp.Login{}, Provider{}, Fail(InvalidRequest, "no_provider", "No identity provider of this broker takes part in token exchange with that type of token.")
	}
	return idp.Login{}, Provider{}, Fail(Unauthenticated, "unknown_issuer", "The token's issuer is not an identity provider of this broker.")
}

// onlyRole is the role of a caller who named none in the member where one does.
func (b *Broker) onlyRole(origin Origin, caller Caller, member string) (iam.RoleARN, error) {
	granted := b.cfg.Policy.Decide(caller.Identity, b.ask(origin, caller)).Granted
	switch len(granted) {
	case 0:
		return iam.RoleARN{}, Fail(AccessDenied, "no_role", "No role is granted to this identity.")
	case 1:
		return granted[0].Role, nil
	}
	return iam.RoleARN{}, Fail(InvalidRequest, "role_missing",
		fmt.Sprintf("%d roles are granted to this identity: name one of them in %s.", len(granted), member))
}

// refuseExchange records why evidence was refused and gives the error to show.
func (b *Broker) refuseExchange(ctx context.Context, origin Origin, who idp.Identity, session string, err error) error {
	shown := exchangeError(err)
	if shown.Code == RateLimited {
		b.TurnedAway(ctx, origin, "exchange")
		return shown
	}
	event := b.event(origin, "exchange", who)
	event.Outcome, event.Reason, event.Detail = audit.Refused, shown.Reason, detailOf(err)
	event.Via, event.TokenDigest = string(ViaExchange), session
	if shown.Code == Internal || shown.Code == Unavailable {
		event.Outcome, event.Detail = audit.Failed, causeText(shown)
	}
	if failed := b.record(ctx, event); failed != nil {
		b.cfg.Log.Error("record a refused exchange", "request_id", origin.RequestID, "error", failed)
	}
	return shown
}

// exchangeError maps what a verifier says to what a program may read: the
// reason's word, never the evidence.
func exchangeError(err error) *Error {
	rejected, ok := errors.AsType[*idp.Rejection](err)
	switch {
	case ok && rejected.Reason == "too-large":
		return Fail(TooLarge, "too_large", "The token is larger than what is accepted here.").Because(err)
	case ok:
		return Fail(Unauthenticated, rejected.Reason,
			"The token was not accepted ("+rejected.Reason+"). Get a new one; if it happens again, give the request id to your administrators.").Because(err)
	}
	return signInError(err)
}

// hash names evidence in the record and the cache.
func (e Evidence) hash() string {
	sum := sha256.Sum256([]byte(e.Token.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
