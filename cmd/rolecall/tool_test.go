package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/cache"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/warm"
)

func TestAnErrorIsOneLineAndACode(t *testing.T) {
	t.Parallel()
	refused := &client.APIError{Status: 403, Code: "access_denied", Description: "Not granted.", RequestID: "R1"}
	fresh := &client.APIError{Status: 401, Code: "insufficient_user_authentication", Description: "Sign in again."}
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{refused, 1, "rolecall: Not granted. (request R1)\n"},
		{fresh, 1, "rolecall: Sign in again.; run: rolecall login --fresh\n"},
		{fmt.Errorf("%w: ended", client.ErrSignedOut), 1, "rolecall: not signed in: ended; run: rolecall login\n"},
		{errUsage{errors.New("no broker is known yet; run: rolecall login --url X")}, 2, "rolecall: no broker is known yet; run: rolecall login --url X\n"},
		{errUsage{errors.New("format \"x\"")}, 2, "rolecall: format \"x\"\nRun 'rolecall --help' for usage.\n"},
		{errors.New("unknown command \"x\""), 2, "rolecall: unknown command \"x\"\nRun 'rolecall --help' for usage.\n"},
		{errExit(7), 7, ""},
		{errExit(0), 0, ""},
		{errors.New("two\nlines"), 1, "rolecall: two lines\n"},
		{errors.New("a screen \x1b[2J\x07 and \u202eback"), 1, "rolecall: a screen ?[2J? and ?back\n"},
	} {
		tool, stdout, stderr := newTool()
		if code := tool.exitCode(t.Context(), c.err); code != c.code || stderr.String() != c.says || stdout.Len() > 0 {
			t.Errorf("%v: code %d, %q; want %d, %q", c.err, code, stderr, c.code, c.says)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tool, _, stderr := newTool()
	if code := tool.exitCode(ended, errors.New("canceled")); code != 130 || stderr.Len() > 0 {
		t.Errorf("after Ctrl-C: %d %q", code, stderr)
	}
	if code := tool.exitCode(ended, errExit(3)); code != 3 {
		t.Errorf("a command that ended after Ctrl-C: %d, want its own 3", code)
	}
}

func TestTheLineToRunHasTheFlagsOfThisCall(t *testing.T) {
	t.Parallel()
	tool, _, _ := newTool()
	tool.flags = settings.Flags{Dir: "/my settings", Profile: "work", URL: "https://sso.example.com"}
	if got, want := tool.loginCommand("--fresh"), "rolecall login --config-dir '/my settings' --profile work --url https://sso.example.com --fresh"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Every command explains itself, and none has a flag twice.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	tool, _, _ := newTool()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q", c.CommandPath(), c.Short)
		}
		if c.Runnable() && c.Example == "" && !slices.Contains([]string{"rolecall", "rolecall logout", "rolecall whoami", "rolecall version"}, c.CommandPath()) {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(tool.root(nil))
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	tool, _, _ := newTool()
	text := []byte("+a\n-b\n@@\n c\n")
	if got := tool.paintDiff(text); string(got) != string(text) {
		t.Errorf("into a buffer: %q", got)
	}
	if tool.colour(os.Stdout) && !isTerminal(os.Stdout) {
		t.Error("colours into a pipe")
	}
}

// kept is a tool whose broker is gone and whose cache has credentials for a while.
func kept(t *testing.T, left time.Duration) (*tool, func() string) {
	t.Helper()
	dir := t.TempDir()
	tool, _, stderr := newTool("ROLECALL_CONFIG_DIR", dir, "ROLECALL_KEYRING", "file")
	now := time.Now()
	tool.now = func() time.Time { return now }
	s := settings.Settings{Dir: dir, Profile: "default", URL: "http://127.0.0.1:9"}
	if err := s.Remember(""); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"url":%q,"access_token":"a","token_type":"Bearer","expires_at":%q}`, s.URL, now.Add(time.Hour).Format(time.RFC3339))
	if err := settings.WriteFile(s.AccessFile(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	made := cache.Cache{Settings: s, Now: func() time.Time { return now.Add(left - time.Hour) }}
	document := iam.ProcessDocument{Version: 1, AccessKeyID: "ASIAKEPT", SecretAccessKey: "s", SessionToken: "t", Expiration: now.Add(left).UTC().Truncate(time.Second)}
	if err := made.Put(cache.Key{URL: s.URL, Role: "production/Admin"}, document); err != nil {
		t.Fatal(err)
	}
	return tool, stderr.String
}

func TestWithTheBrokerDownCredentialsWorkToTheirEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		left time.Duration
		says string // "" is silence
		ok   bool
	}{
		{40 * time.Minute, "", true},
		{5 * time.Minute, "http://127.0.0.1:9 cannot be reached", true},
		{-time.Minute, "", false},
	} {
		tool, said := kept(t, c.left)
		d, err := tool.credentials(t.Context(), "production/Admin", "")
		if (err == nil) != c.ok || c.ok && d.AccessKeyID != "ASIAKEPT" {
			t.Errorf("%s left: %v, %v", c.left, d, err)
		}
		if text := said(); c.says == "" && text != "" || !strings.Contains(text, c.says) || strings.Count(text, "\n") > 1 {
			t.Errorf("%s left: said %q", c.left, text)
		}
	}
}

// The quick path reads what the cache wrote, and nothing that it would not give.
func TestTheQuickPathAgreesWithTheCache(t *testing.T) {
	t.Parallel()
	for _, left := range []time.Duration{time.Minute, 14 * time.Minute, 15*time.Minute + 5*time.Second, 59 * time.Minute, -time.Second} {
		tool, _ := kept(t, left)
		s, err := tool.profile()
		if err != nil {
			t.Fatal(err)
		}
		want, fresh := tool.cache(s).Get(cache.Key{URL: s.URL, Role: "production/Admin"})
		got, answered := warm.Answer([]string{"credential-process", "--role", "production/Admin"}, tool.getenv, tool.now())
		if answered != fresh {
			t.Errorf("%s left: the cache says %v, the quick path %v", left, fresh, answered)
		}
		if line, err := want.JSON(); fresh && (err != nil || string(got) != string(line)+"\n") {
			t.Errorf("%s left: %s, want %s", left, got, line)
		}
	}
}

func TestACommandFindsNoOtherCredentials(t *testing.T) {
	t.Parallel()
	tool, _, _ := newTool("PATH", "/bin", "AWS_PROFILE", "x", "AWS_ACCESS_KEY_ID", "x", "aws_session_token", "x", "AWS_CONFIG_FILE", "/c", "AWS_REGION", "old",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "x", "AWS_WEB_IDENTITY_TOKEN_FILE", "x", "AWS_ROLE_ARN", "x", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "x")
	x := executing{tool: tool, role: "production/Admin", region: "eu-west-1"}
	env := x.environment()
	slices.Sort(env)
	want := []string{"AWS_CONFIG_FILE=/c", "AWS_DEFAULT_REGION=eu-west-1", "AWS_REGION=eu-west-1", "AWS_REGION=old", "PATH=/bin", "ROLECALL_EXEC=production/Admin"}
	if !slices.Equal(env, want) {
		t.Errorf("%v, want %v", env, want)
	}
}

func TestHiddenDefaultCredentialsLeaveNoCopyBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, credentials := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	for path, text := range map[string]string{config: "[default]\nregion = x\n", credentials: "[default]\naws_access_key_id = A\n[b]\naws_access_key_id = B\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool, _, stderr := newTool("AWS_CONFIG_FILE", config, "AWS_SHARED_CREDENTIALS_FILE", credentials)
	x := executing{tool: tool}
	env, remove, err := x.unshadowed(t.Context(), settings.Settings{Dir: dir})
	if err != nil || len(env) != 1 {
		t.Fatalf("%v, %v", env, err)
	}
	name, path, _ := strings.Cut(env[0], "=")
	text, err := os.ReadFile(path)
	if name != "AWS_SHARED_CREDENTIALS_FILE" || string(text) != "[default]\n[b]\naws_access_key_id = B\n" {
		t.Errorf("%s: %q, %v", name, text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	remove()
	if left, _ := filepath.Glob(filepath.Join(dir, "exec-*")); len(left) > 0 || !strings.Contains(stderr.String(), credentials) {
		t.Errorf("left %v, said %q", left, stderr)
	}
}

// What a broker sends as an address must never run.
//
// It is not parallel: a program just written cannot be started while some other
// test's child still has the file open.
func TestAddressesAreArgumentsOfTheBrowserNeverLinesOfAShell(t *testing.T) {
	dir := t.TempDir()
	program, seen := filepath.Join(dir, "browser"), filepath.Join(dir, "seen")
	if err := exec.Command("mkfifo", seen).Run(); err != nil {
		t.Skip("no named pipes here")
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s\\n' \"$#\" \"$1\" >"+seen+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	tool, _, _ := newTool("BROWSER", program)
	address := "https://sso.example.com/?a=1&b=$(touch " + dir + "/owned);c='d'"
	if err := tool.open(address); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(seen); err != nil || string(text) != "1\n"+address+"\n" {
		t.Errorf("the browser got %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "owned")); err == nil {
		t.Error("a command in the address ran")
	}
	if tool, _, _ := newTool("BROWSER", filepath.Join(dir, "none")); tool.open(address) == nil {
		t.Error("a browser that is not there was opened")
	}
}

// The announcement is for people; the address is alone on its line for scripts.
func TestTheAddressIsAloneOnItsLine(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{true, false} {
		tool, stdout, stderr := newTool("BROWSER", "/nonexistent")
		tool.announce("https://sso.example.com/x", open)
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if lines[len(lines)-1] != "https://sso.example.com/x" || stdout.Len() > 0 || open != (len(lines) == 2) {
			t.Errorf("open %v: %q %q", open, stdout, stderr)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain", "\x1b]0;title\x07", "\u202e", "\xff", "a\r\nb", "\u0085", "\u2066x\u2069"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if strings.ContainsAny(got, "\x1b\r\n\x07\x00\u202e\u2066\u0085") {
			t.Errorf("%q became %q", s, got)
		}
		if _, err := io.WriteString(io.Discard, got); err != nil || printable(got) != got {
			t.Errorf("%q is not its own printable form", got)
		}
	})
}
