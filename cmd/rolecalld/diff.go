package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

func (d *daemon) diff() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "diff OLD.yaml NEW.yaml",
		Short: "Say who gains or loses which role between two configurations",
		Long: "Say who gains, who loses and who gets with other parameters which role between two configurations, over\n" +
			"a file of identities, one JSON document a line as for explain. The exit code is 0 whatever changes.",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, files []string) error { return d.runDiff(files[0], files[1], f) },
	}
	c.Flags().StringVar(&f.identities, "identities", "", "file with one identity a line, - for stdin (required)")
	c.Flags().StringVar(&f.at, "at", "", "the time of the request, RFC 3339 (default now)")
	c.Flags().StringVar(&f.address, "address", "", "the client's IP address")
	c.Flags().StringVar(&f.device, "device", "", "the device's id")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the changes as JSON")
	_ = c.MarkFlagRequired("identities") // fails for an unknown flag only
	return c
}

func (d *daemon) runDiff(before, after string, f explainFlags) error {
	var policies []*policy.Policy
	for _, path := range []string{before, after} {
		loaded, err := d.load(path)
		if err != nil {
			return err
		}
		compiled, err := assemble.Policy(loaded)
		if err != nil {
			return err
		}
		policies = append(policies, compiled)
	}
	ask, err := d.ask(f, policies[1])
	if err != nil {
		return errUsage{err}
	}
	people, err := d.readIdentities(f.identities, true)
	if err != nil {
		return errUsage{err}
	}
	changes := policy.Diff(policies[0], policies[1], people, ask)
	if f.asJSON {
		e := json.NewEncoder(d.stdout)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Identities int             `json:"identities"`
			Changes    []policy.Change `json:"changes"`
		}{len(people), append([]policy.Change{}, changes...)})
	}
	return writeChanges(d.stdout, len(people), changes)
}

// writeChanges prints changes for people, grouped by identity.
func writeChanges(w io.Writer, people int, changes []policy.Change) error {
	b := bufio.NewWriter(w)
	affected, last := 0, ""
	for _, c := range changes {
		if who := c.Identity.Provider + "=" + c.Identity.Subject; who != last {
			affected, last = affected+1, who
			fmt.Fprintf(b, "%s (%s)\n", c.Identity.Username, who)
		}
		switch c.Kind() {
		case "gained":
			fmt.Fprintf(b, "  + %s   by grant %s\n", c.Role, c.New.Grant)
		case "lost":
			fmt.Fprintf(b, "  - %s   was given by grant %s; now %s\n", c.Role, c.Old.Grant, c.Reason)
		default:
			fmt.Fprintf(b, "  ~ %s   by grant %s: other %s\n", c.Role, c.New.Grant, strings.Join(c.Fields, ", "))
		}
	}
	fmt.Fprintf(b, "%d of %d identities change\n", affected, people)
	return b.Flush()
}
