package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/audit"
)

func (d *daemon) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Work with the audit record",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "verify FILE...",
		Short: "Follow the hash chain of audit files; exit code 1 and the first broken record where it breaks",
		Args:  cobra.MinimumNArgs(1),
		RunE:  func(_ *cobra.Command, files []string) error { return d.verify(files) },
	})
	return c
}

// verify follows each chain by itself, and finds files that are copies of one another.
func (d *daemon) verify(names []string) error {
	var files []audit.File
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, errors.Unwrap(err)) // the path once
		}
		defer func() { _ = f.Close() }()
		files = append(files, audit.File{Name: name, Reader: f})
	}
	summaries, err := audit.VerifySet(files)
	if err != nil {
		fmt.Fprintln(d.stderr, err)
		return errRefused
	}
	for i, s := range summaries {
		fmt.Fprintf(d.stdout, "%s: the chain holds: %d records, last hash %s\n", names[i], s.Records, s.LastHash)
	}
	return nil
}

func (d *daemon) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			version, revision := "devel", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				if info.Main.Version != "" {
					version = info.Main.Version
				}
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			_, err := fmt.Fprintln(d.stdout, strings.TrimSpace("rolecalld "+version+" "+revision))
			return err
		},
	}
}
