package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/idp"
)

// explainFlags are the question: who, which role, under what circumstances.
type explainFlags struct {
	config, identity, identities string
	role, at, address            string
	device, app                  string
	guest, asJSON                bool
}

func (d *daemon) explain() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain",
		Short: "Say why an identity does or does not get its roles",
		Long: "Say grant by grant why an identity does or does not get its roles, and the exact parameters that STS\n" +
			"would be sent. The identity is a JSON document as of GET /api/v1/identity. With --role the exit code\n" +
			"is 1 when that role is not granted.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return d.runExplain(f) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.identity, "identity", "", "file with one identity, - for stdin")
	c.Flags().StringVar(&f.identities, "identities", "", "file with one identity a line; prints one line of JSON each")
	c.Flags().StringVar(&f.role, "role", "", "the role asked about, as ARN or ACCOUNT/ROLE")
	c.Flags().StringVar(&f.at, "at", "", "the time of the request, RFC 3339 (default now)")
	c.Flags().StringVar(&f.address, "address", "", "the client's IP address")
	c.Flags().StringVar(&f.device, "device", "", "the device's id")
	c.Flags().StringVar(&f.app, "app", "", "the app through which the order comes")
	c.Flags().BoolVar(&f.guest, "guest", false, "the device of the app has nobody logged in")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the decision as JSON")
	c.MarkFlagsOneRequired("identity", "identities")
	c.MarkFlagsMutuallyExclusive("identity", "identities")
	return c
}

func (d *daemon) runExplain(f explainFlags) error {
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	compiled, err := assemble.Policy(loaded)
	if err != nil {
		return err
	}
	ask, err := d.ask(f, compiled)
	if err != nil {
		return errUsage{err}
	}
	from, all := f.identity, false
	if f.identities != "" {
		from, all = f.identities, true
	}
	people, err := d.readIdentities(from, all)
	if err != nil {
		return errUsage{err}
	}
	refused := false
	for _, who := range people {
		decision := compiled.Explain(who, ask)
		refused = refused || (f.role != "" && !grants(decision, ask.Role))
		if f.asJSON || all {
			err = d.printDecision(decision, all)
		} else {
			err = writeDecision(d.stdout, who, decision, ask.Role)
		}
		if err != nil {
			return err
		}
	}
	if refused {
		return errRefused
	}
	return nil
}

func (d *daemon) ask(f explainFlags, compiled *policy.Policy) (policy.Ask, error) {
	ask := policy.Ask{Time: d.now(), Device: f.device, App: f.app, Guest: f.guest, Via: "browser"}
	var err error
	if f.app != "" {
		ask.Via = "tvm"
	}
	if f.role != "" {
		if ask.Role, err = compiled.ResolveRole(f.role); err != nil {
			return ask, fmt.Errorf("--role: %w", err)
		}
	}
	if f.at != "" {
		if ask.Time, err = time.Parse(time.RFC3339, f.at); err != nil {
			return ask, fmt.Errorf("--at %q: want a time like 2026-11-23T09:00:00Z", f.at)
		}
	}
	if f.address != "" {
		if ask.Address, err = netip.ParseAddr(f.address); err != nil {
			return ask, fmt.Errorf("--address %q is not an IP address", f.address)
		}
	}
	return ask, nil
}

func grants(decision policy.Decision, role iam.RoleARN) bool {
	for _, g := range decision.Granted {
		if g.Role == role {
			return true
		}
	}
	return false
}

// readIdentities reads one document, or one a line.
func (d *daemon) readIdentities(path string, lines bool) ([]idp.Identity, error) {
	in := d.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	if !lines {
		text, err := io.ReadAll(io.LimitReader(in, 1<<20))
		if err != nil {
			return nil, err
		}
		who, err := parseIdentity(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return []idp.Identity{who}, nil
	}
	var people []idp.Identity
	scan := bufio.NewScanner(in)
	scan.Buffer(nil, 1<<20)
	for n := 1; scan.Scan(); n++ {
		if strings.TrimSpace(scan.Text()) == "" {
			continue
		}
		who, err := parseIdentity(scan.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		people = append(people, who)
	}
	return people, scan.Err()
}

func parseIdentity(text []byte) (idp.Identity, error) {
	var who idp.Identity
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&who); err != nil {
		return who, fmt.Errorf("not an identity: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return who, errors.New("more than one JSON document; use --identities with one a line")
	}
	if who.Provider == "" || who.Subject == "" {
		return who, errors.New("an identity needs provider and subject")
	}
	return who, nil
}

func (d *daemon) printDecision(decision policy.Decision, line bool) error {
	e := json.NewEncoder(d.stdout)
	if !line {
		e.SetIndent("", "  ")
	}
	return e.Encode(decision)
}

// writeDecision prints a decision for people: the answer, then the reasons.
func writeDecision(w io.Writer, who idp.Identity, decision policy.Decision, role iam.RoleARN) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s of %s, groups: %s\n", who.Username, who.Provider, strings.Join(who.Groups, ", "))
	if role != (iam.RoleARN{}) && !grants(decision, role) {
		fmt.Fprintf(b, "No: %s is not granted.\n", role)
	}
	for _, g := range decision.Granted {
		fmt.Fprintf(b, "\n+ %s   by grant %s\n    for %s (at most %s), session name %s, source identity %s\n",
			g.Role, g.Grant, g.Duration, g.MaxDuration, g.SessionName, g.SourceIdentity)
		for _, t := range g.Tags {
			fmt.Fprintf(b, "    tag %s = %s\n", t.Key, t.Value)
		}
		if g.Policy != "" {
			fmt.Fprintf(b, "    session policy %s\n", g.Policy)
		}
	}
	for _, x := range decision.Denied {
		fmt.Fprintf(b, "\n- %s   withheld by grant %s: %s\n", x.Role, x.Grant, x.Reason)
	}
	fmt.Fprintf(b, "\nGrants, in file order:\n")
	for _, t := range decision.Trace {
		mark := " "
		if t.Matched {
			mark = "*"
		}
		fmt.Fprintf(b, "%s %s\n", mark, t.Grant)
		for _, test := range t.Tests {
			held := "no "
			if test.Held {
				held = "yes"
			}
			fmt.Fprintf(b, "    %s %s  %s\n", held, test.Test, test.Detail)
		}
	}
	return b.Flush()
}
