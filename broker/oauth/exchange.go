package oauth

import (
	"context"
	"crypto/rand"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
)

// ExchangeRequest asks for an access token by evidence that a program brings.
type ExchangeRequest struct {
	Evidence broker.Evidence
	// DPoP are the values of the DPoP header; a proof binds the token to its key.
	DPoP []string
}

// Exchange turns evidence into an access token (RFC 8693). There is no refresh
// token: who has the evidence comes again. The proof is judged first, because
// evidence may count once.
func (s *Server) Exchange(ctx context.Context, origin broker.Origin, req ExchangeRequest) (Issued, error) {
	event := s.event(origin, "token.exchange")
	event.Via = string(broker.ViaExchange)
	thumbprint, err := s.provenKey(ctx, req.DPoP, client{})
	if err != nil {
		if limited := s.limitAddress(ctx, origin, "token"); limited != nil {
			return Issued{}, limited
		}
		if failed := s.conclude(ctx, event, err); failed != nil {
			err = failed
		}
		return Issued{}, err
	}
	caller, err := s.cfg.Broker.Admit(ctx, origin, req.Evidence)
	if err != nil {
		return Issued{}, err // recorded there
	}
	describe(&event, caller)
	family := session.Family{
		ID: rand.Text(), Via: string(broker.ViaExchange), Identity: caller.Identity,
		Since: caller.Since, Until: s.cfg.Now().Add(s.cfg.RefreshMax), ProviderEnd: caller.ProviderEnd,
	}
	pair := s.pair(family, thumbprint)
	event.TokenDigest = digest(pair.Access)
	err = s.begin(ctx, family, pair)
	if failed := s.conclude(ctx, event, err); failed != nil {
		if err == nil {
			s.takeBack(ctx, origin, family.ID)
		}
		return Issued{}, failed
	}
	if err != nil {
		return Issued{}, err
	}
	return s.issued(family, pair), nil
}
