package portal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall/rolecall/config/secret"
)

// snippet is one way to use keys: text to paste into a shell or a file.
type snippet struct {
	ID, Title string
	// Before, File and After are the sentence above it.
	Before, File, After string
	Lines               []line
}

// line is Head, a secret that is masked at first, and Tail.
type line struct{ Head, Secret, Tail string }

// Secret reports whether the text holds a secret.
func (s snippet) Secret() bool {
	for _, l := range s.Lines {
		if l.Secret != "" {
			return true
		}
	}
	return false
}

// Snippets writes the keys in every format that the page offers. It is the one
// place of the portal that reveals them.
func (i Issued) Snippets(role Role) []snippet {
	profile := profileName(role)
	const shell, gone = "Paste into the shell", "They are gone when it closes."
	process := []line{{Head: "[profile " + profile + "]"}}
	if i.Region != "" {
		process = append(process, line{Head: "region = " + i.Region})
	}
	process = append(process, line{Head: "credential_process = rolecall credential-process --role " + role.Ref})
	return []snippet{
		{ID: "bash", Title: "bash, zsh", Before: shell, After: gone, Lines: i.shell("export ", "='", "'", bashQuote)},
		{ID: "fish", Title: "fish", Before: shell, After: gone, Lines: i.shell("set -gx ", " '", "'", fishQuote)},
		{ID: "powershell", Title: "PowerShell", Before: shell, After: gone, Lines: i.shell("$Env:", " = '", "'", powershellQuote)},
		{ID: "file", Title: "Credentials file", Before: "Append to", File: "~/.aws/credentials", After: "Remove it when the keys have expired.", Lines: []line{
			{Head: "[" + profile + "]"},
			{Head: "aws_access_key_id = " + printable(i.Credentials.AccessKeyID)},
			{Head: "aws_secret_access_key = ", Secret: printable(i.Credentials.SecretAccessKey.Reveal())},
			{Head: "aws_session_token = ", Secret: printable(i.Credentials.SessionToken.Reveal())},
		}},
		{ID: "process", Title: "credential_process", Before: "Append to", File: "~/.aws/config",
			After: "Holds no secret and renews the keys by itself: the best choice for daily work.", Lines: process},
	}
}

// shell writes assignments of environment variables in one shell's grammar.
func (i Issued) shell(set, open, end string, quote func(string) string) []line {
	hidden := func(name string, value secret.String) line {
		return line{Head: set + name + open, Secret: quote(printable(value.Reveal())), Tail: end}
	}
	lines := []line{
		{Head: set + "AWS_ACCESS_KEY_ID" + open + quote(printable(i.Credentials.AccessKeyID)) + end},
		hidden("AWS_SECRET_ACCESS_KEY", i.Credentials.SecretAccessKey),
		hidden("AWS_SESSION_TOKEN", i.Credentials.SessionToken),
	}
	if i.Region != "" {
		lines = append(lines, line{Head: set + "AWS_REGION" + open + quote(i.Region) + end})
	}
	return lines
}

// AWS's keys need no quoting; a stand-in's may.
func bashQuote(s string) string { return strings.ReplaceAll(s, `'`, `'\''`) }

func fishQuote(s string) string { return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) }

// powershellQuote doubles every character that PowerShell takes for a single quote.
func powershellQuote(s string) string {
	return strings.NewReplacer(`'`, `''`, "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b").Replace(s)
}

// profileName is account-role in characters that every tool takes in a profile's name.
func profileName(role Role) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_.@+=,-", r):
			return r
		}
		return '-'
	}, strings.ReplaceAll(role.Ref, "/", "-"))
}

// printable drops what could break out of a line: controls and invalid UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}
