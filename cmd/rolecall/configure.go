package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/awsconfig"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// configuring is one call of `rolecall configure`.
type configuring struct {
	*tool
	settings                 settings.Settings
	dryRun, prune            bool
	region, prefix, duration string
}

func (t *tool) configure() *cobra.Command {
	run := configuring{tool: t}
	c := &cobra.Command{
		Use:   "configure [ROLE...]",
		Short: "Write an AWS profile for each of your roles",
		Long: "Write a profile for each of your roles (or for those named) into ~/.aws/config ($AWS_CONFIG_FILE), so\n" +
			"that the AWS CLI, SDKs and Terraform get their keys by themselves. No secret is written.\n\n" +
			"Only sections that rolecall wrote are ever changed; a name that somebody else's section has is left\n" +
			"out and said. Running it again changes nothing but what is out of date.",
		Example: "  rolecall configure --dry-run\n  rolecall configure --region eu-central-1\n  rolecall configure production/Admin --prefix work-\n  aws s3 ls --profile production-Admin",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if run.settings, err = t.profile(); err != nil {
				return err
			}
			if run.prune && len(args) > 0 {
				return errUsage{errors.New("--prune goes by all your roles; name none")}
			}
			roles, err := t.fetchRoles(c.Context(), run.settings)
			if err != nil {
				return err
			}
			if roles, err = named(roles, args); err != nil {
				return err
			}
			return run.apply(c.Context(), roles)
		},
		ValidArgsFunction: t.completeRoles,
	}
	c.Flags().BoolVar(&run.dryRun, "dry-run", false, "show what would change, as a diff; nothing when all is up to date")
	c.Flags().BoolVar(&run.prune, "prune", false, "remove profiles of roles that you do not have any more")
	c.Flags().StringVar(&run.region, "region", "", "region of the profiles (default: what they have)")
	c.Flags().StringVar(&run.prefix, "prefix", "", "text before each profile's name")
	c.Flags().StringVar(&run.duration, "duration", "", "life of the credentials, like 1h (default the grant's)")
	return c
}

// named gives those roles that the arguments name, or all.
func named(roles []client.Role, args []string) ([]client.Role, error) {
	if len(args) == 0 {
		return roles, nil
	}
	var found []client.Role
	for _, arg := range args {
		at := slices.IndexFunc(roles, func(r client.Role) bool { return arg == roleName(r) || arg == r.RoleARN })
		if at < 0 {
			return nil, fmt.Errorf("%s is not a role of yours; rolecall roles lists them", printable(arg))
		}
		found = append(found, roles[at])
	}
	return found, nil
}

func (c *configuring) apply(ctx context.Context, roles []client.Role) error {
	if c.region != "" && !harmless(c.region) {
		return errUsage{fmt.Errorf("region %q: want a name like eu-central-1", c.region)}
	}
	if c.prefix != profileSafe(c.prefix) {
		return errUsage{fmt.Errorf("prefix %q: want letters, digits and _ . @ + = , -", c.prefix)}
	}
	want, skipped, err := c.wanted(roles)
	if err != nil {
		return err
	}
	path, err := awsFile(c.getenv, "AWS_CONFIG_FILE", "config")
	if err != nil {
		return err
	}
	unlock, err := c.settings.Lock(ctx, "configure")
	if err != nil {
		return err
	}
	defer unlock()
	file, err := awsconfig.Load(path)
	if err != nil {
		return err
	}
	changes := file.Plan(want, awsconfig.Options{Owner: c.settings.Profile, Taken: c.taken(), Prune: c.prune})
	changes.Skipped = append(changes.Skipped, skipped...)
	if c.dryRun {
		_, err = c.stdout.Write(c.paintDiff(diff.Diff(path, changes.Before, path, changes.After)))
	} else {
		err = file.Write(changes)
	}
	if err == nil {
		c.report(path, changes)
	}
	return err
}

// wanted makes profiles of roles. Names are those that the portal shows.
func (c *configuring) wanted(roles []client.Role) ([]awsconfig.Profile, []awsconfig.Skipped, error) {
	program, err := c.program()
	if err != nil {
		return nil, nil, err
	}
	command, err := c.commandLine(program)
	if err != nil {
		return nil, nil, err
	}
	count := map[string]int{}
	for _, r := range roles {
		count[profileSafe(roleName(r))]++
	}
	var want []awsconfig.Profile
	var skipped []awsconfig.Skipped
	for _, r := range roles {
		name, ref := profileSafe(roleName(r)), roleName(r)
		arn, err := iam.ParseRoleARN(r.RoleARN)
		if err != nil {
			skipped = append(skipped, awsconfig.Skipped{Name: printable(name), Why: err.Error()})
			continue
		}
		if count[name] > 1 { // the account's number tells them apart
			_, role, _ := strings.Cut(r.RoleARN, ":role/")
			name = profileSafe(arn.Account + "-" + role)
		}
		if !harmless(ref) || strings.Contains(r.Account.Name, "/") || strings.HasPrefix(ref, "-") {
			ref = arn.String()
		}
		line := command + " --role " + ref
		if c.duration != "" {
			line += " --duration " + c.duration
		}
		want = append(want, awsconfig.Profile{Name: c.prefix + name, Command: line, Region: c.region})
	}
	return want, skipped, nil
}

// commandLine is credential_process without the role. It needs no environment:
// what this call has from variables is said by flags.
func (c *configuring) commandLine(program string) (string, error) {
	words := []string{program, "credential-process"}
	if dir := cmp.Or(c.flags.Dir, c.getenv("ROLECALL_CONFIG_DIR")); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		words = append(words, "--config-dir", abs)
	}
	if c.settings.Profile != settings.DefaultProfile {
		words = append(words, "--profile", c.settings.Profile)
	}
	if remembered, err := c.settings.Remembered(); err != nil || remembered != c.settings.URL {
		words = append(words, "--url", c.settings.URL)
	}
	if c.duration != "" && !harmless(c.duration) {
		return "", errUsage{fmt.Errorf("duration %q: want one like 1h", c.duration)}
	}
	for i, w := range words {
		if strings.ContainsAny(w, "\r\n\x00") {
			return "", fmt.Errorf("%q has a line break, which ~/.aws/config cannot hold", w)
		}
		words[i] = quoteWord(w, runtime.GOOS)
	}
	return strings.Join(words, " "), nil
}

// quoteWord quotes for those who split the line: sh, Python's shlex, and the
// programs' own splitting on Windows.
func quoteWord(w, system string) string {
	if system == "windows" {
		if harmless(strings.ReplaceAll(w, `\`, "/")) {
			return w
		}
		return `"` + w + `"`
	}
	return shellQuote(w)
}

// program is the absolute path of this program: as PATH finds it, so that a link
// that an update moves stays good, else where it lies.
func (t *tool) program() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the path of rolecall: %w", err)
	}
	if found, err := exec.LookPath(os.Args[0]); err == nil {
		if abs, err := filepath.Abs(found); err == nil && sameFile(abs, self) {
			self = abs
		}
	}
	if strings.Contains(filepath.ToSlash(self), "/go-build") {
		fmt.Fprintf(t.stderr, "rolecall: %s is a temporary file of `go run`; install rolecall first, or the profiles end with it.\n", self)
	}
	return self, nil
}

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	two, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, two)
}

// awsFile is where the AWS tools look for one of their two files.
func awsFile(getenv func(string) string, variable, name string) (string, error) {
	if path := getenv(variable); path != "" {
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			home, err := os.UserHomeDir()
			return filepath.Join(home, rest), err
		}
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%w; set %s", err, variable)
	}
	return filepath.Join(home, ".aws", name), nil
}

// taken are the profiles of the credentials file. One that cannot be read takes none.
func (c *configuring) taken() []string {
	path, err := awsFile(c.getenv, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
	if err != nil {
		return nil
	}
	file, err := awsconfig.Load(path)
	if err != nil {
		return nil
	}
	return file.Profiles()
}

func (c *configuring) report(path string, changes awsconfig.Changes) {
	for _, s := range changes.Skipped {
		fmt.Fprintf(c.stderr, "rolecall: left out %s: %s\n", s.Name, s.Why)
	}
	if bytes.Equal(changes.Before, changes.After) {
		fmt.Fprintf(c.stderr, "%s is up to date: %d profiles.\n", path, len(changes.Unchanged))
		return
	}
	verb := "now has"
	if c.dryRun {
		verb = "would have"
	}
	fmt.Fprintf(c.stderr, "%s %s %d new, %d changed, %d removed, %d unchanged profiles.\n", path, verb,
		len(changes.Added), len(changes.Updated), len(changes.Removed), len(changes.Unchanged))
	if next := append(changes.Added, changes.Updated...); len(next) > 0 && !c.dryRun {
		fmt.Fprintf(c.stderr, "Try: aws sts get-caller-identity --profile %s\n", next[0])
	}
}

// profileSafe is a name in characters that every tool takes in a profile's name;
// the portal makes the same of it.
func profileSafe(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_.@+=,-", r):
			return r
		}
		return '-'
	}, name)
}
