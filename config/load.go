package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// maxFile bounds a configuration file; a larger one is something else.
const maxFile = 4 << 20

// Load reads and judges a configuration file. Its error is Faults. Secret
// references are resolved from the process's environment and from files. What is
// said of Parse's results holds here too.
func Load(path string) (*Config, error) {
	data, err := readBounded(path, maxFile)
	if err != nil {
		return nil, Faults{{Pos: Pos{File: path}, Message: "the configuration cannot be read: " + err.Error()}}
	}
	return Parse(path, data, os.LookupEnv)
}

// Parse judges the bytes of a configuration file; file names it in faults and
// gives the folder that relative paths count from, env resolves ${env:NAME}. The
// error is Faults, all of them, in file order. Where the file is YAML, what could
// be read is returned beside them, so that `check` can ask the other packages for
// theirs; nothing may run from it.
func Parse(file string, data []byte, env func(string) (string, bool)) (*Config, error) {
	text, faults := judgeBytes(file, data)
	if len(faults) > 0 {
		return nil, faults
	}
	root, faults := parseYAML(file, text)
	if len(faults) > 0 {
		// Only a file that is no YAML as it stands is read with its references quoted.
		if root, again := parseYAML(file, quoteReferences(text)); len(again) == 0 {
			return decode(file, data, root, env)
		}
		return nil, faults
	}
	return decode(file, data, root, env)
}

func decode(file string, data []byte, root ast.Node, env func(string) (string, bool)) (*Config, error) {
	d := &decoder{file: file, dir: filepath.Dir(file), env: env, at: map[string]Pos{}, references: map[string]string{}}
	c := &Config{File: file}
	d.document(root, c)
	sum := sha256.Sum256(append(slices.Clip(data), d.includeAccounts(c)...))
	c.Digest = hex.EncodeToString(sum[:])
	c.Written = make(map[string]string, len(d.at))
	for path := range d.at { // before presets fill in what is not there
		c.Written[path] = d.references[path]
	}
	k := &checker{Config: c, at: d.at, unread: d.unread, root: Pos{File: file, Line: 1, Column: 1}}
	k.check()
	d.faults = append(d.faults, k.faults...)
	d.faults.sort()
	k.warnings.sort()
	c.Warnings = k.warnings
	return c, d.faults.Err()
}

// bareReference is a secret reference as the value of a key inside { }, which
// people write like {key: ${file:PATH}} and YAML does not know without quotes.
var bareReference = regexp.MustCompile(`(:[ ]+)(\$\{(?:env|file):[^}"'\n]*\})([ ]*[,}])`)

func quoteReferences(text string) string { return bareReference.ReplaceAllString(text, `$1"$2"$3`) }

// judgeBytes refuses what cannot be a YAML text and strips a byte order mark.
func judgeBytes(file string, data []byte) (string, Faults) {
	at := func(offset int) Pos {
		return Pos{File: file, Line: 1 + bytes.Count(data[:offset], []byte("\n")), Column: 1}
	}
	fault := func(at Pos, format string, args ...any) (string, Faults) {
		return "", Faults{{Pos: at, Message: fmt.Sprintf(format, args...)}}
	}
	if len(data) > maxFile {
		return fault(at(0), "the file is larger than %d MiB, which no configuration is", maxFile>>20)
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return fault(at(0), "the file is UTF-16; save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size < 2 {
			return fault(at(i), "byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])
		}
		if (r < ' ' && r != '\t' && r != '\n' && r != '\r') || r == 0x7f {
			return fault(at(i), "the control character 0x%02x cannot stand in a YAML file", r)
		}
		i += size
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return fault(at(0), "the file is empty; docs/configuration.md begins with an example")
	}
	return string(data), nil
}

// readBounded reads a file of at most limit bytes, and one byte more of a larger
// one. It does not wait for somebody to open the other end of a pipe. Its errors
// name no path: the caller's text does.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	return data, withoutPath(err)
}

func withoutPath(err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		return inner.Err
	}
	return err
}

// sort orders by place and drops repetitions.
func (f *Faults) sort() {
	slices.SortStableFunc(*f, func(a, b Fault) int {
		if a.Pos.File != b.Pos.File && a.Pos.File != "" && b.Pos.File != "" {
			return strings.Compare(a.Pos.File, b.Pos.File)
		}
		if a.Pos.Line != b.Pos.Line {
			return a.Pos.Line - b.Pos.Line
		}
		return a.Pos.Column - b.Pos.Column
	})
	*f = slices.Compact(*f)
}
