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

// maxLogoutAddress bounds the address of a logout. It comes in a header of ours,
// and proxies do not let every length pass: a longer ID token stays here, and the
// provider asks the person.
const maxLogoutAddress = 3000

// leaves reports whether signing out goes on to the provider.
func (p *Provider) leaves(m *metadata) bool {
	return m.endSession != "" && p.config.ProviderLogout.Value != "off"
}

// BeginLogout implements idp.Logouter. The ID token that says whose session it is
// has been used, and token exchange takes it no more, wherever it goes now.
func (p *Provider) BeginLogout(ctx context.Context, up idp.Upstream, handle string) (idp.Redirect, []byte, error) {
	m, err := p.discover.get(ctx)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	if !p.leaves(m) {
		return idp.Redirect{}, nil, fmt.Errorf("oidc: no end_session_endpoint, or provider_logout is off: %w", idp.ErrNoLogout)
	}
	data, err := json.Marshal(leaving{State: hashText(handle)})
	if err != nil {
		return idp.Redirect{}, nil, fmt.Errorf("oidc: pending logout: %w", err)
	}
	parameters := url.Values{"client_id": {p.config.ClientID.Value}, "post_logout_redirect_uri": {p.logoutURI}, "state": {handle}}
	hint := up.IDToken.Reveal()
	if hint != "" {
		parameters.Set("id_token_hint", hint)
	}
	if p.config.ProviderLogout.Value == "form" {
		form := idp.Form{Action: m.endSession, Fields: map[string]string{}}
		for name := range parameters {
			form.Fields[name] = parameters.Get(name)
		}
		return idp.Redirect{Form: &form}, data, nil
	}
	to, err := withQuery(m.endSession, parameters)
	if err == nil && len(to) > maxLogoutAddress {
		parameters.Del("id_token_hint")
		to, err = withQuery(m.endSession, parameters)
	}
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
