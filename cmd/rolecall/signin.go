package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"

	"github.com/pkg/browser"
	"github.com/spf13/cobra"
)

func (t *tool) login() *cobra.Command {
	var noBrowser, fresh, device bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Sign in with your browser",
		Long: "Sign in with your browser. The tokens are bound to a key that stays on this machine; they are kept\n" +
			"in the system's keyring or, without one, in a file that only you can read (ROLECALL_KEYRING=os|file,\n" +
			"ROLECALL_PASSPHRASE_FILE encrypts that file).",
		Example: "  rolecall login --url https://sso.example.com\n  rolecall login --no-browser",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			signIn := t.client(s)
			if device {
				err = signIn.LoginByDevice(c.Context(), t.announceCode)
			} else {
				err = signIn.Login(c.Context(), fresh, func(address string) { t.announce(address, !noBrowser) })
			}
			if err != nil {
				return err
			}
			if err := t.cache(s).Clear(); err != nil { // they may be another person's
				return err
			}
			who, err := signIn.Identity(c.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(t.stderr, "Signed in to %s as %s (%s). Next: rolecall roles\n", s.URL, who.Username, who.Provider)
			return nil
		},
	}
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address to open, alone on a line, instead of opening it")
	c.Flags().BoolVar(&device, "device", false, "type a code on another device, where the broker offers that")
	c.Flags().BoolVar(&fresh, "fresh", false, "prove yourself again at the identity provider")
	c.MarkFlagsMutuallyExclusive("device", "fresh")
	return c
}

// announce prints the address and opens it. BROWSER names the program; the
// address is an argument of it, never a line for a shell.
func (t *tool) announce(address string, open bool) {
	if open {
		if t.open(address) == nil {
			fmt.Fprintln(t.stderr, "Your browser opens. If it does not, open this address:")
		} else {
			fmt.Fprintln(t.stderr, "No browser could be opened. Open this address:")
		}
	}
	fmt.Fprintln(t.stderr, address)
}

// announceCode says what to do on the other device.
func (t *tool) announceCode(address, code string) {
	fmt.Fprintf(t.stderr, "On any device open %s and enter the code\n\n    %s\n\nOnly enter a code that you asked for yourself.\n", printable(address), printable(code))
}

// open shows an address in the person's browser.
func (t *tool) open(address string) error {
	if program := t.getenv("BROWSER"); program != "" {
		return exec.Command(program, address).Start()
	}
	browser.Stdout, browser.Stderr = t.stderr, t.stderr
	return browser.OpenURL(address)
}

func (t *tool) logout() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget the sign-in, here and at the broker",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			return errors.Join(t.cache(s).Clear(), t.client(s).Logout(c.Context()))
		},
	}
}

func (t *tool) whoami() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "whoami",
		Short: "Say who you are signed in as",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.profile()
			if err != nil {
				return err
			}
			who, err := t.client(s).Identity(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return t.printJSON(who)
			}
			groups := strings.Join(who.Groups, ", ")
			if groups == "" {
				groups = "none"
			}
			fmt.Fprintf(t.stdout, "%s\n  provider  %s\n  subject   %s\n  groups    %s\n  broker    %s\n", who.Username, who.Provider, who.Subject, groups, s.URL)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the identity as JSON")
	return c
}

func (t *tool) version() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(*cobra.Command, []string) error {
			version, revision, goVersion := "devel", "", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = info.GoVersion
				if info.Main.Version != "" {
					version = info.Main.Version
				}
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			if asJSON {
				return t.printJSON(map[string]string{"version": version, "revision": revision, "go": goVersion})
			}
			fmt.Fprintln(t.stdout, strings.TrimSpace("rolecall "+version+" "+revision))
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

func (t *tool) printJSON(v any) error {
	e := json.NewEncoder(t.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
