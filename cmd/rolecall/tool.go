package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/cache"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// Manners of the terminal: what was asked for goes to stdout and nothing else
// does; an error is one line on stderr that says what to do; questions, hints and
// addresses to open go to stderr.

// tool is one run of the program with its surroundings.
type tool struct {
	getenv         func(string) string
	environ        func() []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	flags          settings.Flags
}

// errUsage marks a command line that cannot be understood.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

func (t *tool) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "rolecall",
		Short:         "AWS credentials from your identity provider",
		Long:          "rolecall signs in at a rolecall broker and hands the temporary AWS credentials of your roles\nto the AWS CLI, to SDKs and to the console.\n\nStart with:  rolecall login --url https://sso.example.com",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetArgs(args)
	root.SetIn(t.stdin)
	root.SetOut(t.stdout)
	root.SetErr(t.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	root.PersistentFlags().StringVar(&t.flags.Profile, "profile", "", "profile of rolecall's own settings ($ROLECALL_PROFILE, default \"default\")")
	root.PersistentFlags().StringVar(&t.flags.Dir, "config-dir", "", "folder of rolecall's settings ($ROLECALL_CONFIG_DIR, default the user's)")
	root.PersistentFlags().StringVar(&t.flags.URL, "url", "", "address of the broker ($ROLECALL_URL, default that of the last login)")
	root.AddCommand(t.login(), t.logout(), t.whoami(), t.roles(), t.credentialProcess(), t.env(), t.exec(), t.agent(), t.console(), t.configure(), t.profiles(), t.doctor(), t.dpop(), t.version())
	_ = root.RegisterFlagCompletionFunc("profile", t.completeProfiles) // fails for an unknown flag only
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	return root
}

// usageArgs makes wrong arguments an error of usage, exit code 2.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.NoArgs
		}
		if err := check(c, args); err != nil {
			return errUsage{err}
		}
		return nil
	}
}

// profile gives the settings of this call; a command that needs a broker says so.
func (t *tool) profile() (settings.Settings, error) {
	s, err := settings.Load(t.flags, t.getenv)
	if err != nil {
		return s, errUsage{err}
	}
	if s.URL == "" {
		return s, errUsage{errors.New("no broker is known yet; run: rolecall login --url https://sso.example.com")}
	}
	return s, nil
}

func (t *tool) client(s settings.Settings) *client.Client {
	return client.New(client.Config{Settings: s, Getenv: t.getenv, Stderr: t.stderr, Now: t.now})
}

func (t *tool) cache(s settings.Settings) cache.Cache { return cache.Cache{Settings: s, Now: t.now} }

// exitCode prints an error for people and gives the code for scripts.
func (t *tool) exitCode(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[errExit](err); ok {
		return int(code)
	}
	if ctx.Err() != nil {
		return 130
	}
	fmt.Fprintln(t.stderr, "rolecall: "+t.errorText(err))
	usage, isUsage := errors.AsType[errUsage](err)
	for _, start := range []string{"unknown command", "required flag", "if any flags in the group"} { // cobra's own
		isUsage = isUsage || strings.HasPrefix(err.Error(), start)
	}
	if isUsage {
		if !strings.Contains(fmt.Sprint(usage), "; run:") {
			fmt.Fprintln(t.stderr, "Run 'rolecall --help' for usage.")
		}
		return 2
	}
	return 1
}

// errorText is an error in one line that says what to do.
func (t *tool) errorText(err error) string {
	text := printable(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", " "))
	if refused, ok := errors.AsType[*client.APIError](err); ok && refused.Code == "insufficient_user_authentication" {
		text += "; run: " + t.loginCommand("--fresh")
	}
	if errors.Is(err, client.ErrSignedOut) {
		text += "; run: " + t.loginCommand()
	}
	return text
}

// loginCommand is the line that signs in again, as this person has to type it.
func (t *tool) loginCommand(flags ...string) string {
	line := []string{"rolecall login"}
	if t.flags.Dir != "" {
		line = append(line, "--config-dir "+shellQuote(t.flags.Dir))
	}
	if t.flags.Profile != "" {
		line = append(line, "--profile "+t.flags.Profile)
	}
	if t.flags.URL != "" {
		line = append(line, "--url "+shellQuote(t.flags.URL))
	}
	return strings.Join(append(line, flags...), " ")
}
