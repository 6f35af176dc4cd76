package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/internal/discover"
)

// discoverFlags are what to read, and where it goes.
type discoverFlags struct {
	config, out, via, tag string
	hubs                  []string
}

func (d *daemon) discover() *cobra.Command {
	var f discoverFlags
	c := &cobra.Command{
		Use:   "discover",
		Short: "List the accounts of AWS Organizations, and their roles by a tag, as a file of accounts",
		Long: "List the accounts of AWS Organizations with their names, paths and tags, and in each account the roles that\n" +
			"carry a tag, as a file for accounts_file. It reads with your own AWS credentials: of the management account\n" +
			"or a delegated administrator. Roles are listed by the account's hub_role where that is a role of the account\n" +
			"itself, else by the role that --via names. Accounts that are not active are left out, and said.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return d.runDiscover(c.Context(), f) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.out, "out", "", "the file to write (default stdout)")
	c.Flags().StringVar(&f.via, "via", "", "the name of the role, with its path, that lists roles in each account")
	c.Flags().StringVar(&f.tag, "tag", "rolecall", "the tag of roles that are meant: KEY or KEY=VALUE")
	c.Flags().StringArrayVar(&f.hubs, "hub-role", nil, "the hub_role of all accounts: ARN; or of those under a path: PATH=ARN (may be repeated)")
	return c
}

func (d *daemon) runDiscover(ctx context.Context, f discoverFlags) error {
	loaded, err := d.load(f.config)
	if err != nil {
		return err
	}
	hubs, err := hubsOf(f.hubs)
	if err != nil {
		return err
	}
	if f.tag == "" || strings.HasPrefix(f.tag, "=") {
		return errUsage{fmt.Errorf("--tag %q: want KEY or KEY=VALUE", f.tag)}
	}
	chain, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(loaded.AWS.Region))
	if err != nil {
		return fmt.Errorf("your AWS credentials: %w", err)
	}
	found, err := discover.Run(ctx, discover.Config{
		Credentials: chain.Credentials, Region: loaded.AWS.Region, Endpoint: loaded.AWS.Endpoint.Value,
		Via: f.via, Tag: f.tag, Hubs: hubs, Known: loaded.Accounts,
	})
	if err != nil {
		return err
	}
	for _, note := range found.Notes {
		fmt.Fprintln(d.stderr, "note: "+note)
	}
	if f.out == "" {
		_, err = d.stdout.Write(found.YAML())
		return err
	}
	return d.writeAccounts(f.out, found)
}

// hubsOf reads --hub-role.
func hubsOf(given []string) (map[string]string, error) {
	hubs := map[string]string{}
	for _, text := range given {
		path, arn, found := strings.Cut(text, "=arn:")
		if found {
			arn = "arn:" + arn
		} else {
			path, arn = "", text
		}
		if _, err := iam.ParseRoleARN(arn); err != nil {
			return nil, errUsage{fmt.Errorf("--hub-role: %w", err)}
		}
		if found && !strings.HasPrefix(path, "/") {
			return nil, errUsage{fmt.Errorf("--hub-role %q: a path begins with /", text)}
		}
		if _, twice := hubs[strings.TrimSuffix(path, "/")]; twice {
			return nil, errUsage{fmt.Errorf("--hub-role %q: the path has one already", text)}
		}
		hubs[strings.TrimSuffix(path, "/")] = arn
	}
	return hubs, nil
}

// writeAccounts puts the file in its place in one step, and says whether it changed.
func (d *daemon) writeAccounts(path string, found discover.Found) error {
	text := found.YAML()
	before, err := os.ReadFile(path)
	if err == nil && bytes.Equal(before, text) {
		fmt.Fprintf(d.stdout, "%s: up to date, %d accounts\n", path, len(found.Accounts))
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".accounts-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()) //nolint:gosec // it holds no secret
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	fmt.Fprintf(d.stdout, "%s: written, %d accounts\n", path, len(found.Accounts))
	return nil
}
