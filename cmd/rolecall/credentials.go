package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/cache"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/client"
)

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
			if role == "" {
				return errUsage{errors.New("--role is required; rolecall roles lists yours")}
			}
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
			s, err := t.profile()
			if err != nil {
				return err
			}
			if role, err = t.chosen(c.Context(), s, role); err != nil {
				return err
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
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames(), cobra.ShellCompDirectiveNoFileComp))
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
		Long: "Open the AWS console as a role in your browser ($BROWSER). With --print the address is printed instead:\n" +
			"it signs in whoever opens it, for some minutes, so give it to nobody.",
		Example: "  rolecall console --role production/Admin\n  rolecall console --role production/Admin --service s3 --region eu-central-1\n  rolecall console --role production/Admin --print | pbcopy",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			if role, err = t.chosen(c.Context(), s, role); err != nil {
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
			if err := t.open(address); err != nil {
				return fmt.Errorf("no browser could be opened (%w); print the address with --print", err)
			}
			return nil
		},
	}
	t.roleFlags(c, &role, nil)
	c.Flags().StringVar(&service, "service", "", "the service to open, like s3")
	c.Flags().StringVar(&region, "region", "", "the region to open it in")
	c.Flags().BoolVar(&show, "print", false, "print the address instead of opening it; it signs in whoever opens it")
	return c
}
