package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/config"
)

// daemon is one run of the program with its surroundings.
type daemon struct {
	getenv         func(string) (string, bool)
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
}

// errUsage marks a wrong command line or configuration: exit code 2.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// run executes one command line: 0 done, 1 refused or failed, 2 wrong usage or
// configuration.
func (d *daemon) run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:           "rolecalld",
		Short:         "Identity federation broker for AWS",
		Long:          "rolecalld signs people and programs in at your identity providers and hands them temporary AWS\ncredentials by one policy.\n\nTry it:  rolecalld dev",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetArgs(args)
	root.SetIn(d.stdin)
	root.SetOut(d.stdout)
	root.SetErr(d.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	root.AddCommand(d.dev(), d.serve(), d.check(), d.explain(), d.test(), d.diff(), d.aws(), d.issuer(), d.revoke(), d.limits(), d.users(), d.auditCommand(), d.samlCommand(), d.oidcCommand(), d.schema(), d.version())
	return d.exitCode(root.ExecuteContext(ctx))
}

func (d *daemon) exitCode(err error) int {
	if err == nil {
		return 0
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintln(d.stderr, faults.Error())
		return 2
	}
	if errors.Is(err, errRefused) {
		return 1
	}
	fmt.Fprintln(d.stderr, "rolecalld: "+err.Error())
	_, usage := errors.AsType[errUsage](err)
	for _, ofCobra := range []string{"unknown command", "required flag", "accepts ", "requires ", "at least one of the flags", "if any flags in the group"} {
		usage = usage || strings.HasPrefix(err.Error(), ofCobra)
	}
	if usage {
		fmt.Fprintln(d.stderr, "Run 'rolecalld --help' for usage.")
		return 2
	}
	return 1
}

// errRefused is a "no" that has been said on stdout already.
var errRefused = errors.New("refused")

// configFlag adds --config, which the command cannot do without.
func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "", "the configuration file (required)")
	_ = c.MarkFlagRequired("config") // fails for an unknown flag only
}

// load reads a configuration that is to be used.
func (d *daemon) load(path string) (*config.Config, error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, unreadable(err)
	}
	return c, nil
}

// unreadable makes a file that cannot be read an error of usage.
func unreadable(err error) error {
	if _, faults := errors.AsType[config.Faults](err); faults {
		return err
	}
	return errUsage{err}
}

func (d *daemon) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(d.stderr, &slog.HandlerOptions{Level: level}))
}
