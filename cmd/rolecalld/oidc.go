package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/idp/oidc"
)

func (d *daemon) oidcCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "oidc",
		Short: "Work with OpenID Connect tokens",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(d.inspectOIDC())
	return c
}

// inspectOIDCFlags are the circumstances under which a token is judged.
type inspectOIDCFlags struct {
	config, provider, at, nonce string
	asJSON                      bool
}

func (d *daemon) inspectOIDC() *cobra.Command {
	var f inspectOIDCFlags
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Judge a token as sign-in or token exchange would, and say step by step what fits and what does not",
		Long: "Judge an ID token (a file; - for stdin) by the very code of sign-in (with --nonce) or of token exchange\n" +
			"(without), with the given clock. No store is opened and no session begun; the provider's keys are\n" +
			"fetched unless jwks_file names them. The verdict is JSON on stdout; the steps for people go to stderr\n" +
			"unless --json. Exit code 0: accepted. 1: refused. 2: wrong usage or configuration.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return d.runInspectOIDC(c.Context(), f, args[0]) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.provider, "provider", "", "the provider that the token is of (required)")
	c.Flags().StringVar(&f.at, "at", "", "the time of judging, RFC 3339 (default now)")
	c.Flags().StringVar(&f.nonce, "nonce", "", "judge as at sign-in with this nonce (default: as at token exchange)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "only the JSON")
	_ = c.MarkFlagRequired("provider") // fails for an unknown flag only
	return c
}

func (d *daemon) runInspectOIDC(ctx context.Context, f inspectOIDCFlags, file string) error {
	at := d.now()
	if f.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return errUsage{fmt.Errorf("--at %q: want a time like 2026-11-24T10:00:00Z", f.at)}
		}
	}
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	token, err := d.readDocument(file)
	if err != nil {
		return errUsage{err}
	}
	options := assemble.Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: d.now}
	report, err := assemble.OIDCReport(ctx, options, f.provider, oidc.Inspection{Token: strings.TrimSpace(string(token)), At: at, Nonce: f.nonce})
	if err != nil {
		return unreadable(err)
	}
	if !f.asJSON {
		writeOIDCSteps(d.stderr, report)
	}
	out := json.NewEncoder(d.stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(report); err != nil {
		return err
	}
	if report.Reason != "" {
		return errRefused
	}
	return nil
}

// writeOIDCSteps says for people what was checked, in order, and the verdict.
func writeOIDCSteps(w io.Writer, r oidc.Report) {
	for _, s := range r.Steps {
		mark := "ok  "
		if !s.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s  %-28s %s\n", mark, s.Step, plainText(s.Detail))
	}
	if r.Reason != "" {
		fmt.Fprintf(w, "\nRefused: %s (%s)\n", r.Reason, plainText(r.Detail))
		return
	}
	fmt.Fprintf(w, "\nAccepted: %s\n", plainText(r.Identity.Subject))
}
