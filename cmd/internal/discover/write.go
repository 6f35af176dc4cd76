package discover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const head = `# Made by rolecalld aws discover; run it again to bring it up to date. What is to be
# otherwise goes into accounts of the configuration, which counts over this file.
`

// YAML is the file of accounts: the same for the same accounts, and a line each for
// what may change.
func (f Found) YAML() []byte {
	var b bytes.Buffer
	b.WriteString(head)
	if len(f.Accounts) == 0 {
		b.WriteString("accounts: []\n")
		return b.Bytes()
	}
	b.WriteString("accounts:\n")
	for _, a := range f.Accounts {
		fmt.Fprintf(&b, "  - id: %q\n    name: %s\n", a.ID, quoted(a.Name))
		if a.Path != "" {
			fmt.Fprintf(&b, "    path: %s\n", quoted(a.Path))
		}
		if a.HubRole != "" {
			fmt.Fprintf(&b, "    hub_role: %s\n", quoted(a.HubRole))
		}
		if len(a.Tags) > 0 {
			b.WriteString("    tags:\n")
		}
		for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
			fmt.Fprintf(&b, "      %s: %s\n", quoted(key), quoted(a.Tags[key]))
		}
		switch {
		case len(a.Roles) > 0:
			b.WriteString("    roles:\n")
		case a.Listed:
			b.WriteString("    roles: []\n")
		}
		for _, role := range a.Roles {
			fmt.Fprintf(&b, "      - %s\n", quoted(role))
		}
	}
	return b.Bytes()
}

// quoted is a text as YAML and JSON both read it.
func quoted(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return `""` // text always encodes
	}
	return strings.TrimSpace(b.String())
}

var (
	notName = regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]+`)
	notPath = regexp.MustCompile(`[/*?{}\x00-\x1f\x7f]+`)
	digits  = regexp.MustCompile(`^[0-9]{12}$`)
)

// maxName keeps names short enough for links.
const maxName = 64

// name gives each account a name that can stand in ACCOUNT/ROLE: that of the
// configuration, else AWS's own, made fit. Two that would be the same get their ids.
func (f *finder) name() {
	taken := map[string]int{}
	for i := range f.found.Accounts {
		a := &f.found.Accounts[i]
		if known := f.known(a.ID); known != nil && known.Name.Value != "" {
			a.Name = known.Name.Value
		} else {
			a.Name = fit(a.awsName)
		}
		taken[strings.ToLower(a.Name)]++
	}
	for i := range f.found.Accounts {
		a := &f.found.Accounts[i]
		if known := f.known(a.ID); known != nil && known.Name.Value == a.Name {
			continue
		}
		if a.Name == "" || taken[strings.ToLower(a.Name)] > 1 || digits.MatchString(a.Name) {
			a.Name = strings.TrimPrefix(a.Name[:min(len(a.Name), maxName-13)]+"-"+a.ID, "-")
		}
	}
}

func fit(name string) string {
	name = strings.Trim(notName.ReplaceAllString(name, "-"), "-")
	return name[:min(len(name), maxName)]
}

// pathPart is the name of a unit as it can stand in a path.
func pathPart(name string) string {
	return strings.TrimSpace(notPath.ReplaceAllString(name, "-"))
}
