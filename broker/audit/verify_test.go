package audit_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/audit"
)

func TestVerifyFindsTheFirstBrokenRecord(t *testing.T) {
	t.Parallel()
	_, l := written(t, 5)
	l[4] += "\n"
	_, other := written(t, 5)
	other[4] += "\n"
	replace := func(line, old, text string) string { return strings.Replace(line, old, text, 1) }
	all := strings.Join(l, "")
	for name, test := range map[string]struct {
		text string
		line int // 0: it holds
	}{
		"an untouched file": {all, 0},
		"no record at all":  {"", 0},
		"records cut off at the end (cannot be seen in the file alone)": {l[0] + l[1], 0},
		"an edited name":                  {l[0] + l[1] + replace(l[2], "alice", "bobby") + l[3] + l[4], 3},
		"an edited time":                  {replace(l[0], "09:00", "10:00") + strings.Join(l[1:], ""), 1},
		"an edited hash":                  {l[0] + replace(l[1], `"hash":"`, `"hash":"0`)[:len(l[1])-3] + "\"}\n" + l[2], 2},
		"an added field":                  {l[0] + replace(l[1], "{", `{"x":1,`) + l[2], 2},
		"an added space":                  {l[0] + replace(l[1], ",", ", ") + l[2], 2},
		"hex in capitals":                 {l[0] + strings.ToUpper(l[1]), 2},
		"a removed record":                {l[0] + l[1] + l[3] + l[4], 3},
		"a removed first record":          {l[1] + l[2], 1},
		"two records that changed places": {l[0] + l[2] + l[1] + l[3], 2},
		"a record twice":                  {l[0] + l[1] + l[1] + l[2], 3},
		"a record of another chain":       {l[0] + l[1] + "{}\n" + l[2], 3},
		"an unfinished last record":       {l[0] + l[1] + l[2][:40], 3},
		"a last record without newline":   {l[0] + strings.TrimSuffix(l[1], "\n"), 2},
		"an empty line":                   {l[0] + "\n" + l[1], 2},
		"zeros of a broken disk":          {l[0] + strings.Repeat("\x00", 4096) + "\n" + l[1], 2},
		"windows line ends":               {strings.ReplaceAll(all, "\n", "\r\n"), 1},
		"a line without an end":           {l[0] + strings.Repeat("x", 5<<20), 2},
	} {
		summary, err := audit.Verify(strings.NewReader(test.text))
		broken, _ := errors.AsType[*audit.Broken](err)
		switch {
		case test.line == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.line > 0 && (broken == nil || broken.Line != test.line):
			t.Errorf("%s: %v, want a break at line %d", name, err, test.line)
		case test.line > 0 && summary.Records != test.line-1:
			t.Errorf("%s: %d records hold, want %d", name, summary.Records, test.line-1)
		}
	}
}

func TestEveryEditOfEveryByteIsFound(t *testing.T) {
	t.Parallel()
	path, _ := written(t, 3)
	text, err := os.ReadFile(path)
	must(t, err)
	for i := range text {
		edited := bytes.Clone(text)
		edited[i] ^= 0x01
		if _, err := audit.Verify(bytes.NewReader(edited)); err == nil {
			t.Errorf("byte %d %q became %q and nobody saw it", i, text[i], edited[i])
		}
	}
}

func TestEveryRemovedByteIsFound(t *testing.T) {
	t.Parallel()
	path, _ := written(t, 3)
	text, err := os.ReadFile(path)
	must(t, err)
	for i := range text {
		short := append(bytes.Clone(text[:i]), text[i+1:]...)
		if _, err := audit.Verify(bytes.NewReader(short)); err == nil {
			t.Errorf("byte %d %q was removed and nobody saw it", i, text[i])
		}
	}
}

func TestTheSummaryIsWhatToNoteElsewhere(t *testing.T) {
	t.Parallel()
	_, lines := written(t, 3)
	whole, err := audit.Verify(strings.NewReader(strings.Join(lines, "") + "\n"))
	must(t, err)
	if whole.Records != 3 || whole.FirstHash != decode(t, lines[0])["hash"] || whole.LastHash != decode(t, lines[2])["hash"] {
		t.Errorf("%+v", whole)
	}
	short, err := audit.Verify(strings.NewReader(lines[0] + lines[1]))
	must(t, err)
	if short == whole {
		t.Error("a chain that was cut off has the same summary")
	}
}

// failing gives some text, then an error.
type failing struct{ text *strings.Reader }

var errDisk = errors.New("input/output error")

func (f failing) Read(p []byte) (int, error) {
	if f.text.Len() == 0 {
		return 0, errDisk
	}
	return f.text.Read(p)
}

func TestAFileThatCannotBeReadIsNotCalledBroken(t *testing.T) {
	t.Parallel()
	_, lines := written(t, 2)
	_, err := audit.Verify(failing{strings.NewReader(lines[0] + lines[1][:20])})
	if broken, ok := errors.AsType[*audit.Broken](err); ok || !errors.Is(err, errDisk) {
		t.Errorf("%v %v", broken, err)
	}
}

func TestASetOfFiles(t *testing.T) {
	t.Parallel()
	_, a := written(t, 3)
	_, b := written(t, 2)
	b[0] = strings.Replace(b[0], "alice", "bobby", 1)
	pathC := newPath(t)
	l := open(t, pathC)
	must(t, l.Append(t.Context(), audit.Event{RequestID: "c", Event: "revoke", Outcome: audit.Granted}))
	must(t, l.Close())
	c := readLines(t, pathC)
	file := func(name string, lines ...string) audit.File {
		return audit.File{Name: name, Reader: strings.NewReader(strings.TrimSuffix(strings.Join(lines, ""), "\n") + "\n")}
	}
	for name, test := range map[string]struct {
		files []audit.File
		want  []string // in the error; none: they hold
	}{
		"the files of two processes":  {[]audit.File{file("a", a...), file("c", c...)}, nil},
		"one broken among good ones":  {[]audit.File{file("a", a...), file("b", b...), file("c", c...)}, []string{"b: line 1"}},
		"a shortened copy":            {[]audit.File{file("a", a...), file("a.bak", a[0], a[1])}, []string{"a.bak: line 1", "copy of the other"}},
		"two that are broken":         {[]audit.File{file("a", a[1]), file("b", b...)}, []string{"a: line 1", "b: line 1"}},
		"an empty one beside another": {[]audit.File{{Name: "new", Reader: strings.NewReader("")}, file("c", c...)}, nil},
	} {
		summaries, err := audit.VerifySet(test.files)
		if len(summaries) != len(test.files) {
			t.Errorf("%s: %d summaries", name, len(summaries))
		}
		if (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range test.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte(strings.Repeat("x", 200) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		summary, err := audit.Verify(bytes.NewReader(text))
		if err == nil && len(text) > 0 && summary.Records != bytes.Count(text, []byte("\n")) {
			t.Errorf("%d records in %q", summary.Records, text)
		}
	})
}
