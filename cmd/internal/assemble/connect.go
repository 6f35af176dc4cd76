package assemble

import (
	"cmp"
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
	directoryendpoint "github.com/rolecall/rolecall/broker/endpoint/directory"
	"github.com/rolecall/rolecall/broker/endpoint/login"
	oidcendpoint "github.com/rolecall/rolecall/broker/endpoint/oidc"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/portal"
	samlendpoint "github.com/rolecall/rolecall/broker/endpoint/saml"
	"github.com/rolecall/rolecall/broker/endpoint/token"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
)

// connect joins a generation with the state of the process into the services, and
// those with the endpoints.
func (g *generation) connect(d *Daemon) error {
	c, o := g.options.Config, g.options
	sessions := session.NewSessions(session.Config{Store: d.store, Max: c.Session.Max, Idle: c.Session.Idle, Now: o.Now, Sealer: d.sealer})
	once := replay.New(replay.Config{Store: d.store, Now: o.Now})
	published, err := d.newIssuer(c)
	if err != nil {
		return err
	}
	g.broker = broker.New(broker.Config{
		Providers: g.providers(), Policy: g.policy, Vendor: d.vendor, Federation: d.federation,
		Sessions: sessions, Replay: once, Limit: d.limiter, Guard: d.guard, Audit: d.audit, Tally: countedTally{d.tally, o.metrics},
		Prove: d.newProofs(published), Revoked: d.revoked,
		OutliveSession: c.AWS.OutliveSession, Log: o.Log, Now: o.Now,
	})
	g.apps = d.newApps(c, g.broker)
	authorization := oauth.New(d.deviceFlow(c, oauth.Config{
		URL: serverURL(c), Sessions: sessions, Tokens: session.NewTokens(d.store, o.Now), Issuer: published, Broker: g.broker, Replay: once,
		Limit: d.limiter, Audit: d.audit, RefreshMax: c.Session.RefreshMax, Apps: appClients(c), Nonces: d.nonces, LogIn: g.logInByKey, Log: o.Log, Now: o.Now,
	}))
	g.desk = operate.NewDesk(operate.DeskConfig{Admins: c.Admins, Sessions: sessions, Record: d.audit, Revoke: d.revoke, Forget: g.broker.Forget, ResolveRole: g.policy.ResolveRole, Now: o.Now})
	g.account = account.New(account.Config{
		Sessions: sessions, Marks: marks.NewBook(d.store, o.Now), Record: d.audit, Forget: g.broker.Forget, Now: o.Now,
	})
	g.people = d.newPeople(g, sessions)
	return g.mount(d, authorization, published)
}

// signinEndpoint is the stand-in's console, where there is a stand-in.
func signinEndpoint(c *config.Config) string {
	return cmp.Or(c.AWS.SigninEndpoint.Value, c.AWS.Endpoint.Value)
}

// mount puts every endpoint on the HTTP edge: one line each.
func (g *generation) mount(d *Daemon, authorization *oauth.Server, published *issuer.Issuer) error {
	c, o := g.options.Config, g.options
	public, err := url.Parse(serverURL(c))
	if err != nil {
		return fmt.Errorf("server.url: %w", err)
	}
	cookies := endpoint.Cookies{HTTPS: public.Scheme == "https"}
	pages, err := page.New(page.Config{Cookies: cookies})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	edge := d.edgeConfig(c, public)
	edge.Problems = pages
	roles, err := portal.NewRolePages(pages)
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	home := portal.Endpoint{
		Service: g.broker, Explain: g.broker, Chooser: g.broker, Own: g.account, Admin: g.desk.Admits,
		Pages: pages, Role: roles, Cookies: cookies, URL: serverURL(c), Region: c.AWS.Region, ConsoleOrigins: consoleOrigins(c), Now: o.Now,
	}
	signIn := endpoint.SignIn{Service: g.broker, Cookies: cookies, Pages: pages, Deliver: home.Deliver}
	door := visitor.Door{Sessions: g.broker, Cookies: cookies, Admin: g.desk.Admits}
	own, err := accountendpoint.New(accountendpoint.Config{Service: g.account, Marks: g.account, Roles: g.broker, Door: door, Pages: pages, Now: o.Now})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	desk, err := admin.New(admin.Config{Service: g.desk, Exporter: g.desk, Insight: g.insight(d), AccountName: g.policy.AccountName, Door: door, Pages: pages, Now: o.Now})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	typed, err := directoryendpoint.New(directoryendpoint.Config{Service: g.broker, Passwords: g.people, Factors: g.people, Door: door, Cookies: cookies, Pages: pages})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	g.edge = endpoint.New(edge,
		typed,
		pages,
		own,
		desk,
		login.Endpoint{Service: g.broker, Pages: pages, Cookies: cookies},
		samlendpoint.Endpoint{SignIn: signIn, Metadata: g.broker, Logout: g.broker},
		oidcendpoint.Endpoint{SignIn: signIn, Logout: g.broker},
		home,
		token.Endpoint{
			Service: authorization, Extensions: authorization, Exchanger: g.broker, Audiences: []string{serverURL(c), published.URL()},
			Sessions: g.broker, Metadata: published, Pages: consentPage{pages}, Cookies: cookies, Now: o.Now,
			Origins: appOrigins(c), Nonce: g.nonceOf,
		},
		g.tvm(),
		device.Endpoint{Service: authorization, Sessions: g.broker, Pages: devicePage{pages}, Cookies: cookies},
		api.Endpoint{Service: g.broker, Tokens: authorization, Cookies: cookies, Used: g.account.Use},
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
func consoleOrigins(c *config.Config) []string {
	if at := signinEndpoint(c); at != "" {
		return []string{at}
	}
	switch partitionOf(c.AWS.Region) {
	case "aws-us-gov":
		return []string{"https://*.amazonaws-us-gov.com"}
	case "aws-cn":
		return []string{"https://*.amazonaws.cn"}
	}
	return []string{"https://*.aws.amazon.com"}
}
