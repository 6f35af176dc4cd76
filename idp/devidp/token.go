package devidp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rolecall/rolecall/config/secret"
)

// token redeems a code: once, by its client, with its redirect URI and verifier.
func (p *IDP) token(w http.ResponseWriter, r *http.Request) {
	if !p.parseForm(w, r) {
		return
	}
	client, err := p.authenticate(r)
	if err != nil {
		p.jsonFault(w, err)
		return
	}
	g, err := p.redeem(client, r.PostForm)
	if err != nil {
		p.config.Log.WarnContext(r.Context(), "devidp: token request refused", "client", client.ID, "error", err)
		p.jsonFault(w, err)
		return
	}
	access := p.tokens.put(g, tokenLife)
	spent := g
	spent.used, spent.tokens = true, []string{access}
	p.codes.keep(r.PostForm.Get("code"), spent, tokenLife)
	idToken, err := p.idToken(g, access)
	if err != nil {
		p.jsonFault(w, err)
		return
	}
	p.json(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second),
		"id_token": idToken, "scope": g.scope,
	})
}

// authenticate finds the client by client_secret_basic, client_secret_post or,
// for one without secret, by its name alone. Two ways at once are refused.
func (p *IDP) authenticate(r *http.Request) (Client, error) {
	id, given := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		name, err1 := url.QueryUnescape(user)
		text, err2 := url.QueryUnescape(password)
		if err1 != nil || err2 != nil || given != "" || (id != "" && id != name) {
			return Client{}, &oauthError{"invalid_client", "the client authenticates in two ways or unreadably"}
		}
		id, given = name, text
	}
	client, ok := p.client(id)
	if !ok || !secret.New(given).Equal(client.Secret) {
		return Client{}, &oauthError{"invalid_client", "client or secret are wrong"}
	}
	return client, nil
}

// redeem judges the code. A code that was used before takes its tokens along.
func (p *IDP) redeem(client Client, form url.Values) (grant, error) {
	if form.Get("grant_type") != "authorization_code" {
		return grant{}, &oauthError{"unsupported_grant_type", "grant_type must be authorization_code"}
	}
	g, ok := p.codes.take(form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case ok && g.used:
		for _, token := range g.tokens {
			p.tokens.take(token)
		}
		return grant{}, &oauthError{"invalid_grant", "the code was used before"}
	case !ok:
		return grant{}, &oauthError{"invalid_grant", "the code is unknown or too old"}
	case g.client != client.ID:
		return grant{}, &oauthError{"invalid_grant", "the code belongs to another client"}
	case g.redirect != form.Get("redirect_uri"):
		return grant{}, &oauthError{"invalid_grant", "the redirect_uri is not that of the authorization request"}
	case subtle.ConstantTimeCompare([]byte(challenge), []byte(g.challenge)) != 1:
		return grant{}, &oauthError{"invalid_grant", "the code_verifier does not fit"}
	}
	return g, nil
}

// idToken signs who the person is.
func (p *IDP) idToken(g grant, access string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.config.Key, KeyID: p.kid}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("devidp: signer: %w", err)
	}
	now := p.config.Now()
	claims := personClaims(g)
	half := sha256.Sum256([]byte(access))
	claims["iss"], claims["aud"] = p.issuer(), g.client
	claims["iat"], claims["exp"] = now.Unix(), now.Add(tokenLife).Unix()
	claims["auth_time"] = g.session.since.Unix()
	claims["amr"], claims["sid"] = []string{"pwd"}, g.session.id
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(half[:16])
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// personClaims are the claims of a person that the scope lets out.
func personClaims(g grant) map[string]any {
	person := g.session.person
	claims := map[string]any{"sub": person.Username, "groups": append([]string{}, person.Groups...)}
	for _, scope := range strings.Fields(g.scope) {
		switch {
		case scope == "email" && person.Email != "":
			claims["email"], claims["email_verified"] = person.Email, true
		case scope == "profile":
			claims["preferred_username"] = person.Username
			if person.Name != "" {
				claims["name"] = person.Name
			}
			if person.team() != "" {
				claims["team"] = person.team()
			}
		}
	}
	return claims
}

// userinfo answers whom an access token belongs to.
func (p *IDP) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	g, ok := p.tokens.get(token)
	if !strings.EqualFold(scheme, "Bearer") || !ok {
		p.jsonFault(w, &oauthError{"invalid_token", "the access token is unknown or too old"})
		return
	}
	p.json(w, http.StatusOK, personClaims(g))
}
