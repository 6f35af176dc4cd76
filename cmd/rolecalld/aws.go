package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/cmd/internal/awssetup"
)

func (d *daemon) aws() *cobra.Command {
	c := &cobra.Command{
		Use:   "aws",
		Short: "Print the IAM side of a configuration: trust policies, Terraform, CloudFormation; discover accounts",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var role string
	trust := d.awsCommand("trust-policy", "Print the trust policy of one role, or of all by their ARN", func(s *awssetup.Setup) ([]byte, error) {
		return trustPolicies(s, role)
	})
	trust.Flags().StringVar(&role, "role", "", "the ARN of one role")
	c.AddCommand(trust, d.discover(),
		d.awsCommand("terraform", "Print providers and roles as Terraform (.tf.json); each account is the provider alias aws.account_ID", (*awssetup.Setup).Terraform),
		d.awsCommand("cloudformation", "Print providers, hub and roles as one CloudFormation template for a StackSet", (*awssetup.Setup).CloudFormation),
	)
	return c
}

// awsCommand is one way to print the setup.
func (d *daemon) awsCommand(name, short string, render func(*awssetup.Setup) ([]byte, error)) *cobra.Command {
	var path, principal, operator string
	c := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			loaded, err := d.load(path)
			if err != nil {
				return err
			}
			setup, err := assemble.AWSSetup(loaded, principal, operator)
			if err != nil {
				return unreadable(err)
			}
			text, err := render(setup)
			if err != nil {
				return errUsage{err}
			}
			for _, note := range setup.Notes {
				fmt.Fprintln(d.stderr, "note: "+note)
			}
			_, err = d.stdout.Write(text)
			return err
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&principal, "principal", "", "the ARN of the broker's own user or role, for roles of the mode assume-role")
	c.Flags().StringVar(&operator, "operator", "", "the ARN of who runs rolecalld revoke, for aws.revocation_role")
	return c
}

func trustPolicies(s *awssetup.Setup, role string) ([]byte, error) {
	all := s.TrustPolicies()
	var document any = all
	if role != "" {
		one, ok := all[role]
		if !ok {
			return nil, fmt.Errorf("--role %s: no grant names this role", role)
		}
		document = one
	}
	text, err := json.MarshalIndent(document, "", "  ")
	return append(text, '\n'), err
}
