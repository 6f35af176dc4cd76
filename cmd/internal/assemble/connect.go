package assemble

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	accountendpoint "github.com/rolecall/rolecall/broker/endpoint/account"
	"github.com/rolecall/rolecall/broker/endpoint/admin"
	"github.com/rolecall/rolecall/broker/endpoint/api"
	"github.com/rolecall/rolecall/broker/endpoint/device"
	"github.com/rolecall/rolecall/broker/endpoint/login"
	oidcendpoint "github.com/rolecall/rolecall/broker/endpoint/oidc"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/portal"
	samlendpoint "github.com/rolecall/rolecall/broker/endpoint/saml"
	"github.com/rolecall/rolecall/broker/endpoint/token"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/vend/console"
)

// connect joins state, providers and policy into the services, and those with
// the endpoints.
func (d *Daemon) connect(ctx context.Context, g *generation) error {
	c, o := d.options.Config, d.options
	vendor, err := d.newVendor(ctx)
	if err != nil {
		return err
	}
	federation, err := console.New(console.Config{Endpoint: d.signinEndpoint(), Issuer: serverURL(c), Now: o.Now})
	if err != nil {
		return fmt.Errorf("aws.signin_endpoint: %w", err)
	}
	sessions := session.NewSessions(session.Config{Store: d.store, Max: c.Session.Max, Idle: c.Session.Idle, Now: o.Now})
	once := replay.New(replay.Config{Store: d.store, Now: o.Now})
	limiter := limit.New(limit.Config{PerAddress: c.Limits.PerAddress, PerSubject: c.Limits.PerSubject, Now: o.Now})
	published, err := d.newIssuer()
	if err != nil {
		return err
	}
	d.revoked = revocation.New(d.store, o.Log)
	if err := d.revoked.Poll(ctx); err != nil {
		return err
	}
	d.Broker = broker.New(broker.Config{
		Providers: g.providers, Policy: g.policy, Vendor: vendor, Federation: federation,
		Sessions: sessions, Replay: once, Limit: limiter, Audit: d.audit, Tally: d.tally,
		Prove: d.newProofs(published), Revoked: d.revoked,
		OutliveSession: c.AWS.OutliveSession, Log: o.Log, Now: o.Now,
	})
	authorization := oauth.New(d.deviceFlow(oauth.Config{
		URL: serverURL(c), Sessions: sessions, Tokens: session.NewTokens(d.store, o.Now), Issuer: published, Broker: d.Broker, Replay: once,
		Limit: limiter, Audit: d.audit, RefreshMax: c.Session.RefreshMax, Log: o.Log, Now: o.Now,
	}))
	d.desk = operate.NewDesk(operate.DeskConfig{Admins: c.Admins, Sessions: sessions, Record: d.audit, Forget: d.Broker.Forget, Now: o.Now})
	d.account = account.New(account.Config{
		Sessions: sessions, Marks: marks.NewBook(d.store, o.Now), Record: d.audit, Forget: d.Broker.Forget, Now: o.Now,
	})
	return d.mount(authorization, published)
}

// signinEndpoint is the stand-in's console, where there is a stand-in.
func (d *Daemon) signinEndpoint() string {
	if own := d.options.Config.AWS.SigninEndpoint.Value; own != "" {
		return own
	}
	return d.options.Config.AWS.Endpoint.Value
}

// mount puts every endpoint on the HTTP edge: one line each.
func (d *Daemon) mount(authorization *oauth.Server, published *issuer.Issuer) error {
	c, o := d.options.Config, d.options
	public, err := url.Parse(serverURL(c))
	if err != nil {
		return fmt.Errorf("server.url: %w", err)
	}
	cookies := endpoint.Cookies{HTTPS: public.Scheme == "https"}
	pages, err := page.New(page.Config{Cookies: cookies})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	edge := d.edgeConfig(public)
	edge.Problems = pages
	signIn := endpoint.SignIn{Service: d.Broker, Cookies: cookies, Pages: pages}
	door := visitor.Door{Sessions: d.Broker, Cookies: cookies, Admin: d.desk.Admits}
	own, err := accountendpoint.New(accountendpoint.Config{Service: d.account, Marks: d.account, Roles: d.Broker, Door: door, Pages: pages, Now: o.Now})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	desk, err := admin.New(admin.Config{Service: d.desk, Door: door, Pages: pages, Now: o.Now})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	d.edge = endpoint.New(edge,
		pages,
		own,
		desk,
		login.Endpoint{Service: d.Broker, Pages: pages, Cookies: cookies},
		samlendpoint.Endpoint{SignIn: signIn, Metadata: d.Broker, Logout: d.Broker},
		oidcendpoint.Endpoint{SignIn: signIn, Logout: d.Broker},
		portal.Endpoint{Service: d.Broker, Explain: d.Broker, Own: d.account, Admin: d.desk.Admits, Pages: pages, Cookies: cookies, URL: serverURL(c), Region: c.AWS.Region, ConsoleOrigins: d.consoleOrigins(), Now: o.Now},
		token.Endpoint{
			Service: authorization, Extensions: authorization, Exchanger: d.Broker, Audiences: []string{serverURL(c), published.URL()},
			Sessions: d.Broker, Metadata: published, Pages: consentPage{pages}, Cookies: cookies, Now: o.Now,
		},
		device.Endpoint{Service: authorization, Sessions: d.Broker, Pages: devicePage{pages}, Cookies: cookies},
		api.Endpoint{Service: d.Broker, Tokens: authorization, Cookies: cookies},
	)
	return nil
}

// consentPage draws what the authorization server asks with the portal's pages.
type consentPage struct{ pages *page.Pages }

// Consent implements token.Pages.
func (p consentPage) Consent(w http.ResponseWriter, r *http.Request, view token.ConsentView) error {
	return p.pages.Consent(w, r, page.Consent{
		Username: view.Username, Client: view.Client, RedirectURI: view.RedirectURI,
		May: view.Abilities, Action: "/oauth2/authorize", Hidden: fields(view.Fields),
	})
}

func fields(given []token.Field) []page.Field {
	out := make([]page.Field, len(given))
	for i, f := range given {
		out[i] = page.Field(f)
	}
	return out
}

// consoleOrigins are the addresses that opening a console passes through.
func (d *Daemon) consoleOrigins() []string {
	if at := d.signinEndpoint(); at != "" {
		return []string{at}
	}
	switch partitionOf(d.options.Config.AWS.Region) {
	case "aws-us-gov":
		return []string{"https://*.amazonaws-us-gov.com"}
	case "aws-cn":
		return []string{"https://*.amazonaws.cn"}
	}
	return []string{"https://*.aws.amazon.com"}
}
