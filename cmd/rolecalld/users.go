package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/directory"
)

// usersFlags are common to all commands about users.
type usersFlags struct {
	config, provider      string
	groups                []string
	invite, mail, factors bool
	json                  bool
}

func (d *daemon) users() *cobra.Command {
	var f usersFlags
	root := &cobra.Command{
		Use:   "users",
		Short: "People of the built-in directory: add, list, disable, enable, groups, reset, delete",
		Long: "Look after the people of a provider of type directory. It acts on the store alone, beside running\n" +
			"daemons, which see it at once; sessions and tokens of somebody who is disabled, deleted or given other\n" +
			"groups are dead everywhere within two seconds. All of it is recorded in audit-operator.jsonl.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVarP(&f.config, "config", "c", "", "the configuration file (required)")
	root.PersistentFlags().StringVar(&f.provider, "provider", "", "the directory, where there are several")
	_ = root.MarkPersistentFlagRequired("config") // fails for an unknown flag only

	add := d.userCommand(&f, "add EMAIL", "Add somebody; the password is asked for, or read from standard input", d.addUser)
	add.Flags().StringSliceVar(&f.groups, "groups", nil, "groups, separated by commas")
	add.Flags().BoolVar(&f.invite, "invite", false, "ask for no password: print a code with which the person sets one")
	list := &cobra.Command{Use: "list", Short: "List everybody", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return d.withUsers(c.Context(), f, func(u *assemble.Users) error { return d.listUsers(c.Context(), u, f) })
	}}
	list.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	groups := d.userCommand(&f, "groups EMAIL", "Replace somebody's groups, and end what they have open", d.groupUser)
	groups.Flags().StringSliceVar(&f.groups, "groups", nil, "groups, separated by commas; empty is none (required)")
	_ = groups.MarkFlagRequired("groups")
	reset := d.userCommand(&f, "reset EMAIL", "Print a code with which somebody sets a new password, once, within a day", d.resetUser)
	reset.Flags().BoolVar(&f.factors, "factors", false, "also take their one-time codes and passkeys away, and end what they have open")
	for _, c := range []*cobra.Command{add, reset} {
		c.Flags().BoolVar(&f.mail, "mail", false, "send the code to the person instead of printing it")
	}
	root.AddCommand(add, list, groups, reset,
		d.userCommand(&f, "disable EMAIL", "Bar somebody, and end what they have open", d.disableUser),
		d.userCommand(&f, "enable EMAIL", "Let somebody in again", d.enableUser),
		d.userCommand(&f, "delete EMAIL", "Remove somebody for good, with what they have open", d.deleteUser))
	return root
}

type userAction func(ctx context.Context, u *assemble.Users, email string, f usersFlags) error

func (d *daemon) userCommand(f *usersFlags, use, short string, do userAction) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return d.withUsers(c.Context(), *f, func(u *assemble.Users) error { return do(c.Context(), u, args[0], *f) })
	}}
}

func (d *daemon) withUsers(ctx context.Context, f usersFlags, do func(*assemble.Users) error) (err error) {
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	u, err := assemble.OpenUsers(ctx, assemble.Options{Config: loaded, Log: d.logger(slog.LevelWarn), Now: d.now}, f.provider, operatorName())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	err = do(u)
	switch {
	case errors.Is(err, directory.ErrEmail):
		return errUsage{err}
	case errors.Is(err, directory.ErrTaken):
		return errors.New("somebody in " + u.Provider + " has that address already")
	}
	return err
}

func (d *daemon) addUser(ctx context.Context, u *assemble.Users, email string, f usersFlags) error {
	var password secret.String
	if !f.invite {
		var err error
		if password, err = d.readPassword(); err != nil {
			return err
		}
	}
	who, err := u.Add(ctx, email, password, f.groups)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "Added %s to %s, subject %s, groups: %s.\n", who.Email, u.Provider, who.ID, none(who.Groups))
	if f.invite {
		return d.resetUser(ctx, u, who.Email, usersFlags{mail: f.mail})
	}
	return nil
}

// readPassword asks a terminal twice, or reads one line. A password on a command
// line would be visible in ps.
func (d *daemon) readPassword() (secret.String, error) {
	if file, ok := d.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		first, err := d.prompt(file, "Password: ")
		if err != nil {
			return secret.String{}, err
		}
		again, err := d.prompt(file, "Again: ")
		if err == nil && first != again {
			err = errors.New("the two are not the same; nothing was changed")
		}
		return secret.New(first), err
	}
	line, err := bufio.NewReader(io.LimitReader(d.stdin, 8<<10)).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return secret.String{}, errUsage{fmt.Errorf("no password came on standard input (%w); give one, or --invite", err)}
	}
	return secret.New(line), nil
}

func (d *daemon) prompt(file *os.File, prompt string) (string, error) {
	fmt.Fprint(d.stderr, prompt)
	text, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(d.stderr)
	return string(text), err
}

func none(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (d *daemon) listUsers(ctx context.Context, u *assemble.Users, f usersFlags) error {
	all, err := u.List(ctx)
	if err != nil {
		return err
	}
	if f.json {
		out := json.NewEncoder(d.stdout)
		for _, who := range all {
			if err := out.Encode(who); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EMAIL\tSTATE\tLOGIN\tGROUPS\tSUBJECT")
	for _, who := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", who.Email, stateOf(who), loginOf(who), none(who.Groups), who.ID)
	}
	return w.Flush()
}

func stateOf(who directory.Person) string {
	switch {
	case who.Disabled:
		return "disabled"
	case who.Changed.IsZero() && len(who.Passkeys) == 0:
		return "invited"
	}
	return "active"
}

// loginOf says how somebody can log in.
func loginOf(who directory.Person) string {
	var ways []string
	if !who.Changed.IsZero() {
		ways = append(ways, "password")
	}
	if who.TOTP {
		ways = append(ways, "codes")
	}
	if n := len(who.Passkeys); n > 0 {
		ways = append(ways, fmt.Sprintf("passkeys:%d", n))
	}
	if len(ways) == 0 {
		return "-"
	}
	return strings.Join(ways, "+")
}

func (d *daemon) disableUser(ctx context.Context, u *assemble.Users, email string, _ usersFlags) error {
	who, err := u.Disable(ctx, email)
	if err == nil {
		fmt.Fprintf(d.stdout, "Disabled %s. What they have open is dead everywhere within two seconds; AWS credentials that are out\nlive to their end (rolecalld revoke --user %s=%s --aws says how to cut them off).\n", who.Email, u.Provider, who.ID)
	}
	return err
}

func (d *daemon) enableUser(ctx context.Context, u *assemble.Users, email string, _ usersFlags) error {
	who, err := u.Enable(ctx, email)
	if err == nil {
		fmt.Fprintf(d.stdout, "Enabled %s.\n", who.Email)
	}
	return err
}

func (d *daemon) groupUser(ctx context.Context, u *assemble.Users, email string, f usersFlags) error {
	who, err := u.Groups(ctx, email, f.groups)
	if err == nil {
		fmt.Fprintf(d.stdout, "Groups of %s: %s. What they have open has ended.\n", who.Email, none(who.Groups))
	}
	return err
}

func (d *daemon) resetUser(ctx context.Context, u *assemble.Users, email string, f usersFlags) error {
	who, code, err := u.Reset(ctx, email, f.factors)
	if err != nil {
		return err
	}
	if f.mail {
		if err := u.Mail(ctx, who, code); err != nil {
			return fmt.Errorf("the code was not sent: %w", err)
		}
		fmt.Fprintf(d.stdout, "A code to set a password was sent to %s.\n", who.Email)
		return nil
	}
	fmt.Fprintf(d.stdout, "%s sets a password at %s\nwith this code, once, within a day:\n\n  %s\n\n", who.Email, u.Address(), code.Reveal())
	fmt.Fprintf(d.stdout, "Hand it over in a way that only they can read. A password that they have works until then.\n")
	return nil
}

func (d *daemon) deleteUser(ctx context.Context, u *assemble.Users, email string, _ usersFlags) error {
	who, err := u.Delete(ctx, email)
	if err == nil {
		fmt.Fprintf(d.stdout, "Deleted %s (subject %s), with their sessions, tokens and devices. Their session name in AWS stays theirs.\n", who.Email, who.ID)
	}
	return err
}
