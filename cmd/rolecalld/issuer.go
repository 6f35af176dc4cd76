package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

func (d *daemon) issuer() *cobra.Command {
	c := &cobra.Command{
		Use:   "issuer",
		Short: "Work with the broker as an OpenID Connect issuer",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var path string
	export := &cobra.Command{
		Use:   "export DIR",
		Short: "Write discovery, keys and SAML metadata as files, for a broker that AWS cannot reach",
		Long: "Write what AWS must be able to read of the issuer as static files below DIR: put them where issuer.url\n" +
			"points. Run it at least once a day: the next signing key is published a day before it signs.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			loaded, err := d.load(path)
			if err != nil {
				return err
			}
			written, err := assemble.ExportIssuer(c.Context(), assemble.Options{Config: loaded, Log: d.logger(slog.LevelWarn), Now: d.now}, args[0])
			for _, file := range written {
				fmt.Fprintln(d.stdout, file)
			}
			return err
		},
	}
	configFlag(export, &path)
	c.AddCommand(export)
	return c
}
