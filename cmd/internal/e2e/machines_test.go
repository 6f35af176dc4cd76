package e2e

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/idptest"
)

const machines = `
server: {url: %[1]s, listen: %[2]q}
aws: {endpoint: %[3]s}
providers:
  - name: actions
    type: oidc
    preset: github-actions
    jwks_file: keys.json
    require: claims.repository_owner_id == "65" && claims.repository_id == "74"
  - name: gitlab
    type: oidc
    preset: gitlab-ci
    jwks_file: keys.json
    require: claims.project_id == "20" && claims.ref_protected == "true"
  - {name: cluster, type: oidc, preset: kubernetes, issuer: "https://kubernetes.default.svc.cluster.local", jwks_file: keys.json}
  - {name: workloads, type: oidc, preset: spiffe, issuer: "https://spire.example.org", trust_domain: example.org, jwks_file: keys.json}
accounts: [{id: "111122223333", name: production}]
grants:
  - {name: everyone, everyone: true, role: production/Everyone}
  - {name: release, providers: [actions], users: ["repo:octo-org/octo-repo:ref:refs/heads/main"], role: production/Deploy}
  - {name: to-production, providers: [actions], everyone: true, when: '"production" in identity.attributes.environment', role: production/Environment}
  - {name: pipeline, providers: [gitlab], everyone: true, role: production/Deploy, tags: {project: "{{ identity.attributes.project_id }}"}}
  - {name: namespace, providers: [cluster], groups: ["system:serviceaccounts:ci"], role: production/Deploy}
  - {name: workload, providers: [workloads], users: ["spiffe://example.org/ns/ci/sa/deployer"], role: production/Deploy}
`

// serveMachines runs `rolecalld serve` for programs only, with AWS's stand-in in this
// process and an issuer whose keys are a file: nothing is fetched from anywhere.
func serveMachines(t *testing.T) (world, *idptest.OP) {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	op := idptest.StartOP(t, time.Now)
	w := world{URL: "http://" + address, data: dir}
	writeFile(t, filepath.Join(dir, "keys.json"), string(op.JWKS()))
	serveFile(t, w, fmt.Sprintf(machines, w.URL, address, startAWS(t, "Deploy", "Environment", "Everyone")))
	return w, op
}

// serveFile runs `rolecalld serve` with a configuration in the folder of w until the
// test ends, and waits until it is ready.
func serveFile(t *testing.T, w world, configuration string) {
	t.Helper()
	file := filepath.Join(w.data, "rolecall.yaml")
	writeFile(t, file, configuration)
	cmd := exec.Command(filepath.Join(bin, "rolecalld"), "serve", "--config", file)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.data, "AWS_EC2_METADATA_DISABLED=true", "AWS_ACCESS_KEY_ID=AKIAROLECALLTESTKEY0", "AWS_SECRET_ACCESS_KEY=forTestsOnly",
	}
	log := scripted.Start(t, cmd)
	end := time.Now().Add(30 * time.Second)
	for range time.Tick(20 * time.Millisecond) {
		resp, err := http.Get(w.URL + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			break
		}
	}
	t.Fatalf("rolecalld serve was not ready within 30 s; its log:\n%s", log)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startAWS is the stand-in for AWS with these roles in 111122223333.
func startAWS(t *testing.T, roles ...string) string {
	t.Helper()
	const broker = "arn:aws:iam::999988887777:user/rolecall"
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	made := devaws.Config{
		URL: server.URL, Accounts: []devaws.Account{{ID: "999988887777", Name: "broker"}, {ID: "111122223333", Name: "production"}},
		Users: []devaws.User{{ARN: broker, AccessKeyID: "AKIAROLECALLTESTKEY0", SecretAccessKey: secret.New("forTestsOnly")}},
	}
	for _, name := range roles {
		role, err := iam.ParseRoleARN("arn:aws:iam::111122223333:role/" + name)
		if err != nil {
			t.Fatal(err)
		}
		made.Roles = append(made.Roles, devaws.Role{ARN: role, Trust: devaws.TrustPolicy("", broker)})
	}
	aws, err := devaws.New(made)
	if err != nil {
		t.Fatal(err)
	}
	handler = aws
	return server.URL
}

func TestProgramsGetCredentialsByTheirPlatformsToken(t *testing.T) {
	t.Parallel()
	w, op := serveMachines(t)
	now := time.Now()
	github := idptest.GitHubActions("https://token.actions.githubusercontent.com", w.URL, now)
	gitlab := idptest.GitLabCI("https://gitlab.com", w.URL, now)
	cluster := idptest.Kubernetes("https://kubernetes.default.svc.cluster.local", w.URL, now)
	workload := idptest.SPIFFE("https://spire.example.org", w.URL, now)
	with := func(claims map[string]any, pairs ...any) map[string]any {
		claims = maps.Clone(claims)
		for i := 0; i < len(pairs); i += 2 {
			claims[pairs[i].(string)] = pairs[i+1]
		}
		return claims
	}
	const deploy = "production/Deploy"
	for _, c := range []struct {
		name   string
		claims map[string]any
		role   string
		code   string // "" is credentials
		reason string // in the record
	}{
		{"a job of the branch main", github, deploy, "", ""},
		{"a job of the project", gitlab, deploy, "", ""},
		{"a service account of the namespace", cluster, deploy, "", ""},
		{"a workload", workload, deploy, "", ""},
		{"a job in the environment production", with(github, "environment", "production", "sub", "repo:octo-org/octo-repo:environment:production"), "production/Environment", "", ""},

		{"a job in no environment", github, "production/Environment", "invalid_target", ""},
		{"a grant to everyone that names no provider", github, "production/Everyone", "invalid_target", ""},
		{"the same for a service account", cluster, "production/Everyone", "invalid_target", ""},
		{"a pull request of the repository", with(github, "sub", "repo:octo-org/octo-repo:pull_request", "event_name", "pull_request"), deploy, "invalid_target", ""},
		{"a branch whose name begins like main", with(github, "sub", "repo:octo-org/octo-repo:ref:refs/heads/main2"), deploy, "invalid_target", ""},
		{"a subject that is a pattern", with(github, "sub", "repo:octo-org/octo-repo:*"), deploy, "invalid_target", ""},
		{"another repository of the organization", with(github, "repository_id", "75", "repository", "octo-org/other"), deploy, "invalid_grant", "require"},
		{"the repository's name, taken by another", with(github, "repository_owner_id", "66"), deploy, "invalid_grant", "require"},
		{"a token for AWS itself", with(github, "aud", "sts.amazonaws.com"), deploy, "invalid_grant", "audience"},
		{"a token for AWS too", with(github, "aud", []string{w.URL, "sts.amazonaws.com"}), deploy, "invalid_grant", "azp"},
		{"a branch that is not protected", with(gitlab, "ref_protected", "false"), deploy, "invalid_grant", "require"},
		{"a person's ID token of GitLab", with(gitlab, "project_id", nil, "project_path", nil), deploy, "invalid_grant", "typ"},
		{"another namespace", with(cluster, "sub", "system:serviceaccount:dev:deployer", "kubernetes.io", nil), deploy, "invalid_target", ""},
		{"a service account that says two things", with(cluster, "sub", "system:serviceaccount:dev:deployer"), deploy, "invalid_grant", "subject"},
		{"another cluster", with(cluster, "iss", "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER"), deploy, "invalid_grant", "unknown_issuer"},
		{"a workload of another trust domain", with(workload, "sub", "spiffe://evil.example/ns/ci/sa/deployer"), deploy, "invalid_grant", "trust-domain"},
		{"another workload of the trust domain", with(workload, "sub", "spiffe://example.org/ns/ci/sa/tester"), deploy, "invalid_target", ""},
		{"an SVID without issuer", with(workload, "iss", nil), deploy, "invalid_grant", "unknown_issuer"},
		{"one that says it is GitHub's and signs for nobody", with(workload, "iss", "https://token.actions.githubusercontent.com"), deploy, "invalid_grant", "require"},
	} {
		before := readAudit(t, w)
		status, answer := exchanged(t, w, url.Values{
			"subject_token": {op.Sign(op.Key(), c.claims, nil)}, "resource": {c.role}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		})
		code, _ := answer["error"].(string)
		if (status == http.StatusOK) != (c.code == "") || code != c.code || (answer["credentials"] != nil) != (c.code == "") {
			t.Errorf("%s: %d %v, want %q", c.name, status, answer, c.code)
		}
		if said := strings.TrimPrefix(readAudit(t, w), before); c.reason != "" && !strings.Contains(said, `"reason":"`+c.reason+`"`) {
			t.Errorf("%s: the record does not say %s:\n%s", c.name, c.reason, said)
		}
	}
	record := readAudit(t, w)
	for _, text := range []string{`"source_identity":"cluster=`, `"project":"20"`, `"username":"spiffe://example.org/ns/ci/sa/deployer"`} {
		if !strings.Contains(record, text) {
			t.Errorf("the record lacks %s", text)
		}
	}
}

// Nobody signs in by their browser where programs get tokens.
func TestMachinesAreNoProvidersOfTheSignInPage(t *testing.T) {
	t.Parallel()
	w, _ := serveMachines(t)
	for _, name := range []string{"actions", "cluster"} {
		resp, err := http.Get(w.URL + "/oidc/" + name + "/login")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode > 499 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Get(w.URL + "/login"); err != nil || strings.Contains(b.Page.Text, "/oidc/actions/") {
		t.Errorf("%v: %.2000s", err, b.Page.Text)
	}
}
