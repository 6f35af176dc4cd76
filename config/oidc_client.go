package config

import (
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// ClientKey is a private key by which we prove ourselves at an OpenID provider
// (private_key_jwt, OpenID Connect Core 1.0 section 9).
type ClientKey struct {
	Key      secret.String `yaml:"key" doc:"PEM of the private key, usually ${file:PATH}: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519. Its type decides the algorithm."`
	ID       Text          `yaml:"id" doc:"The key's id (kid) at the provider. None where the provider has one key only."`
	Audience Text          `yaml:"audience" enum:"issuer,token_endpoint" default:"issuer" doc:"Whom the proof is for. Okta and Entra ID want token_endpoint."`
}

// Apple is what Apple gives for making client secrets.
type Apple struct {
	TeamID Text          `yaml:"team_id" doc:"The ten characters of the team."`
	KeyID  Text          `yaml:"key_id" doc:"The ten characters of the key."`
	Key    secret.String `yaml:"key" doc:"The key itself, AuthKey_ID.p8, usually ${file:PATH}."`
}

// oidcClient finds ways of proving ourselves that exclude each other or lack
// something, and what a sign-in cannot ask for.
func (c *checker) oidcClient(p *Provider, path string) {
	var proofs []string
	for _, key := range []string{"client_secret", "client_key", "apple"} {
		if c.set(under(path, key)) {
			proofs = append(proofs, key)
		}
	}
	if len(proofs) > 1 {
		c.fault(under(path, proofs[1]), "%s is set too; keep one of them", proofs[0])
	}
	if wants := map[string]string{
		"client_secret_basic": "client_secret", "client_secret_post": "client_secret", "private_key_jwt": "client_key",
	}[p.ClientAuth.Value]; wants != "" && !slices.Contains(proofs, wants) {
		c.fault(under(path, "client_auth"), "%s needs %s", p.ClientAuth.Value, wants)
	}
	if p.ClientAuth.Value == "none" && len(proofs) > 0 {
		c.fault(under(path, "client_auth"), "none, and %s is set; remove one of them", proofs[0])
	}
	c.needed(under(path, "client_key"), "key")
	c.needed(under(path, "apple"), "team_id", "key_id", "key")
	c.between(under(path, "max_age"), p.MaxAge, time.Second, 365*24*time.Hour)
	c.contexts(under(path, "acr_values"), p.ACRValues)
	c.contexts(under(path, "mfa_acr_values"), p.MFAACRValues)
}

// contexts are values of acr.
func (c *checker) contexts(path string, values []Text) {
	c.notEmpty(path, len(values))
	for _, value := range values {
		if value.Value == "" || strings.ContainsAny(value.Value, " \t\r\n") {
			c.faults.Add(value.Pos, "%s[]: %s is not one value", shown(path), quoted(value.Value))
		}
	}
}

// needed finds what a section that is there lacks.
func (c *checker) needed(section string, keys ...string) {
	if !c.set(section) {
		return
	}
	for _, key := range keys {
		if !c.set(under(section, key)) {
			c.fault(section, "%s is missing", key)
		}
	}
}
