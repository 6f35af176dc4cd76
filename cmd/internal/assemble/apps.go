package assemble

import (
	"context"
	"fmt"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/cors"
	"github.com/rolecall/rolecall/broker/endpoint/tvm"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/dpop"
)

// openProofs makes what judges proofs of devices. The key of nonces is one for all
// nodes; which proofs have been used, each remembers for itself.
func (d *Daemon) openProofs(ctx context.Context) error {
	now := d.options.Now
	key, err := keys.Shared(ctx, d.store, d.sealer, "dpop-nonce", now())
	if err != nil {
		return fmt.Errorf("key of DPoP nonces: %w", err)
	}
	d.counts, d.proofs = limit.NewMemory(0), replay.NewWindow(0, now)
	d.nonces, err = dpop.NewNonces(key, now)
	return err
}

// newApps serves the devices of apps.
func (d *Daemon) newApps(c *config.Config, b *broker.Broker) *apps.Service {
	now := d.options.Now
	return apps.New(apps.Config{
		URL: serverURL(c), Apps: c.Apps, Devices: device.New(device.Config{Store: d.store, Now: now}), Tokens: session.NewTokens(d.store, now),
		Nonces: d.nonces, Proofs: d.proofs, Broker: b, Limit: d.limiter, Counts: d.counts, Audit: d.audit, Now: now,
	})
}

// tvm is the endpoint of apps; without apps there is none.
func (g *generation) tvm() endpoint.Mounter {
	c := g.options.Config
	if len(c.Apps) == 0 {
		return nothing{}
	}
	return tvm.Endpoint{Devices: g.apps, Door: g.apps, Vendor: g.broker, People: g.people, Origins: appOrigins(c), URL: serverURL(c)}
}

// nothing mounts nothing.
type nothing struct{}

// Mount implements endpoint.Mounter.
func (nothing) Mount(*endpoint.Mux) {}

// appClients are the apps as clients of the authorization server.
func appClients(c *config.Config) map[string]oauth.App {
	clients := map[string]oauth.App{}
	for _, a := range c.Apps {
		client := oauth.App{Label: a.Label}
		for _, uri := range a.RedirectURIs {
			client.RedirectURIs = append(client.RedirectURIs, uri.Value)
		}
		for _, p := range a.Providers {
			client.Providers = append(client.Providers, p.Value)
		}
		clients[a.Name.Value] = client
	}
	return clients
}

// logInByKey makes a device somebody's who signed in in the browser.
func (g *generation) logInByKey(ctx context.Context, origin broker.Origin, app, thumbprint, family string, login idp.Login) (oauth.Issued, error) {
	got, err := g.apps.LogInByKey(ctx, origin, app, thumbprint, family, login)
	if err != nil {
		return oauth.Issued{}, err
	}
	return oauth.Issued{
		AccessToken: got.Tokens.Access, RefreshToken: got.Tokens.Refresh, Type: "DPoP", ExpiresIn: got.Tokens.ExpiresIn,
		Scope: []string{"offline_access"}, Device: got.Device, IdentityID: got.IdentityID, Alias: got.Alias,
	}, nil
}

// appOrigins are the pages that are apps.
func appOrigins(c *config.Config) cors.Origins {
	origins := cors.Of()
	for _, a := range c.Apps {
		for _, origin := range a.Origins {
			origins[origin.Value] = true
		}
	}
	return origins
}

// nonceOf is the nonce for the next proof of a client that is an app.
func (g *generation) nonceOf(client string) string {
	if _, app := appClients(g.options.Config)[client]; !app {
		return ""
	}
	return g.apps.Nonce()
}
