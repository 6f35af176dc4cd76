package assemble

import (
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
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/fetch"
	"github.com/rolecall/rolecall/idp/oidc"
	"github.com/rolecall/rolecall/idp/saml"
)

// generation is what a configuration alone decides: providers and policy.
type generation struct {
	providers []broker.Provider
	policy    *policy.Policy
	refresh   []func(context.Context)
	warnings  config.Faults
	samlKeys  func() ([]crypto.Signer, error)
	// serving gives each SAML provider the keys, to sign logouts with; a check needs
	// them for what is configured only.
	serving bool
}

// newGeneration runs every constructor, so that all faults are known at once.
// samlKeys is asked for where it serves, or a provider signs requests.
func newGeneration(options Options, serving bool, samlKeys func() ([]crypto.Signer, error)) (*generation, error) {
	g := &generation{samlKeys: sync.OnceValues(samlKeys), serving: serving}
	var faults config.Faults
	for _, p := range options.Config.Providers {
		if err := g.addProvider(options, p); err != nil {
			faults = append(faults, asFaults(p.Pos, err)...)
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

// addProvider is the one switch over kinds of identity providers.
func (g *generation) addProvider(options Options, p config.Provider) error {
	client, err := newFetch(options.Config, p)
	if err != nil {
		return err
	}
	info := broker.ProviderInfo{Name: p.Name.Value, Type: p.Type.Value, Label: p.Label}
	if info.Label == "" {
		info.Label = info.Name
	}
	for _, d := range p.Domains {
		info.Domains = append(info.Domains, d.Value)
	}
	made := broker.Provider{ProviderInfo: info}
	server := serverURL(options.Config)
	switch p.Type.Value {
	case "saml":
		var signers []crypto.Signer
		if p.SignRequests || g.serving {
			if signers, err = g.samlKeys(); err != nil {
				return fmt.Errorf("the keys that sign requests and logouts: %w", err)
			}
		}
		s, err := saml.New(saml.Config{Provider: p, URL: server, Keys: signers, Fetch: client, Now: options.Now, Log: options.Log})
		if err != nil {
			return err
		}
		made.Redirector, made.Metadata, made.Host = s, s.Metadata, hostOf(p.MetadataURL.Value)
		made.Unsolicited, made.Logout = s.Unsolicited(), s
		if p.Exchange { // replayed assertions never count
			made.Verifier, made.OneTime = s, true
		}
		g.refresh = append(g.refresh, s.Run)
		g.warnings = append(g.warnings, s.Warnings()...)
	case "oidc":
		o, err := oidc.New(oidc.Config{Provider: p, URL: server, Fetch: client, Now: options.Now, Log: options.Log})
		if err != nil {
			return err
		}
		made.Redirector, made.Host = o, hostOf(p.Issuer.Value)
		made.Verifier, made.OneTime, made.BackChannel = o, p.OneTimeTokens, o
	case "oauth2":
		return config.Faults{{Pos: p.Pos, Message: "providers of type oauth2 cannot sign anybody in yet"}}
	default: // config has said so, and names the known ones
		return nil
	}
	g.providers = append(g.providers, made)
	return nil
}

// newFetch is the bounded way out to one provider.
func newFetch(c *config.Config, p config.Provider) (*fetch.Client, error) {
	var files []string
	for _, f := range []string{c.Egress.CAFile, p.CAFile} {
		if f != "" {
			files = append(files, f)
		}
	}
	return fetch.New(fetch.Config{Proxy: c.Egress.Proxy.Value, CAFiles: files, AllowPrivate: p.AllowPrivate})
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
	g, err := newGeneration(options, false, throwawayKeys)
	warnings = slices.Concat(options.Config.Warnings, g.warnings)
	return warnings, err
}

// throwawayKeys sign for as long as a check lasts.
func throwawayKeys() ([]crypto.Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return []crypto.Signer{key}, err
}
