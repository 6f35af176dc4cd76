package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
)

func (d *daemon) serve() *cobra.Command {
	var path string
	var verbose bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker from a configuration file",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := d.load(path)
			if err != nil {
				return err
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			return d.runServer(c.Context(), loaded, d.logger(level))
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log in detail")
	return c
}

func (d *daemon) runServer(ctx context.Context, loaded *config.Config, log *slog.Logger) error {
	for _, w := range loaded.Warnings {
		log.Warn("configuration", "warning", w.Error())
	}
	broker, err := assemble.New(ctx, assemble.Options{Config: loaded, Log: log, Now: d.now})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", loaded.Server.Listen)
	if err != nil {
		_ = broker.Close()
		return fmt.Errorf("listen on %s: %w", loaded.Server.Listen, err)
	}
	log.Info("serving", "url", loaded.Server.URL.Value, "listen", listener.Addr().String(), "config", loaded.File, "digest", loaded.Digest)
	err = broker.Serve(ctx, listener)
	if closed := broker.Close(); err == nil {
		err = closed
	}
	return err
}

func (d *daemon) check() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "check",
		Short: "Judge a configuration file: every mistake as file:line, exit code 2",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			loaded, err := config.Load(path)
			if loaded == nil {
				return unreadable(err)
			}
			warnings, more := assemble.Check(assemble.Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: d.now})
			err = joinFaults(err, more)
			for _, w := range warnings {
				fmt.Fprintln(d.stderr, "warning: "+w.Error())
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(d.stdout, "%s: valid: %d providers, %d accounts, %d grants\n",
				path, len(loaded.Providers), len(loaded.Accounts), len(loaded.Grants))
			return nil
		},
	}
	configFlag(c, &path)
	return c
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

func (d *daemon) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := d.stdout.Write(config.Schema())
			return err
		},
	}
}
