package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
)

func awsRole() iam.RoleARN {
	return iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Admin"}
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

func TestATokenForAWSSaysEverythingInClaims(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: newKeys(t), AWSKeys: newKeys(t)})
	token, err := i.MintAWSToken(t.Context(), issuer.AWSToken{
		Audience: "sts.amazonaws.com", Provider: "corp", Subject: "u-1", Role: awsRole(), SourceIdentity: "corp=u-1",
		Tags: []iam.Tag{{Key: "team", Value: "core"}, {Key: "unit", Value: ""}}, TransitiveTags: []string{"team"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := awsClaimsOf(t, token)
	if id, _ := got["jti"].(string); len(id) < 20 {
		t.Errorf("jti %q", id)
	}
	delete(got, "jti")
	want := map[string]any{
		"iss": "https://sso.example.com", "sub": "corp=u-1", "aud": "sts.amazonaws.com",
		"iat": float64(now.Unix()), "exp": float64(now.Add(5 * time.Minute).Unix()),
		"https://aws.amazon.com/source_identity": "corp=u-1",
		"https://aws.amazon.com/roles":           []any{"arn:aws:iam::111122223333:role/Admin"},
		"https://aws.amazon.com/tags": map[string]any{
			"principal_tags": map[string]any{"team": []any{"core"}, "unit": []any{""}}, "transitive_tag_keys": []any{"team"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATokenForAWSWithoutTagsHasNoClaimOfThem(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: newKeys(t), AWSKeys: newKeys(t)})
	token, err := i.MintAWSToken(t.Context(), issuer.AWSToken{Audience: "a", Provider: "corp", Subject: "ü" + strings.Repeat("x", 300), Role: awsRole()})
	if err != nil {
		t.Fatal(err)
	}
	claims := awsClaimsOf(t, token)
	if _, there := claims["https://aws.amazon.com/tags"]; there {
		t.Error("tags")
	}
	if sub, _ := claims["sub"].(string); !strings.HasPrefix(sub, "corp~") || len(sub) > 255 {
		t.Errorf("sub %q", sub)
	}
}

// Whoever could make the ID keys sign must still not reach AWS, and the other way round.
func TestTokensForAWSHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	ids, aws := newKeys(t), newKeys(t)
	aws.public.Keys[0].KeyID = "aws1"
	i := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: ids, AWSKeys: aws})
	document, err := i.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), `"kid":"k1"`) || !strings.Contains(string(document), `"kid":"aws1"`) {
		t.Errorf("%s", document)
	}
	ids.err = errors.New("these must not sign it")
	if _, err := i.MintAWSToken(t.Context(), issuer.AWSToken{Audience: "a", Provider: "corp", Subject: "1", Role: awsRole()}); err != nil {
		t.Error(err)
	}
	without := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: newKeys(t)})
	if _, err := without.MintAWSToken(t.Context(), issuer.AWSToken{Audience: "a", Provider: "corp", Subject: "1", Role: awsRole()}); err == nil {
		t.Error("signed without keys for AWS")
	}
}
