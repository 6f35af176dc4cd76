package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// envFormats are those of `aws configure export-credentials --format`, with
// names for shells beside them.
var envFormats = map[string]func(io.Writer, iam.ProcessDocument) error{
	"bash":          exported("bash"),
	"env":           exported("bash"),
	"dotenv":        exported("dotenv"),
	"env-no-export": exported("dotenv"),
	"fish":          exported("fish"),
	"powershell":    exported("powershell"),
	"windows-cmd":   exported("windows-cmd"),
	"json":          document,
	"process":       document,
}

// lineFormats set variables in one shell's grammar.
var lineFormats = map[string]func(io.Writer, [][2]string) error{
	"bash":        assignments("export %s=%s\n", shellQuote),
	"dotenv":      assignments("%s=%s\n", shellQuote),
	"fish":        assignments("set -gx %s %s\n", fishQuote),
	"powershell":  assignments("$Env:%s=%s\n", powershellQuote),
	"windows-cmd": assignments("set %s=%s\n", plain),
}

func document(w io.Writer, d iam.ProcessDocument) error {
	line, err := d.JSON()
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", line)
	}
	return err
}

func exported(format string) func(io.Writer, iam.ProcessDocument) error {
	return func(w io.Writer, d iam.ProcessDocument) error { return lineFormats[format](w, variables(d)) }
}

func variables(d iam.ProcessDocument) [][2]string {
	return [][2]string{
		{"AWS_ACCESS_KEY_ID", d.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", d.SecretAccessKey},
		{"AWS_SESSION_TOKEN", d.SessionToken},
		{"AWS_CREDENTIAL_EXPIRATION", d.Expiration.UTC().Format(time.RFC3339)},
	}
}

func assignments(line string, quote func(string) string) func(io.Writer, [][2]string) error {
	return func(w io.Writer, variables [][2]string) error {
		for _, v := range variables {
			if _, err := fmt.Fprintf(w, line, v[0], quote(v[1])); err != nil {
				return err
			}
		}
		return nil
	}
}

// Quoting leaves alone what needs none: keys and tokens are base64 and a few signs.

func plain(s string) string { return s }

func harmless(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("+/=_-.:,@%", c)
	})
}

func shellQuote(s string) string {
	if harmless(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func fishQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}

func powershellQuote(s string) string {
	return `"` + strings.NewReplacer("`", "``", `"`, "`\"", `$`, "`$").Replace(s) + `"`
}
