package oidc

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

const (
	githubIssuer  = "https://token.actions.githubusercontent.com"
	clusterIssuer = "https://kubernetes.default.svc.cluster.local"
	spireIssuer   = "https://spire.example.org"
)

func TestAGitHubActionsJobOfOneRepositoryAndBranch(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("github-actions", githubIssuer,
		requiring(`claims.repository_id == "74" && claims.repository_owner_id == "65" && claims.sub == "repo:octo-org/octo-repo:ref:refs/heads/main"`)))
	claims := idptest.GitHubActions(githubIssuer, audience, p.clock.now())
	login, err := p.brings(claims)
	if err != nil || login.Identity.Username != "repo:octo-org/octo-repo:ref:refs/heads/main" || len(login.Identity.Groups) != 0 || login.Identity.Attributes["environment"] != nil {
		t.Errorf("%+v, %v", login.Identity, err)
	}
	judged(t, p, claims, []claimCase{
		{"another repository of the same organization", func(c map[string]any) {
			c["repository"], c["repository_id"], c["sub"] = "octo-org/other", "75", "repo:octo-org/other:ref:refs/heads/main"
		}, "require"},
		{"another organization that took the name", set("repository_owner_id", "66"), "require"},
		{"a subject with ids in it, which this condition does not expect", set("sub", "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"), "require"},
		{"a pull request", func(c map[string]any) {
			c["event_name"], c["ref"], c["sub"] = "pull_request", "refs/pull/7/merge", "repo:octo-org/octo-repo:pull_request"
		}, "require"},
		{"a branch whose name begins so", func(c map[string]any) {
			c["ref"], c["sub"] = "refs/heads/main-evil", "repo:octo-org/octo-repo:ref:refs/heads/main-evil"
		}, "require"},
		{"the subject as a glob", set("sub", "repo:octo-org/*"), "require"},
		{"an id that is a number", set("repository_id", 74), "require"},
		{"no repository_id", drop("repository_id"), "require"},
		{"another audience", set("aud", "sts.amazonaws.com"), "audience"},
		{"the audience that a job gets when it asks for none", set("aud", "https://github.com/octo-org"), "audience"},
		{"ours and another", set("aud", []string{audience, "sts.amazonaws.com"}), "azp"},
	})
}

func TestAnEnvironmentMustBeThere(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("github-actions", githubIssuer, requiring(`claims.repository_id == "74" && claims.environment == "production"`)))
	claims := idptest.GitHubActions(githubIssuer, audience, p.clock.now())
	judged(t, p, claims, []claimCase{
		{"a job without environment", as, "require"},
		{"in that environment", set("environment", "production"), ""},
		{"in another", set("environment", "Production"), "require"},
		{"in an environment of null", set("environment", nil), "require"},
		{"in a list of environments", set("environment", []string{"production"}), "require"},
	})
}

// The condition is asked about strangers when the configuration is read.
func TestAConditionThatStrangersPassIsAFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		preset, condition string
		fault             bool
	}{
		{"github-actions", `claims.repository_owner_id == "65"`, false},
		{"github-actions", `claims.sub == "repo:octo-org/octo-repo:ref:refs/heads/main"`, false},
		{"github-actions", `claims.sub.startsWith("repo:octo-org/octo-repo:")`, false},
		{"github-actions", `claims.sub.matches("^repo:octo-org/[a-z-]+:ref:refs/heads/main$")`, false},
		{"github-actions", `claims["repository"] in ["octo-org/a", "octo-org/b"] && claims.event_name != "pull_request"`, false},
		{"github-actions", `claims.environment == "production" && claims.repository_id == "74"`, false},
		{"github-actions", `claims.sub == "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"`, false},
		{"github-actions", `claims.sub.startsWith("repo:octo-org@65/")`, false},
		{"github-actions", `claims.sub.matches("^repo:[a-z-]+@[0-9]+/[a-z-]+@[0-9]+:ref:refs/heads/main$")`, true},
		{"github-actions", `claims.aud == "https://broker.example"`, true},
		{"github-actions", `claims.iss == "https://op.example.com"`, true},
		{"github-actions", `true`, true},
		{"github-actions", `claims.sub != ""`, true},
		{"github-actions", `has(claims.repository)`, true},
		{"github-actions", `claims.environment == "production"`, true},
		{"github-actions", `claims.ref == "refs/heads/main"`, true},
		{"github-actions", `claims.sub.endsWith(":ref:refs/heads/main")`, true},
		{"github-actions", `claims.sub.endsWith(":ref:refs/heads/release")`, true},
		{"github-actions", `claims.sub.contains("environment:production")`, true},
		{"github-actions", `claims.sub.contains("octo-org/octo-repo")`, true},
		{"github-actions", `claims.actor == "octocat"`, true},
		{"github-actions", `claims.job_workflow_ref == "octo-org/shared/.github/workflows/deploy.yml@refs/heads/main"`, true},
		{"github-actions", `claims.repository_owner == "octo-org" || claims.actor == "octocat"`, true},
		{"github-actions", `!(claims.repository_owner == "rival")`, true},
		{"github-actions", `claims.repository_visibility == "private"`, true},
		{"github-actions", `claims["sub"].startsWith("repo:")`, true},
		{"gitlab-ci", `claims.project_id == "20" && claims.ref_protected == "true"`, false},
		{"gitlab-ci", `claims.namespace_path == "my-group"`, false},
		{"gitlab-ci", `claims.sub.startsWith("project_path:my-group/my-project:")`, false},
		{"gitlab-ci", `claims.ref == "main"`, true},
		{"gitlab-ci", `claims.user_login == "sample-user"`, true},
		{"gitlab-ci", `claims.sub.endsWith(":ref:main")`, true},
		{"kubernetes", `true`, false}, // of one cluster only
		{"", `true`, false},
	} {
		s := config.Provider{Name: text("ci"), Issuer: text("https://op.example.com"), ClientID: text(audience), Preset: text(c.preset), Require: text(c.condition)}
		_, err := New(Config{Provider: s, URL: audience, Fetch: client(t, 1e9)})
		if (err != nil) != c.fault {
			t.Errorf("%s %s: %v", c.preset, c.condition, err)
		}
		var faults config.Faults
		if c.fault && (!errors.As(err, &faults) || faults[0].Pos.Line != 7 || !strings.Contains(faults[0].Message, "say whose count")) {
			t.Errorf("%s: %v", c.condition, err)
		}
	}
}

func TestAPatternThatMatchesAPartIsAWarning(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`claims.sub.matches("repo:octo-org/octo-repo:.*")`:                                                 "begin it with ^",
		`claims.sub.matches("^repo:octo-org/octo-repo")`:                                                   "end it with $",
		`claims.sub.matches("^repo:octo-org/octo-repo:ref:refs/heads/main$")`:                              "",
		`claims.sub.startsWith("repo:octo-org/octo-repo")`:                                                 `"repo:octo-org/octo-repo-evil"`,
		`claims.sub.startsWith("repo:octo-org/octo-repo:")`:                                                "",
		`claims.repository.startsWith("octo-org/") && claims.workflow_ref.endsWith("@refs/heads/main")`:    "",
		`claims.repository_id == "74" && claims.job_workflow_ref.matches("deploy.yml@refs/heads/release")`: "matches(",
	} {
		p := keysOnFile(t, presetAt("github-actions", githubIssuer, requiring(condition)))
		got := p.Warnings().Error()
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", condition, got)
		}
	}
}

func TestAGitLabJobOfOneProject(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("gitlab-ci", "https://gitlab.com", requiring(`claims.project_id == "20" && claims.ref_protected == "true" && claims.ref == "main"`)))
	claims := idptest.GitLabCI("https://gitlab.com", audience, p.clock.now())
	judged(t, p, claims, []claimCase{
		{"of the project", as, ""},
		{"of another project of the group", func(c map[string]any) { c["project_id"], c["project_path"] = "21", "my-group/other" }, "require"},
		{"of a merge request", func(c map[string]any) {
			c["ref"], c["ref_protected"], c["pipeline_source"] = "feature", "false", "merge_request_event"
		}, "require"},
		{"ref_protected as a boolean", set("ref_protected", true), "require"},
		{"an ID token of a person of the same issuer", func(c map[string]any) {
			for _, name := range []string{"project_id", "project_path", "pipeline_id", "job_id"} {
				delete(c, name)
			}
			c["sub"] = "4711"
		}, "typ"},
		{"another audience", set("aud", "https://vault.example.com"), "audience"},
	})
	if _, err := p.brings(claims, set("iss", "https://gitlab.example.com")); err != idp.ErrNotMine {
		t.Errorf("another GitLab: %v", err)
	}
}

func TestAServiceAccountOfACluster(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("kubernetes", clusterIssuer))
	claims := idptest.Kubernetes(clusterIssuer, audience, p.clock.now())
	login, err := p.brings(claims)
	if err != nil {
		t.Fatal(err)
	}
	if id := login.Identity; id.Username != "system:serviceaccount:ci:deployer" || id.Subject != id.Username {
		t.Errorf("%+v", id)
	}
	if diff := cmp.Diff([]string{"system:serviceaccounts", "system:serviceaccounts:ci"}, login.Identity.Groups); diff != "" {
		t.Error(diff)
	}
	inside := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			own := map[string]any{"namespace": "ci", "serviceaccount": map[string]any{"name": "deployer"}}
			own[name] = value
			c["kubernetes.io"] = own
		}
	}
	judged(t, p, claims, []claimCase{
		{"without the claim of its own", drop("kubernetes.io"), ""},
		{"whose claim names another namespace", inside("namespace", "kube-system"), "subject"},
		{"whose claim names another account", inside("serviceaccount", map[string]any{"name": "admin"}), "subject"},
		{"whose claim is text", set("kubernetes.io", "ci"), "malformed"},
		{"a person, by the cluster's own issuer", set("sub", "alice"), "subject"},
		{"a node", set("sub", "system:node:worker-1"), "subject"},
		{"one part too many", set("sub", "system:serviceaccount:ci:deployer:x"), "subject"},
		{"one part too few", set("sub", "system:serviceaccount:deployer"), "subject"},
		{"no namespace", set("sub", "system:serviceaccount::deployer"), "subject"},
		{"a namespace with a star", set("sub", "system:serviceaccount:*:deployer"), "subject"},
		{"upper case", set("sub", "system:serviceaccount:CI:deployer"), "subject"},
		{"the token for the API server", set("aud", []string{clusterIssuer}), "audience"},
		{"for the API server too", set("aud", []string{audience, clusterIssuer}), "azp"},
	})
	other := idptest.StartOP(t, p.clock.now)
	_, err = p.Verify(t.Context(), other.Sign(other.Key(), claims, nil))
	refused(t, err, "unknown-key") // another cluster of the same issuer's name, as all that were not told otherwise have
	if _, err := p.brings(claims, set("iss", "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER")); err != idp.ErrNotMine {
		t.Errorf("another cluster: %v", err)
	}
}

func TestGroupsOfTheConfigurationReplaceThoseOfTheCluster(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("kubernetes", clusterIssuer, func(s *config.Provider) { s.Groups.Claim = text("/kubernetes.io/namespace") }))
	login, err := p.brings(idptest.Kubernetes(clusterIssuer, audience, p.clock.now()))
	if err != nil || len(login.Identity.Groups) != 1 || login.Identity.Groups[0] != "ci" {
		t.Errorf("%+v, %v", login.Identity, err)
	}
}

func TestAWorkloadOfATrustDomain(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("spiffe", spireIssuer, func(s *config.Provider) { s.TrustDomain = text("example.org") }))
	claims := idptest.SPIFFE(spireIssuer, audience, p.clock.now())
	if login, err := p.brings(claims); err != nil || login.Identity.Username != "spiffe://example.org/ns/ci/sa/deployer" {
		t.Errorf("%+v, %v", login.Identity, err)
	}
	sub := func(id string) func(map[string]any) { return set("sub", id) }
	judged(t, p, claims, []claimCase{
		{"of another trust domain", sub("spiffe://evil.org/ns/ci/sa/deployer"), "trust-domain"},
		{"of a domain that ends so", sub("spiffe://evil-example.org/ns/ci/sa/deployer"), "trust-domain"},
		{"of a domain that begins so", sub("spiffe://example.org.evil.org/ns/ci"), "trust-domain"},
		{"with a user before the domain", sub("spiffe://x@example.org/ns/ci"), "trust-domain"},
		{"with a port", sub("spiffe://example.org:443/ns/ci"), "trust-domain"},
		{"in upper case", sub("spiffe://EXAMPLE.ORG/ns/ci"), "trust-domain"},
		{"the domain itself", sub("spiffe://example.org"), "subject"},
		{"an empty path", sub("spiffe://example.org/"), "subject"},
		{"a slash at the end", sub("spiffe://example.org/ns/"), "subject"},
		{"two slashes", sub("spiffe://example.org//ns"), "subject"},
		{"dots in the path", sub("spiffe://example.org/ns/../admin"), "subject"},
		{"one dot", sub("spiffe://example.org/./admin"), "subject"},
		{"a query", sub("spiffe://example.org/ns?x=y"), "subject"},
		{"percent signs", sub("spiffe://example.org/ns%2fadmin"), "subject"},
		{"another scheme", sub("https://example.org/ns/ci"), "subject"},
		{"a bare name", sub("deployer"), "subject"},
		{"another audience", set("aud", []string{"spiffe://example.org/db"}), "audience"},
	})
	// SPIRE names no issuer unless jwt_issuer is set; whose keys would count then?
	if _, err := p.brings(claims, drop("iss")); err != idp.ErrNotMine {
		t.Errorf("without iss: %v", err)
	}
}

// A SPIFFE bundle says what its keys are for in its own words.
func TestKeysOfASPIFFEBundle(t *testing.T) {
	t.Parallel()
	op := idptest.StartOP(t, newClock().now)
	bundle := strings.Replace(string(op.JWKS()), `"use":"sig"`, `"use":"jwt-svid"`, 1)
	if keys, err := readRing([]byte(bundle), keyRule{uses: []string{"jwt-svid"}}); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if _, err := readRing([]byte(bundle), keyRule{}); err == nil {
		t.Error("another provider's key for jwt-svid was taken")
	}
	certificates := strings.Replace(bundle, "jwt-svid", "x509-svid", 1)
	if _, err := readRing([]byte(certificates), keyRule{uses: []string{"jwt-svid"}}); err == nil {
		t.Error("a key for certificates was taken")
	}
}
