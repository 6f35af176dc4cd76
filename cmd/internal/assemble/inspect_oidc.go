package assemble

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/oidc"
)

// OIDCReport judges a token as sign-in or token exchange at one configured provider
// would. It opens no store and makes no session; keys come from jwks_file, or from
// the provider. The error is about the configuration, never about the token.
func OIDCReport(ctx context.Context, options Options, name string, ask oidc.Inspection) (oidc.Report, error) {
	section, err := oidcSection(options.Config, name)
	if err != nil {
		return oidc.Report{}, err
	}
	client, err := newFetch(options.Config, section)
	if err != nil {
		return oidc.Report{}, err
	}
	p, err := oidc.New(oidc.Config{Provider: section, URL: serverURL(options.Config), Fetch: client, Now: options.Now, Log: options.Log})
	if err != nil {
		return oidc.Report{}, err
	}
	report, err := p.Inspect(ctx, ask)
	if errors.Is(err, idp.ErrUnavailable) {
		report.Reason, report.Detail, report.Findings = "unavailable", err.Error(), []oidc.Finding{}
		return report, nil
	}
	return report, err
}

// oidcSection finds the section of an OpenID Connect provider.
func oidcSection(c *config.Config, name string) (config.Provider, error) {
	var known []string
	for _, p := range c.Providers {
		switch {
		case p.Type.Value == "oidc" && p.Name.Value == name:
			return p, nil
		case p.Name.Value == name:
			return p, fmt.Errorf("provider %q is of type %s and not oidc", name, p.Type.Value)
		case p.Type.Value == "oidc":
			known = append(known, p.Name.Value)
		}
	}
	if len(known) == 0 {
		return config.Provider{}, fmt.Errorf("there is no provider %q, and none of type oidc", name)
	}
	return config.Provider{}, fmt.Errorf("there is no provider %q; those of type oidc are %s", name, strings.Join(known, ", "))
}
