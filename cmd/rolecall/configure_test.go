package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/awsconfig"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// newTool is a tool with an environment of its own and nobody at a terminal.
func newTool(pairs ...string) (*tool, *bytes.Buffer, *bytes.Buffer) {
	env := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	var stdout, stderr bytes.Buffer
	environ := func() []string {
		var all []string
		for name, value := range env {
			all = append(all, name+"="+value)
		}
		return all
	}
	return &tool{getenv: func(name string) string { return env[name] }, environ: environ, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr}, &stdout, &stderr
}

func newConfiguring(t *testing.T, pairs ...string) *configuring {
	t.Helper()
	tool, _, _ := newTool(pairs...)
	s := settings.Settings{Dir: t.TempDir(), Profile: "default", URL: "https://sso.example.com"}
	if err := s.Remember(""); err != nil {
		t.Fatal(err)
	}
	return &configuring{tool: tool, settings: s}
}

func role(account, name, path string) client.Role {
	r := client.Role{RoleARN: "arn:aws:iam::" + account + ":role/" + path}
	r.Account.ID, r.Account.Name = account, name
	return r
}

// hostileWords are what a path or a name may have that somebody splits, expands
// or takes for a comment.
var hostileWords = []string{
	"/usr/local/bin/rolecall", "/Users/Ann Example/bin/rolecall", "/opt/it's/rolecall", `/opt/a"b/rolecall`, "/opt/$HOME/rolecall", "/opt/`id`/rolecall",
	`/opt/a\b/rolecall`, "/opt/a;b/rolecall", "/opt/a # b/rolecall", "/opt/a%20b/rolecall", "/opt/~/rolecall", "/opt/a*b/rolecall", "/opt/ünïcode/rolecall", "--role=x", "a'b'c\"d", "-x", "",
}

// The AWS CLI splits credential_process with Python's shlex, the SDKs for Go and
// JavaScript hand it to a shell: both must see the same words.
func TestShellAndPythonReadTheSameWords(t *testing.T) {
	t.Parallel()
	words := hostileWords[:len(hostileWords)-1] // an empty word is never written
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w, "linux")
	}
	line := strings.Join(quoted, " ")
	want := strings.Join(words, "\n")
	out, err := exec.Command("sh", "-c", `for w in "$@"; do :; done; printf '%s\n' `+line).Output()
	if d := cmp.Diff(want, strings.TrimSuffix(string(out), "\n")); err != nil || d != "" {
		t.Errorf("sh: %v %s", err, d)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here")
	}
	cmd := exec.Command(python, "-c", "import shlex, sys; print('\\n'.join(shlex.split(sys.argv[1])))", line)
	cmd.Env = append(os.Environ(), "PYTHONUTF8=1")
	out, err = cmd.Output()
	if d := cmp.Diff(want, strings.TrimSuffix(string(out), "\n")); err != nil || d != "" {
		t.Errorf("shlex: %v %s", err, d)
	}
}

func TestTheFirstWordIsTheProgram(t *testing.T) {
	t.Parallel()
	for _, w := range []string{"/usr/local/bin/rolecall", "/Users/Ann Example/bin/rolecall", "/opt/$HOME/rolecall"} {
		if got := firstWord(quoteWord(w, "linux") + " credential-process --role x"); got != w {
			t.Errorf("%q became %q", w, got)
		}
	}
	if got := firstWord(quoteWord(`C:\Program Files\rolecall\rolecall.exe`, "windows") + " x"); got != `C:\Program Files\rolecall\rolecall.exe` {
		t.Errorf("on Windows %q", got)
	}
}

func TestWindowsPathsAreQuotedWhereTheyMustBe(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		`C:\bin\rolecall.exe`:                    `C:\bin\rolecall.exe`,
		`C:\Program Files\rolecall\rolecall.exe`: `"C:\Program Files\rolecall\rolecall.exe"`,
		`\\server\share\rolecall.exe`:            `\\server\share\rolecall.exe`,
		`C:\Ann's\rolecall.exe`:                  `"C:\Ann's\rolecall.exe"`,
	} {
		if got := quoteWord(word, "windows"); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}

func TestProfilesAreNamedAsThePortalNamesThem(t *testing.T) {
	t.Parallel()
	c := newConfiguring(t)
	want, skipped, err := c.wanted([]client.Role{
		role("111122223333", "production", "Admin"),
		role("444455556666", "", "team/Admin"),
		role("777788889999", "R&D (EU)", "Dev"),
		role("222233334444", "a/b", "Dev"),
	})
	if err != nil || len(skipped) != 0 {
		t.Fatal(err, skipped)
	}
	for i, name := range []string{"production-Admin", "444455556666-team-Admin", "R-D--EU--Dev", "a-b-Dev"} {
		if want[i].Name != name {
			t.Errorf("profile %q, want %q", want[i].Name, name)
		}
	}
	for i, ref := range []string{
		"production/Admin", "444455556666/team/Admin",
		"arn:aws:iam::777788889999:role/Dev", // the name would need quotes
		"arn:aws:iam::222233334444:role/Dev", // the name has the slash that parts it from the role
	} {
		if !strings.HasSuffix(want[i].Command, " credential-process --role "+ref) {
			t.Errorf("command %q, want the role %s", want[i].Command, ref)
		}
	}
}

func TestNamesThatWouldBeTheSameGetTheAccountsNumber(t *testing.T) {
	t.Parallel()
	c := newConfiguring(t)
	want, _, err := c.wanted([]client.Role{role("111122223333", "a b", "X"), role("444455556666", "a-b", "X"), role("777788889999", "c", "X")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range want {
		names = append(names, w.Name)
	}
	if d := cmp.Diff([]string{"111122223333-X", "444455556666-X", "c-X"}, names); d != "" {
		t.Error(d)
	}
}

// A broker, or whoever names accounts there, must not write lines of its own into
// the file, nor words of its own into a command.
func TestAHostileBrokerWritesNothingButItsRoles(t *testing.T) {
	t.Parallel()
	c := newConfiguring(t)
	roles := []client.Role{
		role("111122223333", "x]\n[profile default]\ncredential_process = evil", "Admin"),
		role("111122223333", "x; evil", "Admin2"),
		role("111122223333", "--config-dir", "Admin3"),
		role("111122223333", "$(evil)", "Admin4"),
		role("111122223333", "p", "Admin5\ncredential_process = evil"),
		role("111122223333\n", "p", "Admin6"),
		role("", "p", "../../x"),
	}
	want, skipped, err := c.wanted(roles)
	if err != nil {
		t.Fatal(err)
	}
	if len(skipped) != 3 {
		t.Errorf("left out: %v", skipped)
	}
	path := filepath.Join(t.TempDir(), "config")
	file, err := awsconfig.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Write(file.Plan(want, awsconfig.Options{Owner: "default"})); err != nil {
		t.Fatal(err)
	}
	again, err := awsconfig.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	if got := again.Commands("default"); len(got) != len(want) || strings.Contains(string(text), "credential_process = evil") || strings.Contains(string(text), "[profile default]") {
		t.Errorf("%d sections:\n%s", len(got), text)
	}
	for name, command := range again.Commands("default") {
		words := strings.Fields(command)
		if ref := words[len(words)-1]; words[len(words)-2] != "--role" || !harmless(ref) || strings.HasPrefix(ref, "-") {
			t.Errorf("%s runs %s", name, command)
		}
	}
	for _, s := range skipped {
		if strings.ContainsAny(s.Name+s.Why, "\n\x1b") {
			t.Errorf("a line of its own on the terminal: %q %q", s.Name, s.Why)
		}
	}
}

func TestTheCommandSaysWhatTheEnvironmentSaid(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my settings")
	for name, change := range map[string]struct {
		env  []string
		do   func(*configuring)
		want string
	}{
		"nothing":         {nil, func(*configuring) {}, "rolecall credential-process"},
		"a folder":        {[]string{"ROLECALL_CONFIG_DIR", dir}, func(*configuring) {}, "rolecall credential-process --config-dir '" + dir + "'"},
		"a folder's flag": {[]string{"ROLECALL_CONFIG_DIR", "/other"}, func(c *configuring) { c.flags.Dir = dir }, "rolecall credential-process --config-dir '" + dir + "'"},
		"a profile":       {nil, func(c *configuring) { c.settings.Profile = "work"; _ = c.settings.Remember("") }, "rolecall credential-process --profile work"},
		"an address":      {nil, func(c *configuring) { c.settings.URL = "https://other.example.com" }, "rolecall credential-process --url https://other.example.com"},
	} {
		c := newConfiguring(t, change.env...)
		change.do(c)
		if got, err := c.commandLine("rolecall"); err != nil || got != change.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, change.want)
		}
	}
	c := newConfiguring(t)
	if _, err := c.commandLine("/opt/a\nb/rolecall"); err == nil || !strings.Contains(err.Error(), "line break") {
		t.Errorf("a path with a line break: %v", err)
	}
	c.duration = "1h; evil"
	if _, err := c.commandLine("rolecall"); err == nil {
		t.Error("a duration with a command in it was written")
	}
}

func TestWhereTheFilesOfAWSAre(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	if runtime.GOOS == "windows" {
		t.Skip("another home")
	}
	for given, want := range map[string]string{"": "/home/ann/.aws/config", "/x/y": "/x/y", "~/aws": "/home/ann/aws"} {
		tool, _, _ := newTool("AWS_CONFIG_FILE", given)
		if got, err := awsFile(tool.getenv, "AWS_CONFIG_FILE", "config"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", given, got, err, want)
		}
	}
}

func TestOnlyRolesOfOnesOwnCanBeNamed(t *testing.T) {
	t.Parallel()
	roles := []client.Role{role("111122223333", "production", "Admin"), role("111122223333", "production", "Dev")}
	for _, args := range [][]string{nil, {"production/Dev"}, {"arn:aws:iam::111122223333:role/Dev", "production/Admin"}} {
		got, err := named(roles, args)
		if n := max(len(args), 2*(1-min(len(args), 1))); err != nil || len(got) != n {
			t.Errorf("%v: %v, %v", args, got, err)
		}
	}
	if _, err := named(roles, []string{"production/Admin", "x\x1b[2J/y"}); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("another role: %v", err)
	}
}

// The answer of /api/v1/roles, as docs/api.md has it.
func TestTheRoleListIsReadAsTheContractHasIt(t *testing.T) {
	t.Parallel()
	var r client.Role
	text := `{"role_arn":"arn:aws:iam::111122223333:role/team/Admin","account":{"id":"111122223333","name":"production"},"grant":"g","console":true}`
	if err := json.Unmarshal([]byte(text), &r); err != nil || roleName(r) != "production/team/Admin" || !r.Console || r.Grant != "g" {
		t.Errorf("%+v, %v", r, err)
	}
	r.Account.Name = ""
	if roleName(r) != "111122223333/team/Admin" {
		t.Errorf("an account without a name: %s", roleName(r))
	}
}
