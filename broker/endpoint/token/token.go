// Package token is the broker as an OAuth 2.0 and OpenID Connect server:
//
//	GET  /oauth2/authorize   the browser comes with a request: sign-in, consent page, or redirect with a code
//	POST /oauth2/authorize   the consent form (field decision), or a request as a form
//	POST /oauth2/token       a code or refresh token becomes tokens; a token that a program brings
//	                         becomes credentials or an access token (RFC 8693)
//	POST /oauth2/device_authorization   a program elsewhere asks and gets two codes (RFC 8628)
//	POST /oauth2/introspect  what a token is worth (RFC 7662)
//	POST /oauth2/revoke      tokens end (RFC 7009)
//	GET  /.well-known/openid-configuration /.well-known/oauth-authorization-server   discovery
//	GET  /.well-known/jwks.json   public keys
//
// The first two are browser routes: their errors are pages, as long as there is
// no address of the client that may be trusted. The others speak JSON.
package token

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/cors"
	"github.com/rolecall/rolecall/broker/oauth"
)

// Service is the authorization server, oauth.Server.
type Service interface {
	Authorize(ctx context.Context, origin broker.Origin, params url.Values, caller *broker.Caller) (oauth.Next, error)
	Decide(ctx context.Context, origin broker.Origin, params url.Values, caller *broker.Caller, approve bool) (oauth.Next, error)
	Token(ctx context.Context, origin broker.Origin, req oauth.TokenRequest) (oauth.Issued, error)
	Revoke(ctx context.Context, origin broker.Origin, req oauth.TokenRequest) error
}

// Exchanger turns what a program brings into credentials: broker.Broker.
type Exchanger interface {
	Exchange(ctx context.Context, req broker.ExchangeRequest) (broker.Vended, error)
}

// Extensions are what later standards added to the authorization server, oauth.Server.
type Extensions interface {
	Exchange(ctx context.Context, origin broker.Origin, req oauth.ExchangeRequest) (oauth.Issued, error)
	StartDevice(ctx context.Context, origin broker.Origin, req oauth.TokenRequest) (oauth.DeviceStarted, error)
	Introspect(ctx context.Context, origin broker.Origin, req oauth.TokenRequest) (oauth.Introspection, error)
}

// Sessions knows whose session a browser has.
type Sessions interface {
	Session(ctx context.Context, origin broker.Origin, token string) (broker.Caller, error)
}

// Metadata is what the broker publishes about itself, as JSON.
type Metadata interface {
	Discovery(ctx context.Context) ([]byte, error)
	JWKS(ctx context.Context) ([]byte, error)
}

// Pages draws what a person sees.
type Pages interface {
	Consent(w http.ResponseWriter, r *http.Request, view ConsentView) error
}

// ConsentView is the question whether a client may act for a person. The page is
// a form that posts Fields, csrf and decision (approve or deny) to
// /oauth2/authorize; its first button approves.
type ConsentView struct {
	Client      string // the client's name
	RedirectURI string // where the answer goes
	Username    string
	Abilities   []string // what it will be able to do, a sentence each
	CSRF        string
	Fields      []Field
}

// Field is one hidden field.
type Field struct{ Name, Value string }

// Endpoint serves /oauth2/ and /.well-known/.
type Endpoint struct {
	Service    Service
	Extensions Extensions
	Exchanger  Exchanger
	// Audiences are the names by which a program may call the broker in a token
	// exchange: its address and its issuer.
	Audiences []string
	Sessions  Sessions
	Metadata  Metadata
	Pages     Pages
	Cookies   endpoint.Cookies
	// Origins are the pages that are apps, and Nonce is the nonce for the next proof of
	// a client that is an app, "" for another.
	Origins cors.Origins
	Nonce   func(client string) string
	Now     func() time.Time
}

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	mux.Page("GET /oauth2/authorize", e.authorize)
	mux.Page("POST /oauth2/authorize", e.decide)
	mux.Handle("/oauth2/token", problem, e.token)
	mux.Handle("/oauth2/revoke", problem, e.revoke)
	mux.Handle("/oauth2/introspect", problem, e.introspect)
	mux.Handle("/oauth2/device_authorization", problem, e.startDevice)
	mux.Handle("GET /.well-known/openid-configuration", problem, e.published(Metadata.Discovery))
	mux.Handle("GET /.well-known/oauth-authorization-server", problem, e.published(Metadata.Discovery))
	mux.Handle("GET /.well-known/jwks.json", problem, e.published(Metadata.JWKS))
}

// published serves a document that anybody may keep for five minutes.
func (e Endpoint) published(document func(Metadata, context.Context) ([]byte, error)) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := document(e.Metadata, r.Context())
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body)
		return nil
	}
}
