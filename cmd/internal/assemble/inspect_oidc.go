package assemble

import (
	"context"
	"errors"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/oidc"
)

// OIDCReport judges a token as sign-in or token exchange at one configured provider
// would. It opens no store and makes no session; keys come from jwks_file, or from
// the provider. The error is about the configuration, never about the token.
func OIDCReport(ctx context.Context, options Options, name string, ask oidc.Inspection) (oidc.Report, error) {
	section, err := sectionOf(options.Config, "oidc", name)
	if err != nil {
		return oidc.Report{}, err
	}
	client, err := newFetch(options, section)
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
