package assemble

import (
	"cmp"
	"context"
	"crypto"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/broker/vend/console"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// uses reports whether some grant orders by a mode.
func uses(c *config.Config, mode string) bool {
	for _, g := range c.Grants {
		if !g.Deny && cmp.Or(g.Mode.Value, c.AWS.Mode.Value) == mode {
			return true
		}
	}
	return false
}

// openVendor makes the way to STS, a vendor for each mode behind a bound and a cache,
// and that to the console.
func (d *Daemon) openVendor(ctx context.Context) error {
	c := d.options.Config.AWS
	credentials := d.options.AWS
	if credentials == nil {
		chain, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(c.Region))
		if err != nil {
			return fmt.Errorf("the broker's own AWS credentials: %w", err)
		}
		credentials = chain.Credentials
	}
	shared := vend.Config{Credentials: aws.NewCredentialsCache(credentials), Region: c.Region, Endpoint: c.Endpoint.Value, Timeout: c.Timeout}
	for _, region := range c.Regions {
		shared.Fallback = append(shared.Fallback, region.Value)
	}
	modes := vend.Modes{}
	for name, make := range map[string]func() (vend.Vendor, error){
		"assume-role":      func() (vend.Vendor, error) { return vend.NewAssumeRole(shared) },
		"web-identity":     func() (vend.Vendor, error) { return vend.NewWebIdentity(shared) },
		"saml":             func() (vend.Vendor, error) { return vend.NewSAML(shared) },
		"federation-token": func() (vend.Vendor, error) { return vend.NewFederationToken(shared) },
	} {
		made, err := make()
		if err != nil {
			return err
		}
		modes[name] = made
	}
	d.Bound = vend.NewBound(modes, vend.BoundConfig{Timeout: c.Timeout})
	cache := vend.NewCache(d.Bound, vend.CacheConfig{Now: d.options.Now})
	d.vendor = cache
	d.measure(cache)
	federation, err := console.New(console.Config{Endpoint: signinEndpoint(d.options.Config), Issuer: serverURL(d.options.Config), Now: d.options.Now})
	if err != nil {
		return fmt.Errorf("aws.signin_endpoint: %w", err)
	}
	d.federation = federation
	return nil
}

// newIssuer is the broker as an OpenID Connect issuer: for clients, and for AWS
// with keys that sign nothing else.
func (d *Daemon) newIssuer(c *config.Config) (*issuer.Issuer, error) {
	made := issuer.Config{URL: issuerURL(c), Server: serverURL(c), DeviceFlow: c.OAuth.DeviceFlow, Keys: d.keys, Now: d.options.Now}
	if uses(c, "web-identity") {
		made.AWSKeys = d.awsKeys
	}
	published, err := issuer.New(made)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	return published, nil
}

func issuerURL(c *config.Config) string { return cmp.Or(c.Issuer.URL.Value, serverURL(c)) }

// newAssertions is the broker as a SAML identity provider of AWS accounts. Its key
// is never rotated by itself, because accounts learn it by hand.
func (d *Daemon) newAssertions() *issuer.Assertions {
	c := d.options.Config
	kept := keys.New(keys.Config{Store: d.store, Sealer: d.sealer, Use: "aws-saml", Now: d.options.Now, Log: d.options.Log})
	return issuer.NewAssertions(issuer.AssertionConfig{
		EntityID: issuerURL(c) + "/aws-saml", Portal: serverURL(c) + "/", Now: d.options.Now,
		Signers: func(ctx context.Context) ([]crypto.Signer, error) { return kept.Signers(ctx, "RS256") },
	})
}

// newProofs binds orders to what makes their proofs.
func (d *Daemon) newProofs(published *issuer.Issuer) func(context.Context, idp.Identity, vend.Spec) (secret.String, error) {
	assertions, audience := d.newAssertions(), d.options.Config.AWS.Audience.Value
	return func(ctx context.Context, who idp.Identity, spec vend.Spec) (secret.String, error) {
		var proof string
		var err error
		switch spec.Mode {
		case "web-identity":
			proof, err = published.MintAWSToken(ctx, issuer.AWSToken{
				Audience: audience, Provider: who.Provider, Subject: who.Subject, Role: spec.Role,
				Tags: spec.Tags, TransitiveTags: spec.TransitiveTags, SourceIdentity: spec.SourceIdentity,
			})
		case "saml":
			proof, err = assertions.Sign(ctx, issuer.Assertion{
				Provider: who.Provider, Subject: who.Subject, Role: spec.Role, SAMLProvider: spec.SAMLProvider, SessionName: spec.SessionName,
				Tags: spec.Tags, TransitiveTags: spec.TransitiveTags, SourceIdentity: spec.SourceIdentity,
			})
		default:
			err = fmt.Errorf("the mode %q has no proof", spec.Mode)
		}
		return secret.New(proof), err
	}
}
