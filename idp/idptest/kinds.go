package idptest

import (
	"encoding/json"
	"strconv"
	"time"
)

// JWKS is the published key set as a file would hold it.
func (op *OP) JWKS() []byte {
	op.t.Helper()
	data, err := json.Marshal(op.jwks())
	if err != nil {
		op.t.Fatal(err)
	}
	return data
}

// The functions below give the claims of a good token, in the shape in which a
// provider documents them; iss, aud and times are the caller's.

// GitHubActions is a job of octo-org/octo-repo on its branch main.
func GitHubActions(issuer, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "aud": audience, "jti": "f2a1b0f6-0d4b-4d0c-8c61-5ad9d1f3a0c1",
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
		"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org", "repository_owner_id": "65",
		"repository_visibility": "private", "sha": "4f2c1a8be3f0c6f0f3a6d6d0b5bb9c8e8a7d6c5b", "run_id": "1658821493", "run_number": "10", "run_attempt": "2",
		"actor": "octocat", "actor_id": "12", "workflow": "deploy", "head_ref": "", "base_ref": "", "event_name": "push",
		"job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main", "job_workflow_sha": "4f2c1a8be3f0c6f0f3a6d6d0b5bb9c8e8a7d6c5b",
		"workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main", "runner_environment": "github-hosted",
	}
}

// GitLabCI is a job of my-group/my-project on its protected branch main.
func GitLabCI(issuer, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "aud": audience, "jti": "c82eeb0c-5c6f-4a33-abf5-4c474b92b558",
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Second).Unix(), "exp": now.Add(time.Hour).Unix(),
		"sub":          "project_path:my-group/my-project:ref_type:branch:ref:main",
		"namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project", "project_visibility": "private",
		"user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com", "user_access_level": "developer",
		"pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
		"runner_id": 1, "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
		"ci_config_ref_uri": "gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main", "groups_direct": []string{"mygroup/mysubgroup"},
	}
}

// Kubernetes is a projected token of the service account deployer in the namespace ci.
func Kubernetes(issuer, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "aud": []string{audience}, "sub": "system:serviceaccount:ci:deployer", "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{
			"namespace":      "ci",
			"node":           map[string]any{"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
			"pod":            map[string]any{"name": "deploy-7c9f", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
			"serviceaccount": map[string]any{"name": "deployer", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
		},
	}
}

// SPIFFE is a JWT-SVID of the workload /ns/ci/sa/deployer of example.org.
func SPIFFE(issuer, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "aud": []string{audience}, "sub": "spiffe://example.org/ns/ci/sa/deployer", "jti": strconv.FormatInt(now.Unix(), 36),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
}

// Microsoft is a person of a tenant of Entra ID, version 2.0.
func Microsoft(issuer, tenant, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "aud": audience, "tid": tenant, "ver": "2.0", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "uti": "fqiBqXLPj0eQa82S-IYFAA", "rh": "0.ARoAv4j5cvGGr0GRqy180BHbR",
		"name": "Abe Lincoln", "preferred_username": "abel@contoso.example", "email": "abel@contoso.example",
		"groups": []string{"0e9ab0bb-1c5a-4c8e-9b1f-6c1e4e1f6a01", "5b0f0c2e-7f0d-4f0e-8a57-3a5c6ab8de02"},
	}
}

// Google is a person of the Workspace organization example.com.
func Google(issuer, audience string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "azp": audience, "aud": audience, "sub": "110169484474386276334", "hd": "example.com", "email": "jsmith@example.com", "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "name": "Jane Smith", "given_name": "Jane", "family_name": "Smith",
	}
}
