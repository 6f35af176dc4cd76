package vend_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	account     = "111122223333"
	audience    = "sts.amazonaws.com"
	samlARN     = "arn:aws:iam::" + account + ":saml-provider/rolecall"
	brokerARN   = "arn:aws:iam::999988887777:user/broker"
	brokerKey   = "AKIABROKER0000000001"
	brokerWord  = "broker/secret+key/of/forty/characters/00"
	everyAction = `"sts:AssumeRoleWithWebIdentity","sts:AssumeRoleWithSAML","sts:TagSession","sts:SetSourceIdentity"`
)

// keyStore keeps signing keys in memory.
type keyStore struct {
	mu   sync.Mutex
	rows []keys.Row
}

func (s *keyStore) AddKey(_ context.Context, row keys.Row) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, row)
	return true, nil
}

func (s *keyStore) Keys(_ context.Context, use string) (found []keys.Row, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.rows {
		if row.Use == use {
			found = append(found, row)
		}
	}
	return found, nil
}

func (s *keyStore) DropKey(context.Context, string) error { return nil }

// world is a broker's issuer on loopback and an AWS that knows it.
type world struct {
	t          *testing.T
	issuer     *issuer.Issuer
	assertions *issuer.Assertions
	ids, aws   *keys.Keys
	url, cloud string
	down       bool // the issuer publishes nothing
}

// newWorld makes the role Admin with the conditions given for the web identity,
// and for SAML.
func newWorld(t *testing.T, condition string) *world {
	t.Helper()
	w := &world{t: t}
	front := httptest.NewServer(http.HandlerFunc(w.publish))
	t.Cleanup(front.Close)
	w.url = front.URL + "/idp"
	sealer, err := keys.OpenSealer(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	of := func(use string) *keys.Keys {
		return keys.New(keys.Config{Store: &keyStore{}, Sealer: sealer, Use: use, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	}
	w.ids, w.aws = of("id"), of("aws")
	if w.issuer, err = issuer.New(issuer.Config{URL: w.url, Keys: w.ids, AWSKeys: w.aws, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	w.assertions = assertions(of("aws-saml"))
	w.serve(condition)
	return w
}

func assertions(signers *keys.Keys) *issuer.Assertions {
	return issuer.NewAssertions(issuer.AssertionConfig{
		EntityID: "https://sso.example.com/aws", Portal: "https://sso.example.com/", Now: time.Now,
		Signers: func(ctx context.Context) ([]crypto.Signer, error) { return signers.Signers(ctx, "RS256") },
	})
}

func (w *world) publish(rw http.ResponseWriter, r *http.Request) {
	var document []byte
	var err error
	switch {
	case w.down:
		http.Error(rw, "", http.StatusServiceUnavailable)
		return
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		document, err = w.issuer.Discovery(r.Context())
	default:
		document, err = w.issuer.JWKS(r.Context())
	}
	if err != nil {
		w.t.Error(err)
	}
	_, _ = rw.Write(document)
}

func (w *world) serve(condition string) {
	w.t.Helper()
	metadata, err := w.assertions.Metadata(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	w.cloud = "http://" + server.Listener.Addr().String()
	oidc := devaws.OIDCProvider{Account: account, URL: w.url, Audiences: []string{audience}}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":["` + oidc.ARN() + `","` + samlARN + `"]},"Action":[` + everyAction + `]` +
		strings.ReplaceAll(condition, "ISSUER", strings.TrimPrefix(w.url, "http://")) + `}]}`
	handler, err := devaws.New(devaws.Config{
		URL: w.cloud, Accounts: []devaws.Account{{ID: account}, {ID: "999988887777"}},
		Users: []devaws.User{{ARN: brokerARN, AccessKeyID: brokerKey, SecretAccessKey: secret.New(brokerWord)}},
		Roles: []devaws.Role{
			{ARN: w.role("Admin"), Trust: trust, MaxSessionDuration: 12 * time.Hour}, {ARN: w.role("Other"), Trust: trust},
			{ARN: w.role("Hub"), Trust: devaws.TrustPolicy("", brokerARN)}, {ARN: w.role("Spoke"), Trust: devaws.TrustPolicy("", w.role("Hub").String())},
		},
		OIDCProviders: []devaws.OIDCProvider{oidc},
		SAMLProviders: []devaws.SAMLProvider{{ARN: samlARN, Metadata: string(metadata)}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	w.t.Cleanup(server.Close)
}

func (w *world) role(name string) iam.RoleARN {
	return iam.RoleARN{Partition: "aws", Account: account, Path: "/", Name: name}
}

func (w *world) config() vend.Config {
	return vend.Config{
		Region: "eu-west-1", Endpoint: w.cloud, Timeout: 5 * time.Second,
		Credentials: credentials.NewStaticCredentialsProvider(brokerKey, brokerWord, ""),
	}
}

func (w *world) spec() vend.Spec {
	return vend.Spec{
		Role: w.role("Admin"), SessionName: "alice", SourceIdentity: "corp=u-1", Duration: 8 * time.Hour, SAMLProvider: samlARN,
		Tags: []iam.Tag{{Key: "team", Value: "core"}, {Key: "unit", Value: "a b"}}, TransitiveTags: []string{"team"},
	}
}

func (w *world) token(spec vend.Spec) issuer.AWSToken {
	return issuer.AWSToken{
		Audience: audience, Provider: "corp", Subject: "u-1", Role: spec.Role,
		Tags: spec.Tags, TransitiveTags: spec.TransitiveTags, SourceIdentity: spec.SourceIdentity,
	}
}

func (w *world) webIdentity() vend.Vendor {
	w.t.Helper()
	v, err := vend.NewWebIdentity(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func proof(text string, err error) func(context.Context) (secret.String, error) {
	return func(context.Context) (secret.String, error) { return secret.New(text), err }
}

// whoAmI asks the cloud whose credentials these are.
func (w *world) whoAmI(c iam.Credentials) string {
	w.t.Helper()
	client := sts.New(sts.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(w.cloud),
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal()),
	})
	out, err := client.GetCallerIdentity(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.Arn)
}

func refusedWith(t *testing.T, err error, code string) {
	t.Helper()
	refused, ok := errors.AsType[*vend.Refused](err)
	if !ok || refused.Code != code {
		t.Errorf("want %s, got %v", code, err)
	}
}

const strict = `,"Condition":{"StringEquals":{"ISSUER:aud":"sts.amazonaws.com","sts:SourceIdentity":"corp=u-1","aws:RequestTag/unit":"a b","sts:TransitiveTagKeys":"team","sts:RoleSessionName":"alice"},"StringLike":{"ISSUER:sub":"corp=*"}}`

func TestWebIdentityCarriesEverythingInTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strict)
	spec := w.spec()
	spec.Proof = proof(w.issuer.MintAWSToken(t.Context(), w.token(spec)))
	got, err := w.webIdentity().Vend(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if arn := w.whoAmI(got.Credentials); arn != "arn:aws:sts::111122223333:assumed-role/Admin/alice" || arn != got.Credentials.AssumedRoleARN {
		t.Error(arn)
	}
	if left := time.Until(got.Credentials.Expires); left < 7*time.Hour+50*time.Minute || left > 8*time.Hour {
		t.Errorf("it lasts %s: web identity is no chaining", left)
	}
}

func TestATokenIsGoodForItsRoleItsAudienceAndItsPeopleOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strict)
	for name, c := range map[string]struct {
		change func(*vend.Spec, *issuer.AWSToken)
		code   string
	}{
		"another role that trusts the same": {func(s *vend.Spec, _ *issuer.AWSToken) { s.Role = w.role("Other"); s.Duration = time.Hour }, "AccessDenied"},
		"a role that is not there":          {func(s *vend.Spec, k *issuer.AWSToken) { s.Role = w.role("Nobody"); k.Role = s.Role }, "AccessDenied"},
		"another audience":                  {func(_ *vend.Spec, k *issuer.AWSToken) { k.Audience = "rolecall-cli" }, "InvalidIdentityToken"},
		"a person of another provider":      {func(_ *vend.Spec, k *issuer.AWSToken) { k.Provider = "other" }, "AccessDenied"},
		"another source identity":           {func(_ *vend.Spec, k *issuer.AWSToken) { k.SourceIdentity = "corp=u-2" }, "AccessDenied"},
		"no source identity":                {func(_ *vend.Spec, k *issuer.AWSToken) { k.SourceIdentity = "" }, "AccessDenied"},
		"another tag":                       {func(_ *vend.Spec, k *issuer.AWSToken) { k.Tags = []iam.Tag{{Key: "unit", Value: "x"}} }, "AccessDenied"},
		"another session name":              {func(s *vend.Spec, _ *issuer.AWSToken) { s.SessionName = "bob" }, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := w.spec()
			token := w.token(spec)
			c.change(&spec, &token)
			spec.Proof = proof(w.issuer.MintAWSToken(t.Context(), token))
			_, err := w.webIdentity().Vend(t.Context(), spec)
			refusedWith(t, err, c.code)
		})
	}
}

// Whoever can get some other token of ours, or change one, gets nothing at STS.
func TestNoOtherTokenCountsAtSTS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	good, err := w.issuer.MintAWSToken(t.Context(), w.token(w.spec()))
	if err != nil {
		t.Fatal(err)
	}
	idToken, err := w.issuer.MintIDToken(t.Context(), issuer.IDToken{Audience: "rolecall-cli", Provider: "corp", Subject: "u-1"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	changed := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), "corp=u-1", "corp=u-2", 1)))
	foreign := issuerOf(t, "https://elsewhere.example.com")
	old := issuerAt(t, w, time.Now().Add(-11*time.Minute))
	for name, c := range map[string]struct{ token, code string }{
		"an ID token":                    {idToken, "InvalidIdentityToken"},
		"a changed subject":              {parts[0] + "." + changed + "." + parts[2], "InvalidIdentityToken"},
		"no signature":                   {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "InvalidIdentityToken"},
		"something else":                 {"abcd", "InvalidIdentityToken"},
		"of an issuer that is not known": {foreign, "InvalidIdentityToken"},
		"one that has expired":           {old, "ExpiredTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := w.spec()
			spec.Proof = proof(c.token, nil)
			_, err := w.webIdentity().Vend(t.Context(), spec)
			if refused, ok := errors.AsType[*vend.Refused](err); c.code == "ExpiredTokenException" && !ok {
				return // the broker's own keys or clock: unavailable
			} else if !ok || refused.Code != c.code {
				t.Errorf("%v", err)
			}
		})
	}
}

func issuerOf(t *testing.T, url string) string {
	t.Helper()
	return mint(t, url, keysOf(t), time.Now)
}

// issuerAt mints with w's keys and another clock.
func issuerAt(t *testing.T, w *world, at time.Time) string {
	t.Helper()
	return mint(t, w.url, w.aws, func() time.Time { return at })
}

func mint(t *testing.T, url string, signing *keys.Keys, now func() time.Time) string {
	t.Helper()
	i, err := issuer.New(issuer.Config{URL: url, Keys: signing, AWSKeys: signing, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	token, err := i.MintAWSToken(t.Context(), issuer.AWSToken{
		Audience: audience, Provider: "corp", Subject: "u-1", Role: iam.RoleARN{Partition: "aws", Account: account, Path: "/", Name: "Admin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keysOf(t *testing.T) *keys.Keys {
	t.Helper()
	sealer, err := keys.OpenSealer(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return keys.New(keys.Config{Store: &keyStore{}, Sealer: sealer, Use: "x", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
}

func TestAProofThatCannotBeMadeIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	spec := w.spec()
	spec.Proof = proof("", errors.New("the store is down"))
	if _, err := w.webIdentity().Vend(t.Context(), spec); !errors.Is(err, vend.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	spec.Proof = nil
	if _, err := w.webIdentity().Vend(t.Context(), spec); err == nil {
		t.Error("an order without proof")
	}
	w.down = true
	spec.Proof = proof(w.issuer.MintAWSToken(t.Context(), w.token(spec)))
	_, err := w.webIdentity().Vend(t.Context(), spec)
	refusedWith(t, err, "InvalidIdentityToken")
}
