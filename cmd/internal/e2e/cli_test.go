package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// cli runs rolecall with settings of its own.
type cli struct {
	world world
	dir   string
}

func newCLI(t testing.TB, w world) cli {
	t.Helper()
	return cli{w, t.TempDir()}
}

func (c cli) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "rolecall"), args...)
	cmd.Env = append(os.Environ(), "ROLECALL_CONFIG_DIR="+c.dir, "ROLECALL_KEYRING=file", "ROLECALL_URL=", "ROLECALL_PROFILE=")
	return cmd
}

// run gives stdout, stderr and the exit code.
func (c cli) run(t testing.TB, args ...string) (string, string, int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := c.command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// login runs `rolecall login --no-browser` and signs in at the printed address.
func (c cli) login(t testing.TB, provider, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := c.command(ctx, append([]string{"login", "--no-browser", "--url", c.world.URL}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	for scan := bufio.NewScanner(stderr); scan.Scan(); {
		fmt.Fprintln(&said, scan.Text())
		if strings.HasPrefix(scan.Text(), "http") {
			if err := b.SignIn(scan.Text(), provider, c.world.person(t, name)); err != nil {
				t.Errorf("in the browser: %v", err)
				cancel()
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("rolecall login: %v\n%s\nthe browser ended at %s (%d)\n%.1500s", err, said.String(), b.Page.URL, b.Page.Status, b.Page.Text)
	}
	if !strings.Contains(b.Page.Text, "You are signed in") {
		t.Errorf("the browser shows %.300s", b.Page.Text)
	}
}

func TestTheCLISignsInAndListsRoles(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, provider := range []string{w.SAMLProvider, w.OIDCProvider} {
		c := newCLI(t, w)
		c.login(t, provider, "alice")
		out, errs, code := c.run(t, "roles")
		if code != 0 || !strings.Contains(out, "production/Admin") || !strings.Contains(out, "development/Developer") {
			t.Errorf("%s: roles: %d\n%s%s", provider, code, out, errs)
		}
		out, _, code = c.run(t, "whoami")
		if code != 0 || !strings.Contains(out, "alice") || !strings.Contains(out, provider) || !strings.Contains(out, "platform, developers") {
			t.Errorf("%s: whoami: %d\n%s", provider, code, out)
		}
		out, _, code = c.run(t, "roles", "--json")
		var listed struct {
			Roles []struct {
				RoleARN string            `json:"role_arn"`
				Account map[string]string `json:"account"`
				Grant   string            `json:"grant"`
				Console bool              `json:"console"`
			} `json:"roles"`
		}
		if err := json.Unmarshal([]byte(out), &listed); err != nil || code != 0 || len(listed.Roles) != 3 || listed.Roles[0].Account["name"] != "production" {
			t.Errorf("%s: roles --json: %d %v\n%s", provider, code, err, out)
		}
	}
}

// profile writes an AWS configuration whose one profile gets its credentials
// from rolecall, and gives the file's path.
func (c cli) profile(t testing.TB, role string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "helper")
	text := fmt.Sprintf("#!/bin/sh\nROLECALL_CONFIG_DIR=%s ROLECALL_KEYRING=file exec %s \"$@\"\n", c.dir, filepath.Join(bin, "rolecall"))
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config")
	profile := fmt.Sprintf("[profile admin]\nregion = eu-west-1\ncredential_process = %s credential-process --role %s\nservices = dev\n[services dev]\nsts =\n  endpoint_url = %s\n", script, role, c.world.STSEndpoint)
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const aliceAsAdmin = "arn:aws:sts::111122223333:assumed-role/Admin/alice"

// An AWS SDK that knows nothing of rolecall, with nothing but a profile.
func TestAStockSDKActsAsTheRole(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	c := newCLI(t, w)
	c.login(t, w.SAMLProvider, "alice")
	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigFiles([]string{c.profile(t, "production/Admin")}),
		config.WithSharedCredentialsFiles([]string{}), config.WithSharedConfigProfile("admin"))
	if err != nil {
		t.Fatal(err)
	}
	who, err := sts.NewFromConfig(loaded).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *who.Arn != aliceAsAdmin {
		t.Errorf("the SDK acts as %s, want %s", *who.Arn, aliceAsAdmin)
	}
}

// The AWS CLI where it is installed; the SDK above proves the same everywhere.
func TestAStockAWSCLIActsAsTheRole(t *testing.T) {
	t.Parallel()
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Log("the AWS CLI is not installed here; TestAStockSDKActsAsTheRole covers the same path")
		return
	}
	w := startWorld(t)
	c := newCLI(t, w)
	c.login(t, w.OIDCProvider, "alice")
	cmd := exec.CommandContext(t.Context(), aws, "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
	cmd.Env = append(os.Environ(), "AWS_CONFIG_FILE="+c.profile(t, "production/Admin"), "AWS_SHARED_CREDENTIALS_FILE=/nonexistent",
		"AWS_PROFILE=admin", "AWS_ENDPOINT_URL_STS="+w.STSEndpoint, "AWS_DEFAULT_REGION=eu-west-1")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != aliceAsAdmin {
		t.Errorf("aws sts get-caller-identity: %v\n%s\nwant %s", err, out, aliceAsAdmin)
	}
}

func TestParallelHelpersMakeOneOrder(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	c := newCLI(t, w)
	c.login(t, w.OIDCProvider, "alice")
	var group sync.WaitGroup
	outs := make([]string, 12)
	for i := range outs {
		group.Go(func() {
			out, err := c.command(t.Context(), "credential-process", "--role", "production/Admin").Output()
			if err != nil {
				t.Errorf("helper %d: %v", i, err)
			}
			outs[i] = string(out)
		})
	}
	group.Wait()
	var document struct {
		Version    int
		Expiration time.Time
		AccountID  string `json:"AccountId"`
	}
	if err := json.Unmarshal([]byte(outs[0]), &document); err != nil || document.Version != 1 || document.AccountID != "111122223333" {
		t.Errorf("not a credential_process document (%v): %s", err, outs[0])
	}
	for i, out := range outs {
		if out != outs[0] {
			t.Errorf("helper %d got other credentials", i)
		}
	}
	if n := strings.Count(readAudit(t, w), `"event":"credentials"`); n != 2 {
		t.Errorf("%d records of orders, want one intent and one outcome", n)
	}
}

func TestRefusalsOfTheCLI(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	c := newCLI(t, w)
	out, errs, code := c.run(t, "credential-process", "--role", "production/Admin")
	if code != 2 || out != "" || !strings.Contains(errs, "rolecall login --url") {
		t.Errorf("before any login: %d %q %q", code, out, errs)
	}
	c.login(t, w.SAMLProvider, "bob")
	for _, ask := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"credential-process", "--role", "production/Admin"}, 1, "not granted"},
		{[]string{"credential-process", "--role", "nonsense"}, 1, "ACCOUNT/ROLE"},
		{[]string{"credential-process", "--role", "arn:aws:iam::111122223333:role/*"}, 1, "ARN"},
		{[]string{"credential-process", "--role", "production/Developer", "--duration", "13h"}, 1, "between 15m and 1h"},
		{[]string{"credential-process", "--role", "production/Developer", "--duration", "soon"}, 1, "like 1h"},
		{[]string{"credential-process"}, 2, "role"},
		{[]string{"env", "--role", "production/Developer", "--format", "cobol"}, 2, "fish"},
	} {
		out, errs, code := c.run(t, ask.args...)
		if code != ask.code || out != "" || !strings.Contains(errs, ask.says) {
			t.Errorf("%v: exit %d, stdout %q, stderr %q; want %d and %q", ask.args, code, out, errs, ask.code, ask.says)
		}
	}
	if _, errs, code := c.run(t, "logout"); code != 0 {
		t.Errorf("logout: %d %s", code, errs)
	}
	_, errs, code = c.run(t, "roles")
	if code != 1 || !strings.Contains(errs, "run: rolecall login") {
		t.Errorf("after logout: %d %q, want 1 and what to run", code, errs)
	}
}
