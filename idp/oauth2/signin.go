package oauth2

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	oauth "golang.org/x/oauth2"

	"github.com/rolecall/rolecall/idp"
)

var _ idp.Redirector = (*Provider)(nil)

// patience bounds all questions of one sign-in together.
const patience = 20 * time.Second

// codeLife is longer than any provider's code lives.
const codeLife = time.Hour

// pending is what Finish must know of Begin. The handle itself stays out: the
// store keeps handles only as hashes.
type pending struct {
	Client   string `json:"client"` // where the sign-in began, and as whom
	State    string `json:"state"`  // hash of the handle
	Verifier string `json:"verifier"`
}

// Begin sends the browser to the provider. None of them says when it saw a person,
// so what is asked by MaxAge and ACR stays unanswered, and a grant that demands it
// is not held.
func (p *Provider) Begin(_ context.Context, want idp.Want) (idp.Redirect, []byte, error) {
	keep := pending{Client: p.origin(), State: hashText(want.Handle), Verifier: oauth.GenerateVerifier()}
	options := []oauth.AuthCodeOption{oauth.S256ChallengeOption(keep.Verifier)}
	if want.Fresh {
		for name, value := range p.service.fresh() {
			options = append(options, oauth.SetAuthURLParam(name, value))
		}
	}
	data, err := json.Marshal(keep)
	if err != nil {
		return idp.Redirect{}, nil, fmt.Errorf("oauth2: pending sign-in: %w", err)
	}
	return idp.Redirect{URL: p.client.AuthCodeURL(want.Handle, options...)}, data, nil
}

// Finish judges what the browser brought back, redeems the code and asks the
// provider who that is.
func (p *Provider) Finish(ctx context.Context, data []byte, answer idp.Answer) (idp.Login, error) {
	var keep pending
	if err := json.Unmarshal(data, &keep); err != nil {
		return idp.Login{}, fmt.Errorf("oauth2: pending sign-in: %w", err)
	}
	if keep.Client != p.origin() {
		return idp.Login{}, idp.Reject("issuer", "the sign-in began at %s, which is no longer this provider's client", keep.Client)
	}
	code, err := p.judgeAnswer(keep, answer)
	if err != nil {
		return idp.Login{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	token, err := p.redeem(ctx, code, keep.Verifier)
	if err != nil {
		return idp.Login{}, err
	}
	defer p.forget(ctx, token)
	who, err := p.service.person(ctx, token)
	if err != nil {
		return idp.Login{}, err
	}
	if p.mapping.Username == "email" && len(who.attributes["email"]) == 0 {
		return idp.Login{}, idp.Reject("email-unverified", "email is the user name here, and the provider names no address that it has verified")
	}
	identity, err := p.mapping.Identity(p.name, who.subject, who.attributes)
	if err != nil {
		return idp.Login{}, err
	}
	return idp.Login{Identity: identity, Once: idp.Once{Key: hashText(code), Until: p.now().Add(codeLife)}}, nil
}

// origin names the client at its provider: a pending sign-in is for no other.
func (p *Provider) origin() string { return p.client.Endpoint.AuthURL + " " + p.client.ClientID }

// forget gives the token back, if that fails or not: it is in nobody's hands then.
func (p *Provider) forget(ctx context.Context, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := p.service.forget(ctx, token); err != nil {
		p.log.Warn("give an access token back", "provider", p.name, "error", err)
	}
}

// judgeAnswer takes the code from the redirect: the state is this sign-in's, the
// answer is not of another server (RFC 9207), and nothing is there twice. Mix-up is
// answered by a redirect URI that each provider has to itself.
func (p *Provider) judgeAnswer(keep pending, answer idp.Answer) (string, error) {
	query := answer.Query
	if answer.Method != http.MethodGet || len(answer.Form) > 0 && !sameValues(answer.Form, query) {
		return "", idp.Reject("malformed", "the answer must come by redirect")
	}
	for _, name := range []string{"state", "iss", "code", "error"} {
		if len(query[name]) > 1 {
			return "", idp.Reject("malformed", "the answer has several values of %s", name)
		}
	}
	if subtle.ConstantTimeCompare([]byte(hashText(query.Get("state"))), []byte(keep.State)) != 1 {
		return "", idp.Reject("state", "the answer belongs to another sign-in")
	}
	if query.Has("iss") && hostOf(query.Get("iss")) != hostOf(p.client.Endpoint.AuthURL) {
		return "", idp.Reject("iss", "the answer is of issuer %.128q, not of %s", query.Get("iss"), hostOf(p.client.Endpoint.AuthURL))
	}
	switch fault := query.Get("error"); {
	case fault == "access_denied":
		return "", idp.Reject("access-denied", "the provider or the person refused")
	case query.Has("error"):
		return "", idp.Reject("idp-error", "the provider answered %s", errorCode(fault))
	case query.Get("code") == "" || len(query.Get("code")) > 4096:
		return "", idp.Reject("malformed", "the answer has no code, or one that is too long")
	}
	return query.Get("code"), nil
}

// redeem exchanges the code for an access token.
func (p *Provider) redeem(ctx context.Context, code, verifier string) (string, error) {
	ctx = context.WithValue(ctx, oauth.HTTPClient, p.fetch.HTTPClient())
	token, err := p.client.Exchange(ctx, code, oauth.VerifierOption(verifier))
	var answer *oauth.RetrieveError
	switch {
	case errors.As(err, &answer):
		// The text of this error holds the provider's whole answer.
		return "", p.judgeRefusal(answer)
	case err != nil:
		return "", fmt.Errorf("token endpoint: %w: %w", idp.ErrUnavailable, bare(err))
	case token.Type() != "Bearer":
		return "", idp.Reject("malformed", "the token answer is of type %s, not bearer", errorCode(token.TokenType))
	}
	return token.AccessToken, nil
}

// refusals are the error codes that blame the code; everything else is the fault of
// the configuration or of the provider.
func refusals() []string { return []string{"invalid_grant", "bad_verification_code"} }

// judgeRefusal tells a refused code from a provider that is broken, or that does
// not know us. Facebook's error is an object with a number.
func (p *Provider) judgeRefusal(answer *oauth.RetrieveError) error {
	var graph struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(answer.Body, &graph)
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	switch {
	case slices.Contains(refusals(), answer.ErrorCode) || answer.ErrorCode == "" && graph.Error.Code == 100:
		return idp.Reject("code", "the provider refused the code")
	case answer.ErrorCode == "unverified_user_email":
		return idp.Reject("email-unverified", "the provider wants the person to verify their address there first")
	case answer.ErrorCode != "":
		return fmt.Errorf("token endpoint: %w: the provider refuses client %q, its secret or its redirect URI (%s)", idp.ErrUnavailable, p.client.ClientID, errorCode(answer.ErrorCode))
	case graph.Error.Code != 0:
		return fmt.Errorf("token endpoint: %w: the provider refuses client %q or its secret (error %d)", idp.ErrUnavailable, p.client.ClientID, graph.Error.Code)
	}
	return fmt.Errorf("token endpoint: %w: the answer is HTTP status %d", idp.ErrUnavailable, status)
}

// errorCode makes an error code of the provider fit to be written down.
func errorCode(text string) string {
	plain := func(r rune) bool { return r > ' ' && r < 0x7f && !strings.ContainsRune(`"'<>\`, r) }
	if text == "" || len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return "an unreadable code"
	}
	return text
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameValues reports whether a form holds the query only, as net/http's Form does for a GET.
func sameValues(form, query url.Values) bool {
	for name, values := range form {
		if !slices.Equal(values, query[name]) {
			return false
		}
	}
	return true
}
