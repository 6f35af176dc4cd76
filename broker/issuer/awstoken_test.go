package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
)

func orderOfAlice() issuer.AWSToken {
	return issuer.AWSToken{
		Audience: "sts.amazonaws.com", Provider: "corp", Subject: "alice", SourceIdentity: "corp=alice",
		Role: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/team/", Name: "Admin"},
		Tags: []iam.Tag{{Key: "team", Value: "platform"}, {Key: "cost", Value: "7"}}, TransitiveTags: []string{"team"},
	}
}

func awsClaimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html: tags are
// lists of one text below one claim.
func TestATokenForAWSSaysWhatAWSReads(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, issuer.Config{URL: "https://issuer.example.com", Keys: newKeys(t), AWSKeys: newKeys(t)})
	token, err := i.MintAWSToken(t.Context(), orderOfAlice())
	if err != nil {
		t.Fatal(err)
	}
	got := awsClaimsOf(t, token)
	id, _ := got["jti"].(string)
	delete(got, "jti")
	want := map[string]any{
		"iss": "https://issuer.example.com", "sub": issuer.AWSSubject("corp", "alice"), "aud": "sts.amazonaws.com",
		"iat": float64(now.Unix()), "exp": float64(now.Add(5 * time.Minute).Unix()),
		"https://aws.amazon.com/tags": map[string]any{
			"principal_tags":      map[string]any{"team": []any{"platform"}, "cost": []any{"7"}},
			"transitive_tag_keys": []any{"team"},
		},
		"https://aws.amazon.com/source_identity": "corp=alice",
		"https://aws.amazon.com/roles":           []any{"arn:aws:iam::111122223333:role/team/Admin"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := i.MintAWSToken(t.Context(), orderOfAlice()); err != nil || awsClaimsOf(t, again)["jti"] == id || len(id) < 20 {
		t.Errorf("two tokens have the id %q (%v)", id, err)
	}
}

func TestATokenForAWSWithoutTagsHasNoClaimOfThem(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, issuer.Config{URL: "https://issuer.example.com", Keys: newKeys(t), AWSKeys: newKeys(t)})
	order := orderOfAlice()
	order.Tags, order.TransitiveTags, order.SourceIdentity = nil, nil, ""
	token, err := i.MintAWSToken(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	for name := range awsClaimsOf(t, token) {
		if strings.HasSuffix(name, "/tags") || strings.HasSuffix(name, "/source_identity") {
			t.Errorf("the claim %s is there", name)
		}
	}
}

// Who gets some other token of ours can never use it at STS, and the other way
// round: each kind has keys of its own, and one key set publishes both.
func TestTokensForAWSHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	general, aws := newKeys(t), newKeys(t)
	aws.public.Keys[0].KeyID = "k-aws"
	i := newIssuer(t, issuer.Config{URL: "https://issuer.example.com", Keys: general, AWSKeys: aws})
	forAWS, err := i.MintAWSToken(t.Context(), orderOfAlice())
	if err != nil {
		t.Fatal(err)
	}
	id, err := i.MintIDToken(t.Context(), issuer.IDToken{Audience: "rolecall-cli", Provider: "corp", Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	verifies := func(token string, k *keys) bool {
		signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		_, err = signed.Verify(k.private.Public())
		return err == nil
	}
	if !verifies(forAWS, aws) || verifies(forAWS, general) || !verifies(id, general) || verifies(id, aws) {
		t.Error("a key signs both kinds of tokens")
	}
	document, err := i.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(document, &set); err != nil || len(set.Key("k1")) != 1 || len(set.Key("k-aws")) != 1 || len(set.Keys) != 2 {
		t.Errorf("%v\n%s", err, document)
	}
}

func TestWithoutKeysForItThereIsNoTokenForAWS(t *testing.T) {
	t.Parallel()
	failing := newKeys(t)
	failing.err = errors.New("the store is closed")
	for name, config := range map[string]issuer.Config{
		"no keys for AWS":          {Keys: newKeys(t)},
		"keys that cannot be read": {Keys: newKeys(t), AWSKeys: failing},
	} {
		config.URL = "https://issuer.example.com"
		if token, err := newIssuer(t, config).MintAWSToken(t.Context(), orderOfAlice()); err == nil || token != "" {
			t.Errorf("%s: %q %v", name, token, err)
		}
	}
	if _, err := newIssuer(t, issuer.Config{URL: "https://issuer.example.com", Keys: newKeys(t), AWSKeys: failing}).JWKS(t.Context()); !errors.Is(err, failing.err) {
		t.Errorf("a key set without the keys for AWS is published: %v", err)
	}
}

// A private key that a mistake put among the public ones must not be published.
func TestAPrivateKeyAmongEitherKeysIsNeverPublished(t *testing.T) {
	t.Parallel()
	leaking := newKeys(t)
	leaking.public.Keys = append(leaking.public.Keys, jose.JSONWebKey{Key: leaking.private, KeyID: "k2", Algorithm: "RS256", Use: "sig"})
	for name, config := range map[string]issuer.Config{"general": {Keys: leaking}, "AWS": {Keys: newKeys(t), AWSKeys: leaking}} {
		config.URL = "https://issuer.example.com"
		if document, err := newIssuer(t, config).JWKS(t.Context()); err == nil || document != nil {
			t.Errorf("%s: published %.60s", name, document)
		}
	}
}

// Trust policies name the sub: two people must never share one, however their
// names run together.
func TestTwoPeopleNeverShareASubjectAtAWS(t *testing.T) {
	t.Parallel()
	seen := map[string][2]string{}
	long := strings.Repeat("x", 300)
	for _, who := range [][2]string{
		{"corp", "alice"}, {"corp", "Alice"}, {"corp", "alice "}, {"corp", "=alice"}, {"corp2", "alice"}, {"corp", "alíce"}, {"corp", "ali\u0301ce"},
		{"corp", "alice\n"}, {"corp", "alice\x00"}, {"corp", ""}, {"corp", long}, {"corp", long + "y"}, {"corp", long[:250]}, {"corp", "~" + long},
	} {
		sub := issuer.AWSSubject(who[0], who[1])
		if other, taken := seen[sub]; taken {
			t.Errorf("%q and %q are both %q", who, other, sub)
		}
		seen[sub] = who
		if len(sub) > 255 || !strings.HasPrefix(sub, who[0]) || strings.ContainsFunc(sub, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is %q", who, sub)
		}
		if sub != issuer.AWSSubject(who[0], who[1]) {
			t.Errorf("%q changes", who)
		}
	}
}
