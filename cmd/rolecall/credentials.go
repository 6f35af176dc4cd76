package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/cache"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
)

func (t *tool) roles() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "roles",
		Short: "List the roles you may have",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			roles, err := t.client(s).Roles(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				if roles == nil {
					roles = []client.Role{}
				}
				return t.printJSON(map[string]any{"roles": roles})
			}
			if len(roles) == 0 {
				fmt.Fprintln(t.stderr, "You have no role. Ask your administrators; rolecall whoami shows your groups.")
				return nil
			}
			w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
			for _, r := range roles {
				fmt.Fprintf(w, "%s\t%s", printable(roleName(r)), printable(r.RoleARN))
				if r.StepUp {
					fmt.Fprintf(w, "\tneeds: %s", t.loginCommand("--fresh"))
				}
				fmt.Fprintln(w)
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
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
	c.Flags().StringVar(role, "role", "", "the role, as ACCOUNT/ROLE or ARN (required)")
	if duration != nil {
		c.Flags().StringVar(duration, "duration", "", "life of the credentials, like 1h (default the grant's)")
	}
	_ = c.MarkFlagRequired("role") // fails for an unknown flag only
	_ = c.RegisterFlagCompletionFunc("role", t.completeRoles)
}

// completeRoles offers the person's roles to the shell; without a sign-in, none.
func (t *tool) completeRoles(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := t.profile()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	roles, err := t.client(s).Roles(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = roleName(r)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// credentials gives a role's credentials from the cache or the broker. While the
// broker cannot be reached, credentials that still work are used and it is said.
func (t *tool) credentials(ctx context.Context, role, duration string) (iam.ProcessDocument, error) {
	s, err := t.profile()
	if err != nil {
		return iam.ProcessDocument{}, err
	}
	kept, key := t.cache(s), cache.Key{URL: s.URL, Role: role, Duration: duration}
	if found, ok := kept.Get(key); ok {
		return found, nil
	}
	document, err := kept.Fill(ctx, key, func(ctx context.Context) (iam.ProcessDocument, error) {
		return t.client(s).Credentials(ctx, role, duration)
	})
	if err == nil || document.Version == 0 {
		return document, err
	}
	if _, refused := errors.AsType[*client.APIError](err); refused || errors.Is(err, client.ErrSignedOut) {
		return iam.ProcessDocument{}, err
	}
	fmt.Fprintf(t.stderr, "rolecall: %v; using credentials that work until %s\n", err, document.Expiration.Format("15:04 UTC"))
	return document, nil
}

func (t *tool) credentialProcess() *cobra.Command {
	var role, duration string
	c := &cobra.Command{
		Use:   "credential-process",
		Short: "Print credentials for the credential_process setting of an AWS profile",
		Long: "Print credentials as the AWS CLI and SDKs expect them of a credential_process. Nothing else is\n" +
			"printed to stdout, no browser opens; without a sign-in it fails at once and says what to run.",
		Example: "  # in ~/.aws/config, with the absolute path of rolecall\n  [profile admin]\n  credential_process = /usr/local/bin/rolecall credential-process --role production/Admin",
		RunE: func(c *cobra.Command, _ []string) error {
			document, err := t.credentials(c.Context(), role, duration)
			if err != nil {
				return err
			}
			line, err := document.JSON()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(t.stdout, "%s\n", line)
			return err
		},
	}
	t.roleFlags(c, &role, &duration)
	return c
}

func (t *tool) env() *cobra.Command {
	var role, duration, format string
	c := &cobra.Command{
		Use:     "env",
		Short:   "Print credentials as environment variables of a shell",
		Example: "  eval \"$(rolecall env --role production/Admin)\"",
		RunE: func(c *cobra.Command, _ []string) error {
			write, ok := envFormats[format]
			if !ok {
				return errUsage{fmt.Errorf("format %q: want one of %s", format, strings.Join(formatNames(), ", "))}
			}
			document, err := t.credentials(c.Context(), role, duration)
			if err != nil {
				return err
			}
			return write(t.stdout, document)
		},
	}
	t.roleFlags(c, &role, &duration)
	c.Flags().StringVar(&format, "format", "bash", strings.Join(formatNames(), ", "))
	return c
}

func formatNames() []string {
	names := make([]string, 0, len(envFormats))
	for name := range envFormats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *tool) console() *cobra.Command {
	var role, service, region string
	var show bool
	c := &cobra.Command{
		Use:   "console",
		Short: "Open the AWS console as a role",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			address, err := t.client(s).ConsoleURL(c.Context(), role, service, region)
			if err != nil {
				return err
			}
			if show {
				_, err = fmt.Fprintln(t.stdout, address)
				return err
			}
			return t.open(address)
		},
	}
	t.roleFlags(c, &role, nil)
	c.Flags().StringVar(&service, "service", "", "the service to open, like s3")
	c.Flags().StringVar(&region, "region", "", "the region to open it in")
	c.Flags().BoolVar(&show, "print", false, "print the address instead of opening it; it signs in whoever opens it")
	return c
}
