package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
)

func (d *daemon) check() *cobra.Command {
	var path string
	var online bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Judge a configuration file: every mistake as file:line, exit code 2",
		Long: "Judge a configuration file without starting anything: every mistake as file:line, exit code 2; warnings\n" +
			"change nothing. With --online each identity provider is asked for its metadata too, and a certificate\n" +
			"that runs out within 30 days is a warning; a provider that does not answer gives exit code 1.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := config.Load(path)
			if loaded == nil {
				return unreadable(err)
			}
			options := assemble.Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: d.now}
			warnings, more := assemble.Check(options)
			d.warn(warnings)
			if err := joinFaults(err, more); err != nil {
				return err
			}
			fmt.Fprintf(d.stdout, "%s: valid: %d providers, %d accounts, %d grants\n",
				path, len(loaded.Providers), len(loaded.Accounts), len(loaded.Grants))
			for _, line := range loaded.Filled() {
				fmt.Fprintln(d.stdout, line)
			}
			if online {
				return d.checkOnline(c.Context(), options)
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&online, "online", false, "ask the identity providers too")
	return c
}

func (d *daemon) warn(warnings config.Faults) {
	for _, w := range warnings {
		fmt.Fprintln(d.stderr, "warning: "+w.Error())
	}
}

// checkOnline asks every provider, one after the other, and says what it answered.
func (d *daemon) checkOnline(ctx context.Context, options assemble.Options) error {
	answers, err := assemble.CheckOnline(ctx, options)
	if err != nil {
		return err
	}
	for _, a := range answers {
		for _, line := range a.Says {
			fmt.Fprintf(d.stdout, "%s: %s\n", a.Provider, line)
		}
		d.warn(a.Warnings)
		if a.Err != nil {
			fmt.Fprintf(d.stderr, "%s: %v\n", a.Provider, a.Err)
			err = errRefused
		}
	}
	return err
}

// joinFaults gives the mistakes that the file shows by itself together with
// those that the constructors found, in file order. Where both judge the same
// key of the same line, the file's own words are enough.
func joinFaults(own, more error) error {
	all, isFaults := errors.AsType[config.Faults](own)
	if own != nil && !isFaults {
		return own
	}
	found, isFaults := errors.AsType[config.Faults](more)
	if more != nil && !isFaults {
		return more
	}
	said := map[string]bool{}
	for _, f := range all {
		said[keyOf(f)] = true
	}
	for _, f := range found {
		if !said[keyOf(f)] {
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b config.Fault) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Message, b.Message))
	})
	return all.Err()
}

// section is the list that a key stands in, as config names it.
var section = regexp.MustCompile(`^[a-z_]+\[\](\.|: )`)

// keyOf is the place and key that a fault is about: "grants[].role: ..." and
// "role: ..." are about the same.
func keyOf(f config.Fault) string {
	key, _, _ := strings.Cut(section.ReplaceAllString(f.Message, ""), ": ")
	return f.Pos.String() + " " + key
}
