package awsconfig

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// unreadable are files that the AWS CLI refuses; each says what is wrong with it.
var unreadable = map[string]struct {
	text string
	line int
	says string
}{
	"text before a section":    {"region = x\n", 1, "before the first"},
	"a line that says nothing": {"[default]\nregion = x\n\nnonsense\n", 4, "neither"},
	"an open bracket":          {"[default]\n[profile x\n", 2, "neither"},
	"an empty header":          {"[]\n", 1, "without a name"},
	"a blank header":           {"[ ]\n", 1, "without a name"},
	"a value without a key":    {"[default]\n= x\n", 2, "without a key"},
	"a section twice":          {"[a]\n[b]\n[a]\n", 3, "first in line 1"},
	"a key twice":              {"[a]\nx = 1\nX: 2\n", 3, "first in line 2"},
	"a byte order mark":        {"\xef\xbb\xbf[a]\n", 1, "byte order mark"},
	"UTF-16":                   {"[\x00a\x00]\x00\n\x00", 1, "zero byte"},
	"latin-1":                  {"[a]\nx = caf\xe9\n", 2, "UTF-8"},
	"old Mac line ends":        {"[a]\rx = 1\r", 1, "carriage return"},
}

func TestWhatTheAWSCLICannotReadIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range unreadable {
		_, err := parse([]byte(c.text))
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok || wrong.Line != c.line || !strings.Contains(wrong.Text, c.says) {
			t.Errorf("%s: %v, want line %d and %q", name, err, c.line, c.says)
		}
	}
}

// readableFiles are files that it takes, and the profiles in them.
var readableFiles = map[string]struct {
	text     string
	profiles string
}{
	"nothing":                     {"", ""},
	"comments only":               {"# a\n; b\n\n", ""},
	"spaces in a header":          {"[ profile  a ]\nx=1\n", "a"},
	"a quoted name":               {"[profile \"a b\"]\nx=1\n[profile 'c']\n", "a b,c"},
	"text behind a header":        {"[profile a] # mine\nx=1\n", "a"},
	"a nested block":              {"[profile a]\ns3 =\n  max = 1\n  addressing_style = path\nregion = x\n", "a"},
	"an indented bracket":         {"[profile a]\nx = 1\n  [profile b]\n", "a"},
	"an indented header":          {"  [profile a]\n  x = 1\n  [profile b]\n", "a,b"},
	"a comment inside a block":    {"[profile a]\ns3 =\n  max = 1\n# no\n  min = 2\n", "a"},
	"a hash in a value":           {"[profile a]\nx = a # b ; c\n", "a"},
	"other kinds of sections":     {"[sso-session s]\nx=1\n[services d]\nsts =\n  endpoint_url = http://x\n[default]\n", "default"},
	"no line end at the end":      {"[default]\nx=1", "default"},
	"a key in several characters": {"[default]\na-b c.d : x = y\n", "default"},
	"bracket as a key":            {"[default]\n[x = 1\n", "default"},
}

func TestWhatTheAWSCLIReadsIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range readableFiles {
		p, err := parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join((&File{parsed: p}).Profiles(), ","); got != c.profiles {
			t.Errorf("%s: profiles %q, want %q", name, got, c.profiles)
		}
	}
}

// judge is how the AWS CLI reads a file: botocore calls configparser this way.
const judge = `import configparser, sys
sys.stdin.reconfigure(encoding="utf-8")
p = configparser.RawConfigParser(default_section=None)
p.read_file(sys.stdin)
print("\n".join("%s|%s" % (s, ",".join(p.options(s))) for s in p.sections()))`

// Python's own parser is the oracle of the two tables above.
func TestTheTablesAgreeWithPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here")
	}
	ask := func(text string) (string, error) {
		cmd := exec.Command(python, "-c", judge)
		cmd.Env = append(os.Environ(), "PYTHONUTF8=1")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	for name, c := range unreadable {
		if name == "a blank header" { // configparser takes it, the AWS CLI's next step does not
			continue
		}
		if name == "old Mac line ends" || name == "UTF-16" { // fine for Python alone; no line of ours fits in
			continue
		}
		if out, err := ask(c.text); err == nil {
			t.Errorf("%s: Python reads %q", name, out)
		}
	}
	for name, c := range readableFiles {
		out, err := ask(c.text)
		if err != nil {
			t.Errorf("%s: Python refuses it", name)
		}
		p, _ := parse([]byte(c.text))
		var lines []string
		for _, s := range p.sections {
			var keys []string
			for _, o := range s.options {
				keys = append(keys, o.key)
			}
			lines = append(lines, s.header+"|"+strings.Join(keys, ","))
		}
		if got := strings.TrimSpace(strings.Join(lines, "\n")); got != out {
			t.Errorf("%s: we read\n%s\nPython reads\n%s", name, got, out)
		}
	}
}
