package assemble

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rolecall/rolecall/idp/idptest"
)

const (
	ours     = "rolecall-client"
	ourURL   = "https://sso.example.com"
	contoso  = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	entra    = "https://login.microsoftonline.com/" + contoso + "/v2.0"
	pool     = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example"
	realm    = "https://keycloak.example.com/realms/staff"
	actions  = "https://token.actions.githubusercontent.com"
	eks      = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
	spire    = "https://spire.example.org"
	octo     = "repo:octo-org/octo-repo:ref:refs/heads/main"
	jsmith   = "110169484474386276334"
	deployer = "system:serviceaccount:ci:deployer"
)

var vectorTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// vector is how a file was made: claims of a shape that a provider documents, changed.
type vector struct {
	name, sentence string
	provider       string // keys of the provider's section
	claims, change map[string]any
	want           verdict
}

// makeVectors signs each with keys that are thrown away.
func makeVectors(t *testing.T) {
	t.Helper()
	for _, v := range vectors() {
		op := idptest.StartOP(t, func() time.Time { return vectorTime })
		if v.claims["iss"] == spire {
			op.SetKeys(idptest.NewOPKey(t, jose.ES256))
		}
		claims := maps.Clone(v.claims)
		maps.Copy(claims, v.change)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		v.want.At = vectorTime
		says, err := json.MarshalIndent(v.want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		archive := &txtar.Archive{Comment: []byte(v.sentence + "\n"), Files: []txtar.File{
			{Name: "rolecall.yaml", Data: fmt.Appendf(nil, "server: {url: %s}\nproviders:\n  - {name: it, type: oidc, jwks_file: keys.json, %s}\n", ourURL, v.provider)},
			{Name: "keys.json", Data: append(op.JWKS(), '\n')},
			{Name: "token.jwt", Data: []byte(op.Sign(op.Key(), claims, nil) + "\n")},
			{Name: "verdict.json", Data: append(says, '\n')},
		}}
		if err := os.WriteFile(filepath.Join(vectorFolder, v.name+".txtar"), txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func accepted(username, subject string, groups ...string) verdict {
	return verdict{Username: username, Subject: subject, Groups: groups}
}

func because(reason string) verdict { return verdict{Reason: reason} }

func vectors() []vector {
	var all []vector
	for _, list := range [][]vector{googleVectors(), appleVectors(), microsoftVectors(), companyVectors(), ciVectors(), workloadVectors()} {
		all = append(all, list...)
	}
	return all
}

func googleVectors() []vector {
	claims := idptest.Google("https://accounts.google.com", ours, vectorTime)
	provider := "preset: google, client_id: " + ours + ", hosted_domains: [example.com]"
	return []vector{
		{"google-workspace", "A person of a Workspace organization.", provider, claims, nil, accepted("jsmith@example.com", jsmith)},
		{"google-issuer-without-scheme", "Google's issuer without https://, as some of its tokens have it.", provider, claims, map[string]any{"iss": "accounts.google.com"}, accepted("jsmith@example.com", jsmith)},
		{"google-consumer", "A consumer's account whose address is one of the company's: no hd.", provider, claims, map[string]any{"hd": nil}, because("hosted-domain")},
		{"google-other-organization", "An account of another organization.", provider, claims, map[string]any{"hd": "evil.example"}, because("hosted-domain")},
		{"google-unverified", "An address that Google has not verified.", provider, claims, map[string]any{"email_verified": false}, because("email-unverified")},
		{"google-other-client", "A token that another application asked for.", provider, claims, map[string]any{"aud": "another-client", "azp": "another-client"}, because("audience")},
	}
}

func appleVectors() []vector {
	claims := map[string]any{
		"iss": "https://appleid.apple.com", "aud": ours, "sub": "001451.3dc436155xxxxxxxxxxxxxxxxxxxx59f.0447", "iat": vectorTime.Unix(), "exp": vectorTime.Add(24 * time.Hour).Unix(),
		"email": "dpdcnf87nu@privaterelay.appleid.com", "email_verified": "true", "is_private_email": "true", "auth_time": vectorTime.Unix(), "nonce_supported": true, "real_user_status": 2,
	}
	sub := claims["sub"].(string)
	provider := "preset: apple, client_id: " + ours
	return []vector{
		{"apple", "A person behind a relay address; the subject is the name.", provider, claims, nil, accepted(sub, sub)},
		{"apple-email", "email_verified as text, as Apple sends it.", provider + ", username: {claim: email}", claims, nil, accepted("dpdcnf87nu@privaterelay.appleid.com", sub)},
		{"apple-unverified", "email_verified as the text false.", provider + ", username: {claim: email}", claims, map[string]any{"email_verified": "false"}, because("email-unverified")},
		{"apple-no-email", "A managed account without an address.", provider + ", username: {claim: email}", claims, map[string]any{"email": nil}, because("username")},
	}
}

func microsoftVectors() []vector {
	claims := idptest.Microsoft(entra, contoso, ours, vectorTime)
	oid, sub, groups := claims["oid"].(string), claims["sub"].(string), claims["groups"].([]string)
	provider := "preset: microsoft, client_id: " + ours + ", tenant: " + contoso
	several := "preset: microsoft, client_id: " + ours + ", subject: {claim: oid}, tenants: [" + contoso + ", 3fa85f64-5717-4562-b3fc-2c963f66afa6]"
	const stranger = "11111111-2222-3333-4444-555555555555"
	return []vector{
		{"microsoft-tenant", "A person of the tenant.", provider, claims, nil, accepted(oid, sub, groups...)},
		{"microsoft-several-tenants", "A person of one of several tenants; the subject is TENANT/OID.", several, claims, nil, accepted(oid, contoso+"/"+oid, groups...)},
		{"microsoft-access", "An access token for an API that the application offers.", provider, claims, map[string]any{"scp": "access_as_user", "azp": "another-client", "azpacr": "1"}, because("typ")},
		{"microsoft-tid", "The tenant's issuer with the tid of another.", provider, claims, map[string]any{"tid": stranger}, because("tenant")},
		{"microsoft-other-tenant", "A person of a tenant that is not listed.", several, claims, map[string]any{"iss": "https://login.microsoftonline.com/" + stranger + "/v2.0", "tid": stranger}, because("issuer")},
		{"microsoft-pattern", "The pattern of the discovery document as an issuer.", several, claims, map[string]any{"iss": "https://login.microsoftonline.com/{tenantid}/v2.0"}, because("issuer")},
		{"microsoft-overage", "More than 200 groups: a pointer in their place, which is not followed.", provider, claims, map[string]any{
			"groups": nil, "_claim_names": map[string]any{"groups": "src1"},
			"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.windows.net/" + contoso + "/users/" + oid + "/getMemberObjects"}},
		}, because("groups-overage")},
	}
}

func companyVectors() []vector {
	person := func(issuer string, more map[string]any) map[string]any {
		claims := map[string]any{
			"iss": issuer, "aud": ours, "sub": "00u1abcd2EFGHIJKL345", "iat": vectorTime.Unix(), "exp": vectorTime.Add(time.Hour).Unix(), "auth_time": vectorTime.Unix(),
			"email": "alice@example.com", "email_verified": true, "preferred_username": "alice", "amr": []string{"pwd", "mfa"},
		}
		maps.Copy(claims, more)
		return claims
	}
	cognito := person(pool, map[string]any{"token_use": "id", "cognito:username": "alice", "cognito:groups": []string{"platform"}, "email_verified": "true"})
	keycloak := person(realm, map[string]any{"typ": "ID", "azp": ours, "realm_access": map[string]any{"roles": []string{"offline_access", "platform"}}, "resource_access": map[string]any{"rolecall": map[string]any{"roles": []string{"deploy"}}}})
	auth0 := person("https://example.eu.auth0.com/", map[string]any{"sub": "auth0|5f7c8ec7c33c6c004bbafe82", "https://example.com/groups": []string{"platform"}})
	at := "client_id: " + ours + ", issuer: "
	return []vector{
		{"cognito", "An ID token of a user pool.", "preset: cognito, " + at + pool, cognito, nil, accepted("alice", "00u1abcd2EFGHIJKL345", "platform")},
		{"cognito-access", "An access token of the pool, by the same keys.", "preset: cognito, " + at + pool, cognito, map[string]any{"token_use": "access", "aud": nil, "client_id": ours}, because("typ")},
		{"cognito-without-use", "A token that does not say what it is for.", "preset: cognito, " + at + pool, cognito, map[string]any{"token_use": nil}, because("typ")},
		{"okta", "A person with groups.", "preset: okta, " + at + "https://example.okta.com", person("https://example.okta.com", map[string]any{"groups": []string{"Everyone", "platform"}}), nil, accepted("alice@example.com", "00u1abcd2EFGHIJKL345", "Everyone", "platform")},
		{"auth0", "Groups under a name that is a URL.", "preset: auth0, " + at + "https://example.eu.auth0.com/, groups: {claim: https://example.com/groups}", auth0, nil, accepted("alice@example.com", "auth0|5f7c8ec7c33c6c004bbafe82", "platform")},
		{"keycloak", "Realm roles inside an object.", "preset: keycloak, " + at + realm, keycloak, nil, accepted("alice", "00u1abcd2EFGHIJKL345", "offline_access", "platform")},
		{"keycloak-client-roles", "Roles of one client.", "preset: keycloak, groups: {claim: /resource_access/rolecall/roles}, " + at + realm, keycloak, nil, accepted("alice", "00u1abcd2EFGHIJKL345", "deploy")},
		{"keycloak-not-an-object", "Realm roles that cannot be read.", "preset: keycloak, " + at + realm, keycloak, map[string]any{"realm_access": "platform"}, because("malformed")},
		{"keycloak-access", "An access token that a mapper gave our client as audience.", "preset: keycloak, " + at + realm, keycloak, map[string]any{"typ": "Bearer"}, because("typ")},
		{"keycloak-other-realm", "Another realm of the same server.", "preset: keycloak, " + at + realm, keycloak, map[string]any{"iss": "https://keycloak.example.com/realms/master"}, because("issuer")},
	}
}

func ciVectors() []vector {
	github, gitlab := idptest.GitHubActions(actions, ourURL, vectorTime), idptest.GitLabCI("https://gitlab.com", ourURL, vectorTime)
	provider := `preset: github-actions, require: 'claims.repository_owner_id == "65" && claims.sub == "` + octo + `"'`
	environment := `preset: github-actions, require: 'claims.repository_id == "74" && claims.environment == "production"'`
	lab := `preset: gitlab-ci, require: 'claims.project_id == "20" && claims.ref_protected == "true"'`
	return []vector{
		{"github-actions", "A job on the branch main of one repository.", provider, github, nil, accepted(octo, octo)},
		{"github-actions-immutable", "A repository whose subject has the ids of owner and repository, as those made since July 2026.", `preset: github-actions, require: 'claims.sub.startsWith("repo:octo-org@65/octo-repo@74:")'`, github,
			map[string]any{"sub": "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"}, accepted("repo:octo-org@65/octo-repo@74:ref:refs/heads/main", "repo:octo-org@65/octo-repo@74:ref:refs/heads/main")},
		{"github-actions-other-repository", "Another repository of the organization.", provider, github, map[string]any{"sub": "repo:octo-org/other:ref:refs/heads/main", "repository": "octo-org/other", "repository_id": "75"}, because("require")},
		{"github-actions-pull-request", "A pull request of the repository.", provider, github, map[string]any{"sub": "repo:octo-org/octo-repo:pull_request", "event_name": "pull_request", "ref": "refs/pull/7/merge"}, because("require")},
		{"github-actions-name-taken", "The names of a repository that has moved, at another owner.", provider, github, map[string]any{"repository_owner_id": "66"}, because("require")},
		{"github-actions-pattern", "A subject with a star.", provider, github, map[string]any{"sub": "repo:octo-org/*"}, because("require")},
		{"github-actions-no-environment", "A job in no environment.", environment, github, nil, because("require")},
		{"github-actions-default-audience", "The audience that GitHub gives unless told otherwise.", provider, github, map[string]any{"aud": "https://github.com/octo-org"}, because("audience")},
		{"github-actions-aws-audience", "A token for AWS.", provider, github, map[string]any{"aud": "sts.amazonaws.com"}, because("audience")},
		{"gitlab-ci", "A job on a protected branch.", lab, gitlab, nil, accepted(gitlab["sub"].(string), gitlab["sub"].(string))},
		{"gitlab-ci-unprotected", "A branch that anybody may push to.", lab, gitlab, map[string]any{"ref_protected": "false", "ref": "feature"}, because("require")},
		{"gitlab-ci-person", "The ID token of a person who signed in with GitLab.", lab, gitlab, map[string]any{"sub": "4711", "project_id": nil, "project_path": nil, "pipeline_id": nil}, because("typ")},
	}
}

func workloadVectors() []vector {
	const internal = "https://kubernetes.default.svc.cluster.local"
	cluster, amazon, svid := idptest.Kubernetes(internal, ourURL, vectorTime), idptest.Kubernetes(eks, ourURL, vectorTime), idptest.SPIFFE(spire, ourURL, vectorTime)
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:ci"}
	kubernetes := "preset: kubernetes, issuer: " + internal
	spiffe := "preset: spiffe, trust_domain: example.org, issuer: " + spire
	const workload = "spiffe://example.org/ns/ci/sa/deployer"
	return []vector{
		{"kubernetes", "A projected token of a service account.", kubernetes, cluster, nil, accepted(deployer, deployer, groups...)},
		{"kubernetes-eks", "The same at EKS.", "preset: kubernetes, issuer: " + eks, amazon, nil, accepted(deployer, deployer, groups...)},
		{"kubernetes-two-namespaces", "sub and the claim kubernetes.io are not about the same.", kubernetes, cluster, map[string]any{"sub": "system:serviceaccount:kube-system:deployer"}, because("subject")},
		{"kubernetes-api-server", "A token for the API server.", kubernetes, cluster, map[string]any{"aud": []string{internal}}, because("audience")},
		{"kubernetes-other-cluster", "A token of another cluster.", kubernetes, cluster, map[string]any{"iss": eks}, because("issuer")},
		{"kubernetes-person", "A subject that is no service account.", kubernetes, cluster, map[string]any{"sub": "kubernetes-admin", "kubernetes.io": nil}, because("subject")},
		{"spiffe", "A JWT-SVID.", spiffe, svid, nil, accepted(workload, workload)},
		{"spiffe-other-trust-domain", "A workload of another trust domain.", spiffe, svid, map[string]any{"sub": "spiffe://evil.example/ns/ci/sa/deployer"}, because("trust-domain")},
		{"spiffe-dots", "A path that climbs.", spiffe, svid, map[string]any{"sub": "spiffe://example.org/ns/ci/../admin"}, because("subject")},
		{"spiffe-without-issuer", "An SVID of a SPIRE server that was not told its jwt_issuer.", spiffe, svid, map[string]any{"iss": nil}, because("issuer")},
	}
}
