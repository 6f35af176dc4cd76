package issuer

import (
	"strings"

	"github.com/rolecall/rolecall/idp/dpop"
)

// document is the discovery document. It names only what the server does.
type document struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	DeviceEndpoint        string `json:"device_authorization_endpoint,omitempty"`
	JWKSURI               string `json:"jwks_uri"`

	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	CodeChallengeMethods  []string `json:"code_challenge_methods_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
	DPoPAlgorithms        []string `json:"dpop_signing_alg_values_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`

	Scopes            []string `json:"scopes_supported"`
	Claims            []string `json:"claims_supported"`
	SubjectTypes      []string `json:"subject_types_supported"`
	IDTokenAlgorithms []string `json:"id_token_signing_alg_values_supported"`
	Prompts           []string `json:"prompt_values_supported"`
	RequestParameter  bool     `json:"request_parameter_supported"`
	RequestURI        bool     `json:"request_uri_parameter_supported"` // the default would be true
	ClaimsParameter   bool     `json:"claims_parameter_supported"`
}

func discover(config Config) document {
	issuer, server := config.URL, config.Server
	server = strings.TrimSuffix(server, "/")
	d := document{
		Issuer:                issuer,
		AuthorizationEndpoint: server + "/oauth2/authorize",
		TokenEndpoint:         server + "/oauth2/token",
		RevocationEndpoint:    server + "/oauth2/revoke",
		IntrospectionEndpoint: server + "/oauth2/introspect",
		JWKSURI:               strings.TrimSuffix(issuer, "/") + "/.well-known/jwks.json",

		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"},
		CodeChallengeMethods:  []string{"S256"},
		TokenAuthMethods:      []string{"none"},
		RevocationAuthMethods: []string{"none"},
		IntrospectionMethods:  []string{"none"},
		DPoPAlgorithms:        dpop.Algorithms(),
		IssParameter:          true,

		Scopes:            []string{"openid", "offline_access"},
		Claims:            []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "preferred_username"},
		SubjectTypes:      []string{"public"},
		IDTokenAlgorithms: []string{Algorithm},
		Prompts:           []string{"none", "login", "consent", "select_account"},
	}
	if config.DeviceFlow {
		d.DeviceEndpoint = server + "/oauth2/device_authorization"
		d.GrantTypes = append(d.GrantTypes, "urn:ietf:params:oauth:grant-type:device_code")
	}
	return d
}
