package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
)

func (d *daemon) serve() *cobra.Command {
	var path string
	var verbose bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker from a configuration file",
		Long: "Run the broker from a configuration file. SIGHUP reads the file again: providers, grants, accounts, sessions,\n" +
			"admins and the certificate change at once, what else changes waits for a restart and is said in the log. A file\n" +
			"that `rolecalld check` would refuse changes nothing.",
		Args: cobra.NoArgs,
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
	err = d.listenAndServe(ctx, loaded, broker, log)
	if closed := broker.Close(); err == nil {
		err = closed
	}
	return err
}

// listenAndServe runs both listeners until ctx ends.
func (d *daemon) listenAndServe(ctx context.Context, loaded *config.Config, broker *assemble.Daemon, log *slog.Logger) error {
	listener, err := net.Listen("tcp", loaded.Server.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", loaded.Server.Listen, err)
	}
	metrics, goOn, err := broker.ListenMetrics()
	if err != nil && !goOn {
		return errors.Join(err, listener.Close())
	}
	if err != nil {
		log.Warn("no metrics: set metrics.listen to a free address, or to off", "error", err)
	}
	end := d.reloadOnHangup(ctx, broker, loaded.File, log)
	defer end()
	log.Info("serving", "url", loaded.Server.URL.Value, "listen", listener.Addr().String(), "config", loaded.File, "digest", loaded.Digest)
	group, ctx := errgroup.WithContext(ctx)
	if metrics != nil {
		log.Info("metrics", "listen", metrics.Addr().String())
		group.Go(func() error { return broker.ServeMetrics(ctx, metrics) })
	}
	group.Go(func() error { return broker.Serve(ctx, listener) })
	return group.Wait()
}

// reloadOnHangup reads the configuration again at each SIGHUP, until end. What is
// wrong with it is in the log and in the record.
func (d *daemon) reloadOnHangup(ctx context.Context, broker *assemble.Daemon, path string, log *slog.Logger) (end func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				log.Info("reading the configuration again", "config", path)
				_ = broker.Reload(ctx, func() (*config.Config, error) { return config.Load(path) }) // it has said so
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		cancel()
		<-ended
	}
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
