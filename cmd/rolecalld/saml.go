package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/idp/saml"
)

// maxDocument bounds what is read for inspection; the ACS takes far less.
const maxDocument = 4 << 20

func (d *daemon) samlCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "saml",
		Short: "Work with SAML documents",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(d.inspectSAML())
	return c
}

// inspectFlags are the circumstances under which a document is judged.
type inspectFlags struct {
	config, provider, at, requestID string
	exchange, asJSON                bool
}

func (d *daemon) inspectSAML() *cobra.Command {
	var f inspectFlags
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Judge a SAML response as the ACS would, and say step by step what fits and what does not",
		Long: "Judge a SAML response (XML, or base64 as a browser's developer tools show it; - for stdin) by the very\n" +
			"code of the ACS, with the given clock and pending request. No store is opened, no connection made and\n" +
			"no session begun. The verdict is JSON on stdout; the steps for people go to stderr unless --json.\n" +
			"Exit code 0: accepted. 1: refused. 2: wrong usage or configuration.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return d.runInspectSAML(f, args[0]) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.provider, "provider", "", "the provider that the document is for (required)")
	c.Flags().StringVar(&f.at, "at", "", "the time of judging, RFC 3339 (default now)")
	c.Flags().StringVar(&f.requestID, "request-id", "", "the ID of the pending AuthnRequest (default none: nobody asked)")
	c.Flags().BoolVar(&f.exchange, "exchange", false, "judge as for token exchange; the document may be a bare Assertion")
	c.Flags().BoolVar(&f.asJSON, "json", false, "only the JSON")
	_ = c.MarkFlagRequired("provider") // fails for an unknown flag only
	return c
}

func (d *daemon) runInspectSAML(f inspectFlags, file string) error {
	at := d.now()
	if f.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return errUsage{fmt.Errorf("--at %q: want a time like 2026-11-24T10:00:00Z", f.at)}
		}
	}
	if f.exchange && f.requestID != "" {
		return errUsage{errors.New("--exchange has no pending request: leave --request-id out")}
	}
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	document, err := d.readDocument(file)
	if err != nil {
		return errUsage{err}
	}
	options := assemble.Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return at }}
	verdict, warnings, err := assemble.SAMLVerdict(options, f.provider, document, saml.Inspection{At: at, RequestID: f.requestID, Exchange: f.exchange})
	if err != nil {
		return unreadable(err)
	}
	if !f.asJSON {
		for _, w := range warnings {
			fmt.Fprintln(d.stderr, "warning: "+w.Error())
		}
		writeSteps(d.stderr, verdict)
	}
	out := json.NewEncoder(d.stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(verdict); err != nil {
		return err
	}
	if verdict.Reason != "" {
		return errRefused
	}
	return nil
}

// readDocument reads a file, or stdin for -.
func (d *daemon) readDocument(name string) ([]byte, error) {
	in := d.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	document, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(document) > maxDocument:
		return nil, fmt.Errorf("%s is larger than %d bytes: no SAML response is", name, maxDocument)
	case strings.TrimSpace(string(document)) == "":
		return nil, fmt.Errorf("%s is empty", name)
	}
	return document, nil
}

// writeSteps says for people what was checked, in order, and the verdict.
func writeSteps(w io.Writer, v saml.Verdict) {
	for _, s := range v.Steps {
		mark := "ok  "
		if !s.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s  %-28s %s\n", mark, s.Step, plainText(s.Detail))
	}
	switch {
	case v.Reason == "":
		fmt.Fprintf(w, "\nAccepted: %s\n", plainText(v.Identity.Subject))
	case v.Identity != nil:
		fmt.Fprintf(w, "\nRefused: %s. Apart from its weaknesses it would have been %s.\n", v.Reason, plainText(v.Identity.Subject))
	default:
		fmt.Fprintf(w, "\nRefused: %s\n", v.Reason)
	}
}

// plainText keeps a document from writing to the terminal: no control characters,
// and nothing that turns the direction of text around.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '\uFFFD'
		}
		return r
	}, s)
}
