package assemble

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/mail"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/directory"
	"github.com/rolecall/rolecall/idp/fetch"
	"github.com/rolecall/rolecall/idp/oauth2"
	"github.com/rolecall/rolecall/idp/oidc"
	"github.com/rolecall/rolecall/idp/saml"
)

// generation is what one configuration decides: providers, policy, and, once it is
// connected, the services and the HTTP edge over them. A reload makes the next one;
// what is of the process (store, record, keys, limits, the way to STS) stays.
type generation struct {
	options   Options
	upstreams []*upstream
	policy    *policy.Policy
	warnings  config.Faults
	samlKeys  func() ([]crypto.Signer, error)
	// serving gives each SAML provider the keys, to sign logouts with; a check needs
	// them for what is configured only.
	serving bool

	// What connect makes.
	broker  *broker.Broker
	account *account.Service
	people  *account.People
	desk    *operate.Desk
	edge    *endpoint.Edge
	use     use
	apps    *apps.Service
}

// upstream is one identity provider with what it does in the background.
type upstream struct {
	broker.Provider
	directory *directory.Directory // nil where it is none
	// fingerprint is of its section: the next generation takes one over that has the same.
	fingerprint [32]byte
	warnings    config.Faults
	// run refreshes what the provider publishes, until the context ends; nil has nothing to.
	run  func(context.Context)
	stop func() // set while it runs
}

// newGeneration runs every constructor, so that all faults are known at once.
// samlKeys is asked for where it serves, or a provider signs requests. Providers of
// the generation before whose sections are unchanged are carried over, with their
// metadata and keys; nil is none.
func newGeneration(options Options, serving bool, samlKeys func() ([]crypto.Signer, error), before *generation) (*generation, error) {
	g := &generation{options: options, samlKeys: sync.OnceValues(samlKeys), serving: serving}
	var faults config.Faults
	for _, p := range options.Config.Providers {
		u, err := g.upstream(p, before)
		switch {
		case err != nil:
			faults = append(faults, asFaults(p.Pos, err)...)
		case u != nil:
			g.upstreams = append(g.upstreams, u)
			g.warnings = append(g.warnings, u.warnings...)
		}
	}
	faults = append(faults, g.contested()...)
	if m := options.Config.Mail; m.SMTP.Value != "" {
		if _, err := mail.NewSMTP(m); err != nil {
			faults = append(faults, asFaults(m.SMTP.Pos, err)...)
		}
	}
	var err error
	if g.policy, err = Policy(options.Config); err != nil {
		faults = append(faults, asFaults(config.Pos{File: options.Config.File}, err)...)
	} else {
		g.warnings = append(g.warnings, g.policy.Warnings()...)
		faults = append(faults, givesRevocation(options.Config, g.policy)...)
	}
	return g, faults.Err()
}

// contested refuses two providers of which token exchange could never ask the second.
func (g *generation) contested() (faults config.Faults) {
	place := map[string]config.Pos{}
	for _, p := range g.options.Config.Providers {
		place[p.Name.Value] = p.Pos
	}
	for i, u := range g.upstreams {
		second, _ := u.Verifier.(*oidc.Provider)
		for _, before := range g.upstreams[:i] {
			first, _ := before.Verifier.(*oidc.Provider)
			if first == nil || second == nil {
				continue
			}
			if issuer, audience, yes := first.Contests(second); yes {
				faults.Add(place[u.Name], "provider %q: tokens of issuer %s for the audience %q are those of provider %q already; give one of them another client_id or other audiences", u.Name, issuer, audience, before.Name)
			}
		}
	}
	return faults
}

// givesRevocation refuses a grant of the revocation role: whoever had it could
// write policies on the roles of everybody.
func givesRevocation(c *config.Config, compiled *policy.Policy) (faults config.Faults) {
	role := c.AWS.RevocationRole
	if role.Value == "" {
		return nil
	}
	for _, t := range compiled.Targets() {
		name := strings.TrimPrefix(t.Role.Path+t.Role.Name, "/")
		if t.Role.String() == role.Value || name == strings.TrimPrefix(role.Value, "/") {
			faults.Add(role.Pos, "aws.revocation_role: the grant %q gives %s to people, who could then change what others may do; give the revocation role to nobody", t.Grant, t.Role)
		}
	}
	return faults
}

// asFaults gives the faults of a constructor; an error that is none gets the
// place of its section.
func asFaults(at config.Pos, err error) config.Faults {
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return faults
	}
	return config.Faults{{Pos: at, Message: err.Error()}}
}

// Policy compiles the grants of a configuration.
func Policy(c *config.Config) (*policy.Policy, error) {
	return policy.Compile(policy.Config{
		Grants: c.Grants, Accounts: c.Accounts, Providers: c.Providers, Apps: c.Apps,
		Mode: c.AWS.Mode.Value, Partition: partitionOf(c.AWS.Region), ReadFile: readPolicy,
	})
}

// maxPolicyFile is far more than AWS takes of a session policy.
const maxPolicyFile = 256 << 10

// readPolicy reads a policy_file, and never more of it than a policy may have.
func readPolicy(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // waits for no pipe
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxPolicyFile+1))
	if err == nil && len(text) > maxPolicyFile {
		err = fmt.Errorf("%s is larger than %d bytes, which no policy is", path, maxPolicyFile)
	}
	return text, err
}

// partitionOf is the AWS partition that a region belongs to.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	}
	return "aws"
}

// providers are those that sign people in, in the order of the configuration.
func (g *generation) providers() []broker.Provider {
	all := make([]broker.Provider, len(g.upstreams))
	for i, u := range g.upstreams {
		all[i] = u.Provider
	}
	return all
}

// upstream gives the provider of a section: the one of the generation before where
// it is the same, else a new one.
func (g *generation) upstream(p config.Provider, before *generation) (*upstream, error) {
	fingerprint := config.Fingerprint(p, g.options.Config.Egress)
	if before != nil {
		for _, u := range before.upstreams {
			if u.Name == p.Name.Value && u.fingerprint == fingerprint {
				return u, nil
			}
		}
	}
	u, err := g.newUpstream(p)
	if u != nil {
		u.fingerprint = fingerprint
	}
	return u, err
}

// newUpstream is the one switch over kinds of identity providers.
func (g *generation) newUpstream(p config.Provider) (*upstream, error) {
	client, err := newFetch(g.options, p)
	if err != nil {
		return nil, err
	}
	made := &upstream{Provider: broker.Provider{ProviderInfo: infoOf(p)}}
	switch p.Type.Value {
	case "saml":
		err = g.addSAML(made, p, client)
	case "oidc":
		err = g.addOIDC(made, p, client)
	case "oauth2":
		err = g.addOAuth2(made, p, client)
	case "directory":
		err = g.addDirectory(made, p)
	default: // config has said so, and names the known ones
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

func infoOf(p config.Provider) broker.ProviderInfo {
	info := broker.ProviderInfo{Name: p.Name.Value, Type: p.Type.Value, Label: cmp.Or(p.Label, p.Name.Value)}
	for _, d := range p.Domains {
		info.Domains = append(info.Domains, d.Value)
	}
	return info
}

func (g *generation) addSAML(made *upstream, p config.Provider, client *fetch.Client) error {
	var signers []crypto.Signer
	var err error
	if p.SignRequests || g.serving {
		if signers, err = g.samlKeys(); err != nil {
			return fmt.Errorf("the keys that sign requests and logouts: %w", err)
		}
	}
	s, err := saml.New(saml.Config{Provider: p, URL: serverURL(g.options.Config), Keys: signers, Fetch: client, Now: g.options.Now, Log: g.options.Log})
	if err != nil {
		return err
	}
	made.Redirector, made.Metadata, made.Host = s, s.Metadata, hostOf(p.MetadataURL.Value)
	made.Unsolicited, made.Logout, made.Departures = s.Unsolicited(), s, s
	if p.Exchange { // replayed assertions never count
		made.Verifier, made.OneTime = s, true
	}
	made.run, made.warnings = s.Run, s.Warnings()
	return nil
}

func (g *generation) addOIDC(made *upstream, p config.Provider, client *fetch.Client) error {
	o, err := oidc.New(oidc.Config{Provider: p, URL: serverURL(g.options.Config), Fetch: client, Now: g.options.Now, Log: g.options.Log})
	if err != nil {
		return err
	}
	made.Verifier, made.OneTime = o, p.OneTimeTokens
	if !p.Machine() { // machines bring tokens and do not sign in
		made.Redirector, made.Host = o, hostOf(p.Issuer.Value)
		made.Logout, made.BackChannel = o, o
	}
	made.warnings = o.Warnings()
	return nil
}

// addOAuth2 gives no verifier: an access token that a program brings is no evidence.
func (g *generation) addOAuth2(made *upstream, p config.Provider, client *fetch.Client) error {
	o, err := oauth2.New(oauth2.Config{Provider: p, URL: serverURL(g.options.Config), Fetch: client, Now: g.options.Now, Log: g.options.Log})
	if err != nil {
		return err
	}
	made.Redirector, made.Host = o, hostOf(o.AuthURL())
	return nil
}

// newFetch is the bounded way out to one provider.
func newFetch(options Options, p config.Provider) (*fetch.Client, error) {
	c := options.Config
	var files []string
	for _, f := range []string{c.Egress.CAFile, p.CAFile} {
		if f != "" {
			files = append(files, f)
		}
	}
	return fetch.New(fetch.Config{Proxy: c.Egress.Proxy.Value, CAFiles: files, AllowPrivate: p.AllowPrivate, Observe: observeFetch(options.metrics, p)})
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// serverURL is server.url without a slash at the end.
func serverURL(c *config.Config) string { return strings.TrimSuffix(c.Server.URL.Value, "/") }

// Check runs every constructor offline and joins their faults with those of the
// file; the warnings are of both. It opens no store, so a key that would be there
// is one of the moment.
func Check(options Options) (warnings config.Faults, err error) {
	g, err := newGeneration(options, false, throwawayKeys, nil)
	warnings = slices.Concat(options.Config.Warnings, g.warnings)
	return warnings, err
}

// throwawayKeys sign for as long as a check lasts.
func throwawayKeys() ([]crypto.Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return []crypto.Signer{key}, err
}
