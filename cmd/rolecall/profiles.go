package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// listed is a profile as `rolecall profiles` shows it.
type listed struct {
	Profile  string `json:"profile"`
	URL      string `json:"url"`
	SignedIn bool   `json:"signed_in"`
	Current  bool   `json:"current"`
}

func (t *tool) profiles() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "profiles",
		Short: "List the brokers and people that you signed in with",
		Long: "List the profiles of this machine. A profile is one broker, signed in to as one person; a star marks\n" +
			"the one in use. Nothing is asked of a broker: \"signed in\" means that there is a sign-in to use.",
		Example: "  rolecall login --profile work --url https://sso.example.com\n  rolecall roles --profile work\n  export ROLECALL_PROFILE=work",
		RunE: func(*cobra.Command, []string) error {
			current, err := settings.Load(t.flags, t.getenv)
			if err != nil {
				return errUsage{err}
			}
			found, err := current.Profiles()
			if err != nil {
				return err
			}
			return t.listProfiles(current, found, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

func (t *tool) listProfiles(current settings.Settings, found []settings.Settings, asJSON bool) error {
	list := []listed{}
	for _, s := range found {
		list = append(list, listed{s.Profile, s.URL, t.client(s).SignedIn(), s.Profile == current.Profile})
	}
	if asJSON {
		return t.printJSON(map[string]any{"profiles": list})
	}
	if len(list) == 0 {
		fmt.Fprintln(t.stderr, "No profile yet. Start with: rolecall login --url https://sso.example.com")
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, p := range list {
		mark, state := " ", "signed out"
		if p.Current {
			mark = "*"
		}
		if p.SignedIn {
			state = "signed in"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, p.Profile, p.URL, state)
	}
	return w.Flush()
}

// completeProfiles offers their names to the shell.
func (t *tool) completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	flags := t.flags
	flags.Profile = ""
	current, err := settings.Load(flags, t.getenv)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, err := current.Profiles()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, len(found))
	for i, s := range found {
		names[i] = s.Profile + "\t" + s.URL
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
