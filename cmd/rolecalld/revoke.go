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
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/vend/revoke"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

// revokeFlags are what to take back.
type revokeFlags struct {
	config               string
	user, session, grant string
	device, until        string
	aws                  bool
}

func (d *daemon) revoke() *cobra.Command {
	var f revokeFlags
	c := &cobra.Command{
		Use:   "revoke",
		Short: "End what a person, a session, a grant or a device has, on every node within two seconds",
		Long: "End the sessions, tokens and cached credentials of a person (by user name or PROVIDER=SUBJECT), of one\n" +
			"session (by its id in the record), what is cached of a grant, or a device of an app for good. With --until also new sign-ins (user) or\n" +
			"orders (grant) are refused before that time. AWS credentials that are out already live on: with --aws\n" +
			"the policy that denies them is printed, and the commands that put it on the roles.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return d.runRevoke(c.Context(), f) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.user, "user", "", "a user name, or PROVIDER=SUBJECT")
	c.Flags().StringVar(&f.session, "session", "", "the id of a session")
	c.Flags().StringVar(&f.grant, "grant", "", "the name of a grant")
	c.Flags().StringVar(&f.device, "device", "", "the id of a device of an app; its key is never taken again")
	c.Flags().StringVar(&f.until, "until", "", "refuse new sign-ins (user) or orders (grant) before this time, RFC 3339")
	c.Flags().BoolVar(&f.aws, "aws", false, "deny credentials that are out already, or print what does")
	c.MarkFlagsOneRequired("user", "session", "grant", "device")
	c.MarkFlagsMutuallyExclusive("user", "session", "grant", "device")
	return c
}

func (d *daemon) runRevoke(ctx context.Context, f revokeFlags) error {
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	order := operate.Order{Kind: revocation.User, Target: cmp.Or(f.user, f.session, f.grant, f.device)}
	switch order.Target {
	case f.session:
		order.Kind = revocation.Session
	case f.grant:
		order.Kind = revocation.Grant
	case f.device:
		order.Kind = revocation.Device
	}
	if f.until != "" {
		if order.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
			return errUsage{fmt.Errorf("--until %q: want a time like 2026-11-23T09:00:00Z", f.until)}
		}
	}
	options := assemble.Options{Config: loaded, Log: d.logger(slog.LevelWarn), Now: d.now}
	done, err := assemble.Revoke(ctx, options, assemble.RevokeOptions{Order: order, Operator: operatorName(), AWS: f.aws})
	if errors.Is(err, operate.ErrBadOrder) {
		return errUsage{err}
	}
	if err != nil {
		if done.Number == 0 {
			return err
		}
		// What was done is said all the same.
		return errors.Join(writeRevoked(d.stdout, order, done, f.aws), err)
	}
	err = writeRevoked(d.stdout, order, done, f.aws)
	if slices.ContainsFunc(done.Changes, func(c revoke.Change) bool { return c.Err != nil }) {
		err = errors.Join(err, errors.New("not every role was changed: their credentials still work"))
	}
	return err
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
	switch {
	case order.Kind == revocation.Device:
		fmt.Fprintf(b, "It is gone for good, and its key is not taken again.\n")
	case order.Until.IsZero():
		fmt.Fprintf(b, "Nothing is barred: whoever may sign in gets new ones. What has ended stays ended.\n")
	default:
		fmt.Fprintf(b, "Until %s new ones are refused.\n", at(order.Until))
	}
	fmt.Fprintf(b, "AWS credentials that are out already end by %s at the latest.\n", at(done.Last))
	if !aws {
		fmt.Fprintf(b, "To cut them off now: the same with --aws.\n")
		return b.Flush()
	}
	writeDeny(b, done)
	return b.Flush()
}

// writeByHand prints the policy and the commands, and gives those that undo it.
func writeByHand(b *bufio.Writer, deny revoke.Deny) (undo []string) {
	const file = "rolecall-revoke.json"
	apply, undo := deny.Commands(file)
	fmt.Fprintf(b, "\nSave this as %s:\n\n%s\n\nThen, in each account (it replaces an earlier policy of that name on the role):\n\n", file, deny.Document())
	for _, line := range apply {
		fmt.Fprintln(b, "  "+line)
	}
	return undo
}

// writeDeny says what denies credentials that are out.
func writeDeny(b *bufio.Writer, done assemble.Revoked) {
	for _, note := range done.Notes {
		fmt.Fprintf(b, "Note: %s.\n", note)
	}
	if len(done.Deny.Roles) == 0 {
		return
	}
	if len(done.Changes) > 0 {
		writeWritten(b, done)
		return
	}
	undo := writeByHand(b, done.Deny)
	fmt.Fprintf(b, "\nTo undo it, at the latest when it is over:\n\n")
	for _, line := range undo {
		fmt.Fprintln(b, "  "+line)
	}
}

// writeWritten says what was changed in AWS, what is left to do by hand, and how
// to undo it.
func writeWritten(b *bufio.Writer, done assemble.Revoked) {
	fmt.Fprintf(b, "\nThe policy %s, written as the revocation role:\n\n", revoke.PolicyName)
	left := done.Deny
	left.Roles = nil
	var undo []string
	for _, c := range done.Changes {
		switch {
		case c.Err != nil:
			fmt.Fprintf(b, "  %s: NOT CHANGED: %v\n", c.Role, c.Err)
			left.Roles = append(left.Roles, c.Role)
			continue
		case c.Before == c.After:
			fmt.Fprintf(b, "  %s: denied them already\n", c.Role)
			continue
		case c.Before == "":
			fmt.Fprintf(b, "  %s: made\n", c.Role)
		default:
			fmt.Fprintf(b, "  %s: added to; %d earlier entries stay, %d were over and are gone\n", c.Role, c.Kept, c.Dropped)
		}
		if c.Foreign > 0 {
			fmt.Fprintf(b, "    it also holds %d statements that rolecall did not write; they stay\n", c.Foreign)
		}
		undo = append(undo, c.Undo)
	}
	if len(undo) > 0 {
		fmt.Fprintf(b, "\nAWS needs a few seconds to know it everywhere. To undo it:\n\n")
	}
	for _, line := range undo {
		fmt.Fprintln(b, "  "+line)
	}
	if len(left.Roles) > 0 {
		fmt.Fprintf(b, "\nFor what was not changed, by hand:\n")
		writeByHand(b, left)
	}
}
