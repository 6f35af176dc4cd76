package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

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
