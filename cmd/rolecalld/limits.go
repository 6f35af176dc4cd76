package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/operate/gatekeeper"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

func (d *daemon) limits() *cobra.Command {
	var path, address string
	var asJSON bool
	c := &cobra.Command{
		Use:   "limits",
		Short: "List and clear the addresses that are kept out",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the addresses that are kept out, the longest first",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return d.listBlocks(c.Context(), path, asJSON) },
	}
	list.Flags().BoolVar(&asJSON, "json", false, "a line of JSON for each")
	configFlag(list, &path)
	remove := &cobra.Command{
		Use:   "clear",
		Short: "Let addresses in again, on every node within two seconds",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return d.clearBlocks(c.Context(), path, address) },
	}
	remove.Flags().StringVar(&address, "address", "", "one address (of IPv6, its /64); without it all are cleared")
	configFlag(remove, &path)
	c.AddCommand(list, remove)
	return c
}

// gatekeeper opens the store for one deed.
func (d *daemon) gatekeeper(ctx context.Context, path string, use func(g gatekeeper.Gatekeeper) error) (record string, err error) {
	loaded, err := d.load(path)
	if err != nil {
		return "", err
	}
	return assemble.Limits(ctx, assemble.Options{Config: loaded, Log: d.logger(slog.LevelWarn), Now: d.now}, operatorName(), use)
}

func (d *daemon) listBlocks(ctx context.Context, path string, asJSON bool) error {
	var found []limit.Block
	_, err := d.gatekeeper(ctx, path, func(g gatekeeper.Gatekeeper) (err error) {
		found, err = g.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return writeBlocks(d.stdout, found, asJSON)
}

func writeBlocks(w io.Writer, found []limit.Block, asJSON bool) error {
	b := bufio.NewWriter(w)
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if len(found) == 0 && !asJSON {
		fmt.Fprintln(b, "No address is kept out.")
	}
	for _, f := range found {
		if !asJSON {
			fmt.Fprintf(b, "%s  until %s  since %s  %d offences, the last was %s\n", f.Network, at(f.Until), at(f.Since), f.Count, f.What)
			continue
		}
		line, err := json.Marshal(struct {
			Network string `json:"network"`
			Since   string `json:"since"`
			Until   string `json:"until"`
			Count   int    `json:"count"`
			What    string `json:"what"`
		}{f.Network.String(), at(f.Since), at(f.Until), f.Count, f.What})
		if err != nil {
			return err
		}
		fmt.Fprintln(b, string(line))
	}
	return b.Flush()
}

func (d *daemon) clearBlocks(ctx context.Context, path, text string) error {
	var address netip.Addr
	if text != "" {
		var err error
		if address, err = netip.ParseAddr(text); err != nil {
			return errUsage{fmt.Errorf("--address %q: want an address such as 192.0.2.1 or 2001:db8::1", text)}
		}
	}
	cleared := 0
	record, err := d.gatekeeper(ctx, path, func(g gatekeeper.Gatekeeper) (err error) {
		cleared, err = g.Clear(ctx, address)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.stdout, "Cleared: %d; recorded in %s. Every node knows within two seconds.\n", cleared, record)
	return err
}
