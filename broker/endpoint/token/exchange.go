package token

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/config/secret"
)

// The names of RFC 8693, and ours.
const (
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenTypes      = "urn:ietf:params:oauth:token-type:"
	typeAccessToken = tokenTypes + "access_token"
	typeCredentials = "urn:rolecall:params:oauth:token-type:aws-credentials"
)

// exchangeForm is a judged request for a token exchange.
type exchangeForm struct {
	evidence    broker.Evidence
	credentials bool // AWS credentials are wanted, not an access token
	order       broker.Order
}

// exchanged is the answer (RFC 8693 section 2.2.1).
type exchanged struct {
	AccessToken string               `json:"access_token"`
	IssuedType  string               `json:"issued_token_type"`
	TokenType   string               `json:"token_type"`
	ExpiresIn   int64                `json:"expires_in"`
	Credentials *iam.ProcessDocument `json:"credentials,omitempty"`
}

// exchange answers a token exchange. The client does not authenticate: what it
// brings does.
func (e Endpoint) exchange(w http.ResponseWriter, r *http.Request, request oauth.TokenRequest) error {
	form, err := e.readExchange(request.Form)
	if err != nil {
		return err
	}
	origin := endpoint.Origin(r)
	w.Header().Set("Pragma", "no-cache")
	if !form.credentials {
		issued, err := e.Extensions.Exchange(r.Context(), origin, oauth.ExchangeRequest{Evidence: form.evidence, DPoP: request.DPoP})
		if err != nil {
			return err
		}
		return endpoint.WriteJSON(w, http.StatusOK, exchanged{
			AccessToken: issued.AccessToken.Reveal(), IssuedType: typeAccessToken, TokenType: issued.Type, ExpiresIn: int64(issued.ExpiresIn.Seconds()),
		})
	}
	vended, err := e.Exchanger.Exchange(r.Context(), broker.ExchangeRequest{Origin: origin, Evidence: form.evidence, Order: form.order})
	if err != nil {
		return err
	}
	document := vended.Credentials.Document()
	text, err := document.JSON()
	if err != nil {
		return err
	}
	if vended.Stale {
		w.Header().Set("X-Rolecall-Stale", "1")
	}
	return endpoint.WriteJSON(w, http.StatusOK, exchanged{
		AccessToken: string(text), IssuedType: typeCredentials, TokenType: "N_A",
		ExpiresIn: max(0, int64(document.Expiration.Sub(e.Now()).Seconds())), Credentials: &document,
	})
}

// readExchange reads the parameters of RFC 8693 section 2.1 and ours. What is not
// supported is refused rather than ignored: who asks for less must not get more.
func (e Endpoint) readExchange(form url.Values) (exchangeForm, error) {
	for _, name := range []string{"subject_token", "subject_token_type", "requested_token_type", "resource", "audience", "duration", "policy"} {
		if len(form[name]) > 1 {
			return exchangeForm{}, refusal("repeated", "The parameter "+name+" is there more than once.")
		}
	}
	f := exchangeForm{
		evidence: broker.Evidence{Token: secret.New(form.Get("subject_token"))},
		order:    broker.Order{Role: form.Get("resource"), Duration: form.Get("duration"), Policy: form.Get("policy")},
	}
	switch {
	case form.Has("actor_token") || form.Has("actor_token_type"):
		return f, refusal("actor_token", "Delegation is not supported: send no actor_token.")
	case form.Get("subject_token") == "":
		return f, refusal("subject_token", "subject_token is missing.")
	case form.Get("audience") != "" && !slices.Contains(e.Audiences, form.Get("audience")):
		return f, broker.Fail(broker.AccessDenied, "audience", "The audience is not this broker. Leave the parameter out, and name the role in resource.")
	}
	switch form.Get("subject_token_type") {
	case tokenTypes + "id_token", tokenTypes + "jwt":
	case tokenTypes + "saml2":
		f.evidence.SAML = true
	default:
		return f, refusal("subject_token_type", "subject_token_type must be "+tokenTypes+"id_token, jwt or saml2.")
	}
	switch form.Get("requested_token_type") {
	case typeCredentials:
		f.credentials = true
	case "", typeAccessToken:
		if f.order != (broker.Order{}) {
			return f, refusal("requested_token_type", "resource, duration and policy belong to requested_token_type="+typeCredentials+"; an access token cannot be narrowed by them.")
		}
	default:
		return f, refusal("requested_token_type", "requested_token_type must be "+typeCredentials+", or absent for an access token of this broker.")
	}
	return f, nil
}

func refusal(reason, message string) *broker.Error {
	return broker.Fail(broker.InvalidRequest, reason, message)
}
