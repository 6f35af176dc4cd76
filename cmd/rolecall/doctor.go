package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/awsconfig"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
	"github.com/rolecall/rolecall/idp/dpop"
)

// finding is one line of `rolecall doctor`.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning, problem
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"`
}

// examination is one call of it.
type examination struct {
	*tool
	settings settings.Settings
	client   *client.Client
	findings []finding
}

func (e *examination) ok(check, detail string, args ...any) {
	e.findings = append(e.findings, finding{Check: check, State: "ok", Detail: fmt.Sprintf(detail, args...)})
}

func (e *examination) warn(check, do, detail string, args ...any) {
	e.findings = append(e.findings, finding{check, "warning", fmt.Sprintf(detail, args...), do})
}

func (e *examination) problem(check, do, detail string, args ...any) {
	e.findings = append(e.findings, finding{check, "problem", fmt.Sprintf(detail, args...), do})
}

func (t *tool) doctor() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with your setup, and what to do",
		Long: "Look at the settings, the broker, the clock, the keyring, the sign-in and the profiles in ~/.aws/config.\n" +
			"Nothing is changed. The exit code is 1 if there is a problem; warnings do not count.",
		Example: "  rolecall doctor\n  rolecall doctor --json",
		RunE: func(c *cobra.Command, _ []string) error {
			e := examination{tool: t}
			e.run(c.Context())
			if err := e.print(asJSON); err != nil {
				return err
			}
			if slices.ContainsFunc(e.findings, func(f finding) bool { return f.State == "problem" }) {
				return errExit(1)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

// run looks at one thing after the other, as far as it makes sense to go on.
func (e *examination) run(ctx context.Context) {
	e.environmentVariables()
	var err error
	if e.settings, err = settings.Load(e.flags, e.getenv); err != nil {
		e.problem("settings", "", "%v", err)
		return
	}
	e.folder()
	if e.settings.URL == "" {
		e.problem("profile", "rolecall login --url https://sso.example.com", "the profile %s knows no broker", e.settings.Profile)
		return
	}
	e.ok("profile", "%s, at %s", e.settings.Profile, e.settings.URL)
	e.client = e.tool.client(e.settings)
	e.keyring()
	if !e.broker(ctx) || !e.signIn(ctx) {
		return
	}
	e.profiles(ctx)
}

// environmentVariables of AWS that make tools look past the profiles.
func (e *examination) environmentVariables() {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		if e.getenv(name) != "" && e.getenv(execMark) == "" {
			e.warn("environment", "unset "+name, "%s is set: AWS tools take it before the profiles", name)
		}
	}
	if role := e.getenv(execMark); role != "" {
		e.ok("environment", "this shell runs in rolecall exec, as %s", role)
	}
}

// folder: others must not read what is in it.
func (e *examination) folder() {
	if runtime.GOOS == "windows" {
		return // the user's profile has its own rules there
	}
	open := []string{}
	_ = filepath.WalkDir(e.settings.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // not there yet, or not ours to see
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && d.Type()&fs.ModeSymlink == 0 {
			open = append(open, path)
		}
		return nil
	})
	if len(open) > 0 {
		e.problem("settings", "chmod -R go= "+shellQuote(e.settings.Dir), "others may read %s", strings.Join(open, ", "))
		return
	}
	e.ok("settings", "%s", e.settings.Dir)
}

func (e *examination) keyring() {
	switch place := e.client.Place(); place {
	case "":
		e.problem("keyring", "set ROLECALL_KEYRING=file, or start the keyring", "neither the keyring nor the passphrase that were asked for can be used")
	case "a file that only you can read":
		e.warn("keyring", "ROLECALL_PASSPHRASE_FILE encrypts it, at the next login", "the sign-in is kept in %s", place)
	default:
		e.ok("keyring", "the sign-in is kept in %s", place)
	}
}

// The broker takes proofs of our key that are up to dpop.DefaultWindow off.
const clockWarning, clockProblem = dpop.DefaultWindow / 4, dpop.DefaultWindow - 5*time.Second

func (e *examination) broker(ctx context.Context) bool {
	probe, err := e.client.Probe(ctx)
	if err != nil {
		e.problem("broker", "check the address, the network and HTTPS_PROXY", "%s", e.errorText(err))
		return false
	}
	e.ok("broker", "answers in %s", max(probe.Took.Round(time.Millisecond), time.Millisecond))
	off, which := probe.Ahead, "ahead of"
	if off < 0 {
		off, which = -off, "behind"
	}
	off = off.Round(time.Second)
	switch do := "set this machine's clock (NTP)"; {
	case off >= clockProblem:
		e.problem("clock", do, "%s %s the broker's: it will refuse this machine", off, which)
	case off >= clockWarning:
		e.warn("clock", do, "%s %s the broker's", off, which)
	default:
		e.ok("clock", "agrees with the broker's")
	}
	return true
}

func (e *examination) signIn(ctx context.Context) bool {
	who, err := e.client.Identity(ctx)
	if err != nil {
		do := ""
		if errors.Is(err, client.ErrSignedOut) {
			do = e.loginCommand()
		}
		e.problem("sign-in", do, "%s", printable(err.Error()))
		return false
	}
	e.ok("sign-in", "%s, by %s", printable(who.Username), printable(who.Provider))
	return true
}

// profiles compares ~/.aws/config with what configure would write.
func (e *examination) profiles(ctx context.Context) {
	roles, err := e.fetchRoles(ctx, e.settings)
	if err != nil {
		e.problem("roles", "", "%s", e.errorText(err))
		return
	}
	if len(roles) == 0 {
		e.warn("roles", "ask your administrators; rolecall whoami shows your groups", "you have none")
	} else {
		e.ok("roles", "%d", len(roles))
	}
	path, err := awsFile(e.getenv, "AWS_CONFIG_FILE", "config")
	if err != nil {
		e.warn("AWS profiles", "", "%v", err)
		return
	}
	file, err := awsconfig.Load(path)
	if err != nil {
		e.problem("AWS profiles", "mend the file; AWS tools cannot read it either", "%v", err)
		return
	}
	commands := file.Commands(e.settings.Profile)
	if len(commands) == 0 {
		e.warn("AWS profiles", "rolecall configure", "none is written yet in %s", path)
		return
	}
	if e.programs(path, commands) {
		e.upToDate(path, commands, roles)
	}
}

// programs: what the profiles start must be there.
func (e *examination) programs(path string, commands map[string]string) bool {
	for name, command := range commands {
		program := firstWord(command)
		if _, err := exec.LookPath(program); err != nil || !filepath.IsAbs(program) {
			e.problem("AWS profiles", "rolecall configure", "profile %s in %s starts %s, which is not there", name, path, program)
			return false
		}
	}
	return true
}

// firstWord undoes quoteWord.
func firstWord(command string) string {
	for _, quote := range []string{"'", `"`} {
		if rest, ok := strings.CutPrefix(command, quote); ok {
			word, _, _ := strings.Cut(rest, quote)
			return word
		}
	}
	word, _, _ := strings.Cut(command, " ")
	return word
}

// upToDate judges each profile by the role in its command, whatever it is called:
// configure may have been told a prefix or a duration.
func (e *examination) upToDate(path string, commands map[string]string, roles []client.Role) {
	var gone, old []string
	for name, command := range commands {
		want, err := e.wantedCommand(command, roles)
		switch {
		case err != nil:
			e.warn("AWS profiles", "", "%v", err)
			return
		case want == "":
			gone = append(gone, name)
		case want != command:
			old = append(old, name)
		}
	}
	if len(gone) > 0 {
		e.warn("AWS profiles", "rolecall configure --prune, or remove the sections", "for no role of yours, in %s: %s", path, someOf(gone))
	}
	if len(old) > 0 {
		e.warn("AWS profiles", "rolecall configure, with the --prefix and --duration that you gave it then", "out of date in %s: %s", path, someOf(old))
	}
	if len(gone)+len(old) == 0 {
		e.ok("AWS profiles", "%d in %s", len(commands), path)
	}
}

// wantedCommand is what configure would write for the role and duration of a
// command; "" where the role is none of theirs.
func (e *examination) wantedCommand(command string, roles []client.Role) (string, error) {
	role, duration := flagOf(command, "--role"), flagOf(command, "--duration")
	at := slices.IndexFunc(roles, func(r client.Role) bool { return role == roleName(r) || role == r.RoleARN })
	if at < 0 {
		return "", nil
	}
	c := configuring{tool: e.tool, settings: e.settings, duration: duration}
	want, _, err := c.wanted(roles[at : at+1])
	if err != nil || len(want) == 0 {
		return "", err
	}
	return want[0].Command, nil
}

// flagOf reads a flag that configure wrote last in a command; such a value is never quoted.
func flagOf(command, flag string) string {
	_, rest, _ := strings.Cut(command, " "+flag+" ")
	value, _, _ := strings.Cut(rest, " ")
	return value
}

// someOf names a few of many.
func someOf(names []string) string {
	const most = 5
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func (e *examination) print(asJSON bool) error {
	if asJSON {
		return e.printJSON(map[string]any{"findings": e.findings})
	}
	marks := map[string][2]string{"ok": {"ok", green}, "warning": {"warning", yellow}, "problem": {"PROBLEM", red}}
	for _, f := range e.findings {
		mark, colour, off := marks[f.State][0], "", ""
		if e.colour(e.stdout) {
			colour, off = marks[f.State][1], plainly
		}
		if _, err := fmt.Fprintf(e.stdout, "%s%-8s%s %-13s %s\n", colour, mark, off, f.Check, f.Detail); err != nil {
			return err
		}
		if f.Do != "" {
			fmt.Fprintf(e.stdout, "%22s -> %s\n", "", f.Do)
		}
	}
	return nil
}
