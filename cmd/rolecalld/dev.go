package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

func (d *daemon) dev() *cobra.Command {
	var listen, data, mode string
	var asJSON, printConfig, verbose bool
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine, with made-up people: broker, identity provider, AWS stand-in",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if printConfig {
				return devUsage(assemble.PrintDevConfig(d.stdout, mode))
			}
			log := d.logger(slog.LevelWarn)
			if verbose {
				log = d.logger(slog.LevelDebug)
			}
			world, err := assemble.NewDev(c.Context(), assemble.DevOptions{Listen: listen, Data: data, Mode: mode, Log: log, Now: d.now})
			if err != nil {
				return devUsage(err)
			}
			if asJSON {
				err = printLine(d.stdout, world)
			} else {
				err = welcome(d.stdout, world)
			}
			if err == nil {
				err = world.Run(c.Context())
			}
			if closed := world.Close(); err == nil {
				err = closed
			}
			return err
		},
	}
	c.Flags().StringVar(&listen, "listen", assemble.DefaultDevListen, "loopback address of the portal; the next two ports serve the identity provider and AWS")
	c.Flags().StringVar(&data, "data", "", "folder to keep state in (default a new one, removed at the end)")
	c.Flags().StringVar(&mode, "mode", "assume-role", "how credentials are ordered from the AWS stand-in: assume-role, web-identity, saml, or saml-user (people's own assertions)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON when ready, and nothing else")
	c.Flags().BoolVar(&printConfig, "print-config", false, "print the configuration and exit")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log every request to stderr")
	return c
}

// devUsage marks what the command line asked for and dev does not do.
func devUsage(err error) error {
	if errors.Is(err, assemble.ErrListen) || errors.Is(err, assemble.ErrMode) {
		return errUsage{err}
	}
	return err
}

func printLine(w io.Writer, world *assemble.Dev) error {
	line, err := world.JSON()
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", line)
	}
	return err
}

// welcome says where everything is and what to try.
func welcome(w io.Writer, world *assemble.Dev) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nrolecall is ready: %s\n\n", world.URL)
	fmt.Fprintf(&b, "  Sign in as     with password      groups\n")
	for _, p := range world.People {
		groups := strings.Join(p.Groups, ", ")
		if groups == "" {
			groups = "none, so no role"
		}
		fmt.Fprintf(&b, "  %-14s %-18s %s\n", p.Username, p.Password.Reveal(), groups)
	}
	fmt.Fprintf(&b, "\n  Identity provider  %s\n  AWS stand-in       %s   (AWS_ENDPOINT_URL_STS)\n", world.IDP, world.AWS)
	fmt.Fprintf(&b, "\nTry, in another terminal:\n\n")
	fmt.Fprintf(&b, "  go run ./cmd/rolecall login --url %s\n", world.URL)
	fmt.Fprintf(&b, "  go run ./cmd/rolecall roles\n")
	fmt.Fprintf(&b, "  go run ./cmd/rolecall credential-process --role production/Admin\n")
	fmt.Fprintf(&b, "\nOr be a phone with the app notes, which has guests (docs/mobile-apps.md):\n\n")
	fmt.Fprintf(&b, "  U=%s/tvm/v1; go build -o /tmp/ ./cmd/rolecall; proof() { /tmp/rolecall dpop --key /tmp/phone.pem \"$@\"; }\n", world.URL)
	fmt.Fprintf(&b, "  J='Content-Type: application/json'; curl -s $U/devices -H \"$J\" -H \"DPoP: $(proof POST $U/devices)\" -d '{\"app\": \"notes\"}'\n")
	fmt.Fprintf(&b, "  T=...   # the access_token\n")
	fmt.Fprintf(&b, "  curl -s $U/credentials -H \"$J\" -H \"Authorization: DPoP $T\" -H \"DPoP: $(proof --token $T POST $U/credentials)\" -d '{}'\n")
	fmt.Fprintf(&b, "  curl -s $U/openapi.json\n")
	if world.Temporary {
		fmt.Fprintf(&b, "\nCtrl-C ends it; nothing is kept.\n\n")
	} else {
		fmt.Fprintf(&b, "\nCtrl-C ends it.\n\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
