package warm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	body = []byte("{\"Version\":1}\n")
)

var question = Question{"https://sso.example.com", "production/Admin", ""}

func entry(life time.Duration) Entry { return Entry{noon, noon.Add(life), question, body} }

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestAFileGivesBackWhatWasSealed(t *testing.T) {
	t.Parallel()
	want := entry(time.Hour)
	got, ok := Open(want.Seal(), want.Question)
	if !ok || !got.Made.Equal(want.Made) || !got.Expires.Equal(want.Expires) || string(got.Document) != string(want.Document) {
		t.Errorf("%v %+v", ok, got)
	}
}

// No byte of a file may change unnoticed: what it says is printed as it is.
func TestADamagedFileIsNone(t *testing.T) {
	t.Parallel()
	sealed := entry(time.Hour).Seal()
	for i := range sealed {
		for _, flip := range []byte{1, 0x20, 0x80} {
			damaged := append([]byte(nil), sealed...)
			damaged[i] ^= flip
			if _, ok := Open(damaged, question); ok {
				t.Errorf("byte %d (%q) may be %q", i, sealed[i], damaged[i])
			}
		}
		if _, ok := Open(sealed[:i], question); ok {
			t.Errorf("%d bytes are taken for the whole", i)
		}
	}
	for _, text := range []string{"", "\n", "{}", "rolecall 1 2 3 4\n", "rolecall 1 x y z\nw\n", "rolecall 1 cbf29ce484222325 ", strings.Repeat(" ", 9)} {
		if _, ok := Open([]byte(text), question); ok {
			t.Errorf("%q was taken", text)
		}
	}
}

// Two questions may share a file name; then one of them is not answered.
func TestAnAnswerIsToItsOwnQuestion(t *testing.T) {
	t.Parallel()
	sealed := entry(time.Hour).Seal()
	for _, other := range []Question{
		{}, {question.URL, "production/Developer", ""}, {question.URL, question.Role, "1h"}, {"https://evil.example.com", question.Role, ""},
	} {
		if _, ok := Open(sealed, other); ok {
			t.Errorf("%+v was answered", other)
		}
		if other.FileName("default") == question.FileName("default") {
			t.Errorf("%+v has the same file", other)
		}
	}
	if question.FileName("a") == question.FileName("b") {
		t.Error("two profiles share a file")
	}
	if e, ok := OpenAny(sealed); !ok || !e.Expires.Equal(noon.Add(time.Hour)) {
		t.Errorf("its times: %v %v", ok, e.Expires)
	}
}

func TestFreshIsAQuarterOfAnHourOrHalfOfAShortLife(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		life, age time.Duration
		fresh     bool
	}{
		{time.Hour, 0, true},
		{time.Hour, 45 * time.Minute, true},
		{time.Hour, 45*time.Minute + time.Second, false},
		{15 * time.Minute, 7 * time.Minute, true},
		{15 * time.Minute, 8 * time.Minute, false},
		{time.Hour, 2 * time.Hour, false},
		{0, 0, true}, // lasts no time at all: the reader checks the expiry, too
	} {
		if got := entry(c.life).Fresh(noon.Add(c.age)); got != c.fresh {
			t.Errorf("%s of %s: %v", c.age, c.life, got)
		}
	}
}

// kept puts an entry where an answer would look for it.
func kept(t *testing.T, dir, profile, url, role, duration string) {
	t.Helper()
	q := Question{url, role, duration}
	for path, text := range map[string]string{
		"cache/" + q.FileName(profile):  string(Entry{noon, noon.Add(time.Hour), q, body}.Seal()),
		"profiles/" + profile + ".json": "{\"url\":\"" + url + "\"}\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPlainCallIsAnswered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept(t, dir, "default", "https://sso.example.com", "production/Admin", "")
	kept(t, dir, "work", "https://work.example.com/x", "a/B", "1h")
	for name, c := range map[string]struct {
		args string
		env  []string
	}{
		"by the environment":      {"--role production/Admin", []string{"ROLECALL_CONFIG_DIR", dir}},
		"by flags":                {"--config-dir " + dir + " --role=production/Admin", nil},
		"with an address":         {"--role production/Admin --url https://sso.example.com/", []string{"ROLECALL_CONFIG_DIR", dir}},
		"of another profile":      {"--profile work --duration 1h --role a/B", []string{"ROLECALL_CONFIG_DIR", dir}},
		"of a profile by name":    {"--duration=1h --role a/B", []string{"ROLECALL_CONFIG_DIR", dir, "ROLECALL_PROFILE", "work"}},
		"of an address by a name": {"--role production/Admin", []string{"ROLECALL_CONFIG_DIR", dir, "ROLECALL_URL", "https://sso.example.com"}},
	} {
		args := append([]string{"credential-process"}, strings.Fields(c.args)...)
		if got, ok := Answer(args, environment(c.env...), noon); !ok || cmp.Diff(body, got) != "" {
			t.Errorf("%s: %v %q", name, ok, got)
		}
	}
}

func TestWhatIsNotKnownAtOnceIsLeftToTheProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept(t, dir, "default", "https://sso.example.com", "production/Admin", "")
	kept(t, dir, "odd", `https://sso.example.com/\u0026`, "production/Admin", "")
	for name, c := range map[string]struct {
		args, env string
		at        time.Time
	}{
		"another command":            {"env --role production/Admin", "", noon},
		"nothing":                    {"", "", noon},
		"no role":                    {"credential-process --profile default", "", noon},
		"help":                       {"credential-process --role production/Admin --help", "", noon},
		"a flag without its value":   {"credential-process --profile default --role", "", noon},
		"a word too many":            {"credential-process x --role production/Admin", "", noon},
		"another role":               {"credential-process --role production/Developer", "", noon},
		"another duration":           {"credential-process --role production/Admin --duration 2h", "", noon},
		"another broker":             {"credential-process --role production/Admin --url https://evil.example.com", "", noon},
		"an unknown profile":         {"credential-process --role production/Admin --profile x", "", noon},
		"a profile that is a path":   {"credential-process --role production/Admin --profile ../default", "", noon},
		"an address with an escape":  {"credential-process --role production/Admin --profile odd", "", noon},
		"credentials too near death": {"credential-process --role production/Admin", "", noon.Add(46 * time.Minute)},
		"credentials past theirs":    {"credential-process --role production/Admin", "", noon.Add(2 * time.Hour)},
	} {
		if got, ok := Answer(strings.Fields(c.args), environment("ROLECALL_CONFIG_DIR", dir, "ROLECALL_URL", c.env), c.at); ok {
			t.Errorf("%s: answered %q", name, got)
		}
	}
}

func TestADurationOfNothingIsNeverFreshPastItsEnd(t *testing.T) {
	t.Parallel()
	if entry(0).Fresh(noon.Add(time.Second)) {
		t.Error("expired credentials are fresh")
	}
}
