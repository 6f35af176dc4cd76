package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

// revokeFlags are what to take back.
type revokeFlags struct {
	config               string
	user, session, grant string
	until                string
	aws                  bool
}

func (d *daemon) revoke() *cobra.Command {
	var f revokeFlags
	c := &cobra.Command{
		Use:   "revoke",
		Short: "End what a person, a session or a grant has, on every node within two seconds",
		Long: "End the sessions, tokens and cached credentials of a person (by user name or PROVIDER=SUBJECT), of one\n" +
			"session (by its id in the record), or what is cached of a grant. With --until also new sign-ins (user) or\n" +
			"orders (grant) are refused before that time. AWS credentials that are out already live on: with --aws\n" +
			"the policy that denies them is printed, and the commands that put it on the roles.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return d.runRevoke(c.Context(), f) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.user, "user", "", "a user name, or PROVIDER=SUBJECT")
	c.Flags().StringVar(&f.session, "session", "", "the id of a session")
	c.Flags().StringVar(&f.grant, "grant", "", "the name of a grant")
	c.Flags().StringVar(&f.until, "until", "", "refuse new sign-ins (user) or orders (grant) before this time, RFC 3339")
	c.Flags().BoolVar(&f.aws, "aws", false, "print what denies credentials that are out already")
	c.MarkFlagsOneRequired("user", "session", "grant")
	c.MarkFlagsMutuallyExclusive("user", "session", "grant")
	return c
}

func (d *daemon) runRevoke(ctx context.Context, f revokeFlags) error {
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	order := operate.Order{Kind: revocation.User, Target: cmp.Or(f.user, f.session, f.grant)}
	switch order.Target {
	case f.session:
		order.Kind = revocation.Session
	case f.grant:
		order.Kind = revocation.Grant
	}
	if f.until != "" {
		if order.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
			return errUsage{fmt.Errorf("--until %q: want a time like 2026-11-23T09:00:00Z", f.until)}
		}
	}
	options := assemble.Options{Config: loaded, Log: d.logger(slog.LevelWarn), Now: d.now}
	done, err := assemble.Revoke(ctx, options, order, operatorName())
	if errors.Is(err, operate.ErrBadOrder) {
		return errUsage{err}
	}
	if err != nil {
		return err
	}
	return writeRevoked(d.stdout, order, done, f.aws)
}

// operatorName is who runs the program, for the record.
func operatorName() string {
	who, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return who.Username
}

// writeRevoked says what was changed, how to undo it, and what is left to do.
func writeRevoked(w io.Writer, order operate.Order, done assemble.Revoked, aws bool) error {
	b := bufio.NewWriter(w)
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	fmt.Fprintf(b, "Revocation %d of %s %s, at %s; recorded in %s.\n", done.Number, order.Kind, order.Target, at(done.At), done.Record)
	if len(done.People) > 0 {
		var names []string
		for _, p := range done.People {
			names = append(names, p.String())
		}
		fmt.Fprintf(b, "Sessions and tokens ended of: %s.\n", strings.Join(names, ", "))
	}
	if order.Until.IsZero() {
		fmt.Fprintf(b, "Nothing is barred: whoever may sign in gets new ones. What has ended stays ended.\n")
	} else {
		fmt.Fprintf(b, "Until %s new ones are refused.\n", at(order.Until))
	}
	fmt.Fprintf(b, "AWS credentials that are out already end by %s at the latest.\n", at(done.Last))
	if !aws {
		fmt.Fprintf(b, "To cut them off now: the same with --aws, which prints the policy.\n")
		return b.Flush()
	}
	writeDeny(b, done)
	return b.Flush()
}

// writeDeny prints the policy and the commands.
func writeDeny(b *bufio.Writer, done assemble.Revoked) {
	const file = "rolecall-revoke.json"
	for _, note := range done.Notes {
		fmt.Fprintf(b, "Note: %s.\n", note)
	}
	if len(done.Deny.Roles) == 0 {
		return
	}
	apply, undo := done.Deny.Commands(file)
	fmt.Fprintf(b, "\nSave this as %s:\n\n%s\n\nThen, in each account (it replaces an earlier policy of that name on the role):\n\n", file, done.Deny.Document())
	for _, line := range apply {
		fmt.Fprintln(b, "  "+line)
	}
	fmt.Fprintf(b, "\nTo undo it, at the latest when it is over:\n\n")
	for _, line := range undo {
		fmt.Fprintln(b, "  "+line)
	}
}
