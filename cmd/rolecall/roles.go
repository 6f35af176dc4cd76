package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/picker"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

func (t *tool) roles() *cobra.Command {
	var asJSON, list, pick bool
	c := &cobra.Command{
		Use:   "roles [WORD...]",
		Short: "List the roles you may have, or pick one",
		Long: "List the roles you may have; with words only those that have the letters of each, best first. On a\n" +
			"terminal you pick one by typing some letters of it, and its name is printed; Esc prints the whole list.",
		Example: "  rolecall roles\n  rolecall roles prod adm\n  rolecall roles --list\n  rolecall exec --role \"$(rolecall roles --pick)\" -- aws s3 ls",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, words []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			roles, err := t.fetchRoles(c.Context(), s)
			if err != nil {
				return err
			}
			if len(words) > 0 {
				roles = matching(roles, strings.Join(words, " "))
			}
			switch {
			case asJSON:
				return t.printJSON(map[string]any{"roles": roles})
			case len(roles) == 0 && len(words) > 0:
				return fmt.Errorf("no role of yours has the letters of %q", printable(strings.Join(words, " ")))
			case len(roles) == 0:
				fmt.Fprintln(t.stderr, "You have no role. Ask your administrators; rolecall whoami shows your groups.")
				return nil
			case pick || !list && isTerminal(t.stdout) && t.interactive():
				return t.pickRole(roles, pick)
			}
			return t.listRoles(roles)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	c.Flags().BoolVar(&list, "list", false, "print the list, on a terminal too")
	c.Flags().BoolVar(&pick, "pick", false, "pick one and print its name, even where the output goes elsewhere")
	c.MarkFlagsMutuallyExclusive("json", "list", "pick")
	return c
}

// fetchRoles asks the broker; the names are kept for the shell's completion.
func (t *tool) fetchRoles(ctx context.Context, s settings.Settings) ([]client.Role, error) {
	roles, err := t.client(s).Roles(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = printable(roleName(r))
	}
	_ = t.cache(s).KeepRoles(names) // a convenience only
	if roles == nil {
		roles = []client.Role{}
	}
	return roles, nil
}

func items(roles []client.Role) []picker.Item {
	list := make([]picker.Item, len(roles))
	for i, r := range roles {
		list[i] = picker.Item{Name: printable(roleName(r)), Note: printable(r.Account.ID)}
		if r.StepUp {
			list[i].Note += "  needs a fresh sign-in"
		}
	}
	return list
}

func matching(roles []client.Role, query string) []client.Role {
	found := []client.Role{}
	for _, i := range picker.Search(query, items(roles)) {
		found = append(found, roles[i])
	}
	return found
}

func (t *tool) listRoles(roles []client.Role) error {
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, r := range roles {
		fmt.Fprintf(w, "%s\t%s", printable(roleName(r)), printable(r.RoleARN))
		if r.StepUp {
			fmt.Fprintf(w, "\tneeds: %s", t.loginCommand("--fresh"))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// interactive reports whether somebody can be asked.
func (t *tool) interactive() bool { return isTerminal(t.stdin) && isTerminal(t.stderr) }

// ask shows the picker.
func (t *tool) ask(roles []client.Role) (client.Role, error) {
	in, ok1 := t.stdin.(*os.File)
	out, ok2 := t.stderr.(*os.File)
	if !ok1 || !ok2 || !t.interactive() {
		return client.Role{}, errUsage{errors.New("this is no terminal to pick a role at; name it with --role")}
	}
	at, err := picker.Pick(in, out, "Role", items(roles), t.colour(out))
	if err != nil {
		return client.Role{}, err
	}
	return roles[at], nil
}

func (t *tool) pickRole(roles []client.Role, only bool) error {
	role, err := t.ask(roles)
	if errors.Is(err, picker.ErrCancelled) && !only {
		return t.listRoles(roles)
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(t.stdout, printable(roleName(role))); err != nil || only {
		return err
	}
	name := shellQuote(roleName(role))
	fmt.Fprintf(t.stderr, "Next: rolecall exec --role %s -- aws sts get-caller-identity\n      rolecall console --role %s\n", name, name)
	return nil
}

// chosen is the role of the flag or, on a terminal, the one that the person picks.
func (t *tool) chosen(ctx context.Context, s settings.Settings, role string) (string, error) {
	if role != "" {
		return role, nil
	}
	if !t.interactive() {
		return "", errUsage{errors.New("--role is required; rolecall roles lists yours")}
	}
	roles, err := t.fetchRoles(ctx, s)
	if err != nil {
		return "", err
	}
	if len(roles) == 0 {
		return "", errors.New("you have no role; ask your administrators")
	}
	picked, err := t.ask(roles)
	if err != nil {
		return "", err
	}
	return roleName(picked), nil
}

// roleName is ACCOUNT/ROLE, what --role takes.
func roleName(r client.Role) string {
	_, name, _ := strings.Cut(r.RoleARN, ":role/")
	account := r.Account.Name
	if account == "" {
		account = r.Account.ID
	}
	return account + "/" + name
}

// roleFlags are the flags of commands that order credentials.
func (t *tool) roleFlags(c *cobra.Command, role, duration *string) {
	c.Flags().StringVar(role, "role", "", "the role, as ACCOUNT/ROLE or ARN (required; a terminal offers them)")
	if duration != nil {
		c.Flags().StringVar(duration, "duration", "", "life of the credentials, like 1h (default the grant's)")
	}
	_ = c.RegisterFlagCompletionFunc("role", t.completeRoles)
}

// A shell that completes a name waits: it gets what was seen lately, else what the
// broker says at once.
const (
	completeFrom = 10 * time.Minute
	completeWait = 3 * time.Second
)

// completeRoles offers the person's roles to the shell; without a sign-in, none.
func (t *tool) completeRoles(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := t.profile()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, ok := t.cache(s).Roles(completeFrom)
	if !ok {
		ctx, cancel := context.WithTimeout(c.Context(), completeWait)
		defer cancel()
		roles, err := t.fetchRoles(ctx, s)
		if err != nil {
			return names, cobra.ShellCompDirectiveNoFileComp // old ones, or none
		}
		names = nil
		for _, r := range roles {
			names = append(names, printable(roleName(r)))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
