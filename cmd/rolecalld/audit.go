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
		RunE: func(_ *cobra.Command, files []string) error {
			broken := false
			for _, file := range files {
				if err := d.verify(file); err != nil {
					broken = true
					fmt.Fprintf(d.stderr, "%s: %v\n", file, err)
				}
			}
			if broken {
				return errRefused
			}
			return nil
		},
	})
	return c
}

func (d *daemon) verify(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return errors.Unwrap(err) // the path is printed already
	}
	defer func() { _ = f.Close() }()
	summary, err := audit.Verify(f)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "%s: the chain holds: %d records, last hash %s\n", file, summary.Records, summary.LastHash)
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
