package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/idp"
)

// RP-Initiated Logout (OpenID Connect RP-Initiated Logout 1.0).

var _ idp.Logouter = (*Provider)(nil)

// leaving is what FinishLogout must know of BeginLogout.
type leaving struct {
	State string `json:"state"` // hash of the handle
}

// leaves is whether, and how, signing out goes on to the provider: "" is not.
func (p *Provider) leaves(m *metadata) string {
	how := p.config.ProviderLogout.Value
	switch {
	case m.endSession == "" || how == "off":
		return ""
	case how == "":
		return "form"
	}
	return how
}

// hints reports whether a logout will need the ID token.
func (p *Provider) hints(m *metadata) bool { return p.leaves(m) == "form" }

// BeginLogout implements idp.Logouter. The ID token goes by a form and never into
// an address, where histories and logs would keep it: it is evidence that token
// exchange accepts.
func (p *Provider) BeginLogout(ctx context.Context, up idp.Upstream, handle string) (idp.Redirect, []byte, error) {
	m, err := p.discover.get(ctx)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	if p.leaves(m) == "" {
		return idp.Redirect{}, nil, fmt.Errorf("oidc: no end_session_endpoint, or provider_logout is off: %w", idp.ErrNoLogout)
	}
	data, err := json.Marshal(leaving{State: hashText(handle)})
	if err != nil {
		return idp.Redirect{}, nil, fmt.Errorf("oidc: pending logout: %w", err)
	}
	fields := map[string]string{"client_id": p.config.ClientID.Value, "post_logout_redirect_uri": p.logoutURI, "state": handle}
	if hint := up.IDToken.Reveal(); hint != "" && p.hints(m) {
		fields["id_token_hint"] = hint
		return idp.Redirect{Form: &idp.Form{Action: m.endSession, Fields: fields}}, data, nil
	}
	parameters := url.Values{}
	for name, value := range fields {
		parameters.Set(name, value)
	}
	to, err := withQuery(m.endSession, parameters)
	return idp.Redirect{URL: to}, data, err
}

// FinishLogout implements idp.Logouter. What comes back says nothing but that this
// browser's logout is through.
func (p *Provider) FinishLogout(_ context.Context, data []byte, answer idp.Answer) error {
	var keep leaving
	if err := json.Unmarshal(data, &keep); err != nil {
		return fmt.Errorf("oidc: pending logout: %w", err)
	}
	states := answer.Query["state"]
	if answer.Method != http.MethodGet || len(states) != 1 || subtle.ConstantTimeCompare([]byte(hashText(states[0])), []byte(keep.State)) != 1 {
		return idp.Reject("state", "the answer belongs to another logout")
	}
	return nil
}
