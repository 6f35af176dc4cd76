package devaws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
)

const (
	fetchTimeout = 5 * time.Second
	maxFetched   = 1 << 20
	tokenSkew    = 5 * time.Minute
)

// OIDCProvider is an OpenID Connect provider that an account knows. Its address
// may have a port and be plain http, which IAM would not take.
type OIDCProvider struct {
	Account   string
	URL       string // the issuer, exactly
	Audiences []string
}

// ARN is the provider's ARN.
func (p OIDCProvider) ARN() string {
	_, name, _ := strings.Cut(p.URL, "://")
	return "arn:aws:iam::" + p.Account + ":oidc-provider/" + name
}

type oidcProvider struct {
	OIDCProvider
	name string // the address without scheme: the prefix of condition keys
}

func (a *AWS) addOIDC(p OIDCProvider) error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" {
		return fmt.Errorf("OIDC provider %q: want an issuer's URL", p.URL)
	}
	if _, ok := a.accounts[p.Account]; !ok || len(p.Audiences) == 0 {
		return fmt.Errorf("OIDC provider %s: want one of the accounts and an audience", p.URL)
	}
	_, name, _ := strings.Cut(p.URL, "://")
	a.oidc[p.ARN()] = &oidcProvider{p, name}
	return nil
}

// idToken holds the claims that STS reads.
type idToken struct {
	Issuer     string          `json:"iss"`
	Subject    string          `json:"sub"`
	Audience   audience        `json:"aud"`
	Authorized string          `json:"azp"`
	Methods    []string        `json:"amr"`
	Expires    *float64        `json:"exp"`
	IssuedAt   *float64        `json:"iat"`
	NotBefore  *float64        `json:"nbf"`
	Tags       json.RawMessage `json:"https://aws.amazon.com/tags"`
	Source     string          `json:"https://aws.amazon.com/source_identity"`
	Roles      []string        `json:"https://aws.amazon.com/roles"`
}

// audience is one text or a list.
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

func badToken(message string) error { return stswire.Fail("InvalidIdentityToken", message) }

var errNotValidated = badToken("The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.")

// webIdentity answers AssumeRoleWithWebIdentity: provider, signature by the keys
// that the issuer publishes, claims, then the role's trust policy.
func (a *AWS) webIdentity(r *http.Request, call *stswire.Call) (stswire.Answer, error) {
	op, err := call.AssumeRoleWithWebIdentity()
	if err != nil {
		return nil, err
	}
	arn, err := iam.ParseRoleARN(op.RoleARN)
	if err != nil {
		return nil, stswire.Fail("ValidationError", "Request ARN is invalid")
	}
	token, provider, err := a.readToken(r.Context(), op.Token.Reveal(), arn.Account)
	if err != nil {
		a.log.InfoContext(r.Context(), "web identity refused", "role", arn.String(), "reason", err.Error())
		return nil, err
	}
	order := stswire.AssumeRole{
		RoleARN: op.RoleARN, RoleSessionName: op.RoleSessionName, SourceIdentity: token.Source,
		DurationSeconds: op.DurationSeconds, Policy: op.Policy, PolicyARNs: op.PolicyARNs,
	}
	if order.Tags, order.TransitiveTagKeys, err = token.tags(); err != nil {
		return nil, err
	}
	who := caller{partition: arn.Partition, account: arn.Account, federated: provider.ARN(), userID: provider.ARN()}
	granted := token.Audience[0]
	if token.Authorized != "" {
		granted = token.Authorized
	}
	extra := keys{provider.name + ":aud": {granted}, provider.name + ":oaud": token.Audience, provider.name + ":sub": {token.Subject}}
	if len(token.Methods) > 0 {
		extra[provider.name+":amr"] = token.Methods
	}
	if len(token.Roles) > 0 {
		if !slices.Contains(token.Roles, op.RoleARN) {
			return nil, notAuthorized(who, "sts:AssumeRoleWithWebIdentity", arn)
		}
		extra["sts:roleauthorizedbyidp"] = []string{"true"}
	}
	lower := keys{}
	for name, values := range extra {
		lower[strings.ToLower(name)] = values
	}
	target, err := a.trusted(r, "", who, arn, order, "sts:AssumeRoleWithWebIdentity", lower)
	if err != nil {
		return nil, err
	}
	opened, err := a.open(target, who, order, time.Duration(op.DurationSeconds)*time.Second)
	if err != nil {
		return nil, err
	}
	return stswire.WebIdentityResult{AssumeRoleResult: opened, Subject: token.Subject, Audience: granted, Provider: provider.ARN()}, nil
}

// readToken verifies a token: known issuer, signature, then every claim.
func (a *AWS) readToken(ctx context.Context, compact, account string) (idToken, *oidcProvider, error) {
	var token idToken
	parsed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512})
	if err != nil {
		return token, nil, badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	if json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &token) != nil {
		return token, nil, badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	var provider *oidcProvider
	for _, p := range a.oidc {
		if p.Account == account && p.URL == token.Issuer {
			provider = p
		}
	}
	if provider == nil {
		return token, nil, badToken("No OpenIDConnect provider found in your account for " + token.Issuer)
	}
	set, err := a.keysOf(ctx, provider.URL)
	if err != nil {
		a.log.InfoContext(ctx, "keys of an issuer", "issuer", provider.URL, "error", err)
		return token, nil, badToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	matching := set.Key(parsed.Signatures[0].Header.KeyID)
	if len(matching) != 1 {
		return token, nil, errNotValidated
	}
	payload, err := parsed.Verify(matching[0].Key)
	if err != nil {
		return token, nil, errNotValidated
	}
	token = idToken{}
	if json.Unmarshal(payload, &token) != nil {
		return token, nil, errNotValidated
	}
	return token, provider, a.judgeToken(token, provider)
}

func (a *AWS) judgeToken(token idToken, provider *oidcProvider) error {
	for name, missing := range map[string]bool{
		"sub": token.Subject == "", "aud": len(token.Audience) == 0, "iat": token.IssuedAt == nil, "exp": token.Expires == nil,
	} {
		if missing {
			return badToken("Missing a required claim: " + name)
		}
	}
	for _, at := range []*float64{token.Expires, token.IssuedAt, token.NotBefore} {
		if at != nil && *at != math.Trunc(*at) {
			return badToken("Invalid timestamp in token claims.")
		}
	}
	granted := token.Authorized
	if granted == "" {
		if len(token.Audience) > 1 {
			return badToken("Token audience contains more than one audience while authorized party is not present")
		}
		granted = token.Audience[0]
	}
	if !slices.Contains(provider.Audiences, granted) {
		return errNotValidated
	}
	now, skew := float64(a.now().Unix()), tokenSkew.Seconds()
	switch {
	case now-skew >= *token.Expires:
		return stswire.Fail("ExpiredTokenException", fmt.Sprintf("Token expired: current date/time %.0f must be before the expiration date/time %.0f", now, *token.Expires))
	case *token.IssuedAt > now+skew:
		return badToken(fmt.Sprintf("Token issued in the future: %.0f", *token.IssuedAt))
	case token.NotBefore != nil && *token.NotBefore > now+skew:
		return badToken(fmt.Sprintf("Token not yet valid: current date/time %.0f must be after or equal to the not-before date/time %.0f", now, *token.NotBefore))
	}
	return nil
}

// tags are the session tags of a token, each with one value.
func (t idToken) tags() ([]iam.Tag, []string, error) {
	if len(t.Tags) == 0 {
		return nil, nil, nil
	}
	var claim struct {
		Principal  map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys"`
	}
	if err := strictJSON(t.Tags, &claim); err != nil {
		return nil, nil, badToken("The tags in the token are not of the required form.")
	}
	return oneValueEach(claim.Principal, claim.Transitive)
}

// oneValueEach turns attributes into session tags in the order of their keys.
func oneValueEach(values map[string][]string, transitive []string) ([]iam.Tag, []string, error) {
	var tags []iam.Tag
	for key, list := range values {
		if len(list) != 1 || iam.CheckTag(key, list[0]) != nil {
			return nil, nil, badToken("A session tag has not exactly one value, or one that no tag may have.")
		}
		tags = append(tags, iam.Tag{Key: key, Value: list[0]})
	}
	slices.SortFunc(tags, func(a, b iam.Tag) int { return strings.Compare(a.Key, b.Key) })
	for i := range tags {
		if i > 0 && strings.EqualFold(tags[i].Key, tags[i-1].Key) {
			return nil, nil, badToken("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
	}
	return tags, transitive, nil
}

// keysOf fetches an issuer's keys by its discovery document, each time anew.
func (a *AWS) keysOf(ctx context.Context, issuer string) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	var discovery struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := a.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return set, err
	}
	if discovery.Issuer != issuer {
		return set, fmt.Errorf("the discovery document is of %q", discovery.Issuer)
	}
	return set, a.get(ctx, discovery.JWKS, &set)
}

func (a *AWS) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := a.fetch.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", address, res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxFetched+1))
	if err == nil && len(data) > maxFetched {
		err = errors.New(address + " is too large")
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
