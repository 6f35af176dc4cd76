package awsconfig

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func loaded(t testing.TB, text string) *File {
	t.Helper()
	p, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &File{text: []byte(text), parsed: p}
}

var (
	admin = Profile{Name: "production-Admin", Command: "/usr/bin/rolecall credential-process --role production/Admin"}
	dev   = Profile{Name: "dev", Command: "/usr/bin/rolecall credential-process --role dev/D", Region: "eu-west-1"}
	mine  = Options{Owner: "default"}
)

func TestASectionIsAddedInTheFilesOwnLineEnds(t *testing.T) {
	t.Parallel()
	section := "[profile production-Admin]|# managed by rolecall configure (profile default)|credential_process = /usr/bin/rolecall credential-process --role production/Admin|"
	for _, c := range []struct{ name, before, want string }{
		{"an empty file", "", strings.ReplaceAll(section, "|", "\n")},
		{"a file with line ends of Unix", "[default]\nx=1\n", "[default]\nx=1\n\n" + strings.ReplaceAll(section, "|", "\n")},
		{"a file with line ends of Windows", "[default]\r\nx=1\r\n", "[default]\r\nx=1\r\n\r\n" + strings.ReplaceAll(section, "|", "\r\n")},
		{"a file without an end of its last line", "[default]\nx=1", "[default]\nx=1\n\n" + strings.ReplaceAll(section, "|", "\n")},
		{"a file that ends in blank lines", "[default]\n\n\n", "[default]\n\n\n\n" + strings.ReplaceAll(section, "|", "\n")},
	} {
		got := loaded(t, c.before).Plan([]Profile{admin}, mine)
		if d := cmp.Diff(c.want, string(got.After)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		again := loaded(t, string(got.After)).Plan([]Profile{admin}, mine)
		if !bytes.Equal(again.After, got.After) || len(again.Unchanged) != 1 {
			t.Errorf("%s: the second run changes it again", c.name)
		}
	}
}

func TestAnUpdateTouchesItsValueAndNothingElse(t *testing.T) {
	t.Parallel()
	const before = "# head\r\n[profile production-Admin] ; ours\r\n  # managed by rolecall configure (profile default)\r\n\r\n" +
		"Credential_Process\t:  /old/rolecall credential-process\r\n  --role x\r\noutput=json\r\n# tail\r\n[other]\r\nx = 1"
	want := "# head\r\n[profile production-Admin] ; ours\r\n  # managed by rolecall configure (profile default)\r\n\r\n" +
		"Credential_Process\t:  " + admin.Command + "\r\noutput=json\r\n# tail\r\n[other]\r\nx = 1"
	got := loaded(t, before).Plan([]Profile{admin}, mine)
	if d := cmp.Diff(want, string(got.After)); d != "" || len(got.Updated) != 1 {
		t.Errorf("%v %s", got.Updated, d)
	}
}

func TestTheRegionIsTheUsersUntilItIsAskedFor(t *testing.T) {
	t.Parallel()
	const section = "[profile dev]\n# managed by rolecall configure (profile default)\ncredential_process = /usr/bin/rolecall credential-process --role dev/D\n"
	with, without := dev, dev
	without.Region = ""
	for _, c := range []struct {
		name, before, want string
		ask                Profile
	}{
		{"kept", section + "region = us-east-1\n", section + "region = us-east-1\n", without},
		{"set", section + "region = us-east-1\n", section + "region = eu-west-1\n", with},
		{"not added", section, section, without},
		{"added", section, strings.Replace(section, "default)\n", "default)\nregion = eu-west-1\n", 1), with},
		{"emptied by hand", section + "region =\n", section + "region =eu-west-1\n", with},
	} {
		if got := loaded(t, c.before).Plan([]Profile{c.ask}, mine); string(got.After) != c.want {
			t.Errorf("%s: %s", c.name, cmp.Diff(c.want, string(got.After)))
		}
	}
}

func TestANameThatIsTakenIsLeftOutAndSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before  string
		options Options
		says    string
	}{
		"by hand":                        {"[profile dev]\nregion = x\n", mine, "line 1 has a section of this name that is not ours"},
		"by hand, for rolecall":          {"[profile dev]\ncredential_process = rolecall credential-process --role dev/D\n", mine, "not ours"},
		"by another profile of rolecall": {"\n[profile dev]\n# managed by rolecall configure (profile work)\n", mine, "line 2 has it for the rolecall profile work"},
		"without the word profile":       {"[dev]\nregion = x\n", mine, "not ours"},
		"in quotes":                      {"[profile \"dev\"]\n", mine, "not ours"},
		"in the credentials file":        {"", Options{Owner: "default", Taken: []string{"dev"}}, "credentials file"},
		"by a marker outside a section":  {"# managed by rolecall configure (profile default)\n[profile dev]\n", mine, "not ours"},
	} {
		got := loaded(t, c.before).Plan([]Profile{dev}, c.options)
		if string(got.After) != c.before || len(got.Skipped) != 1 || !strings.Contains(got.Skipped[0].Why, c.says) {
			t.Errorf("%s: %q, %v; want it left alone and %q", name, got.After, got.Skipped, c.says)
		}
	}
}

func TestPruneRemovesWhatWeWroteAndNoMore(t *testing.T) {
	t.Parallel()
	const user = "# mine\n[default]\nx=1\n\n# theirs\n[profile other]\ny=2\n"
	added := loaded(t, user).Plan([]Profile{admin, dev}, mine)
	gone := loaded(t, string(added.After)).Plan(nil, Options{Owner: "default", Prune: true})
	if d := cmp.Diff(user, string(gone.After)); d != "" || len(gone.Removed) != 2 {
		t.Errorf("removed %v: %s", gone.Removed, d)
	}
	if other := loaded(t, string(added.After)).Plan(nil, Options{Owner: "work", Prune: true}); !bytes.Equal(other.After, added.After) {
		t.Error("the sections of another profile were removed")
	}
	noted := strings.Replace(string(added.After), "[profile dev]\n", "[profile dev]\noutput = json\n", 1)
	kept := loaded(t, noted).Plan([]Profile{admin}, Options{Owner: "default", Prune: true})
	if string(kept.After) != noted || len(kept.Skipped) != 1 || !strings.Contains(kept.Skipped[0].Why, "output in line") {
		t.Errorf("a section with a setting of the user's: %v", kept.Skipped)
	}
	commented := "[profile dev]\n# managed by rolecall configure (profile default)\n# keep me\ncredential_process = x\n# about the next\n[next]\n"
	left := loaded(t, commented).Plan(nil, Options{Owner: "default", Prune: true})
	if string(left.After) != "# keep me\n# about the next\n[next]\n" {
		t.Errorf("comments: %q", left.After)
	}
}

func TestCommandsAreThoseOfTheOwner(t *testing.T) {
	t.Parallel()
	f := loaded(t, string(loaded(t, "[profile x]\ncredential_process = y\n").Plan([]Profile{admin, dev}, mine).After))
	want := map[string]string{admin.Name: admin.Command, dev.Name: dev.Command}
	if d := cmp.Diff(want, f.Commands("default")); d != "" {
		t.Error(d)
	}
	if got := f.Commands("work"); len(got) != 0 {
		t.Errorf("another owner has %v", got)
	}
}

// Whatever the file holds: if it can be read, every line of it is still there in
// its place after our sections came, a second run changes nothing, and our
// sections leave no trace when they go.
func FuzzPlan(f *testing.F) {
	for _, c := range readableFiles {
		f.Add(c.text)
	}
	for _, c := range unreadable {
		f.Add(c.text)
	}
	f.Add(string(loaded(f, "[a]\r\n").Plan([]Profile{admin, dev}, mine).After))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse([]byte(text))
		if err != nil || strings.Contains(text, markerStart) {
			return
		}
		file := &File{text: []byte(text), parsed: p}
		first := file.Plan([]Profile{admin, dev}, mine)
		if !bytes.HasPrefix(first.After, []byte(text)) {
			t.Fatalf("bytes of the user changed:\n%q\n%q", text, first.After)
		}
		next, err := parse(first.After)
		if err != nil {
			t.Fatalf("%q became unreadable: %v", text, err)
		}
		second := &File{text: first.After, parsed: next}
		if again := second.Plan([]Profile{admin, dev}, mine); !bytes.Equal(again.After, first.After) {
			t.Fatalf("the second run changes %q to %q", first.After, again.After)
		}
		end := ""
		if text != "" && !strings.HasSuffix(text, "\n") && len(first.Added) > 0 {
			end = next.newline
		}
		if gone := second.Plan(nil, Options{Owner: "default", Prune: true}); string(gone.After) != text+end {
			t.Fatalf("traces left: %s", cmp.Diff(text+end, string(gone.After)))
		}
	})
}

func BenchmarkPlanOf2400Roles(b *testing.B) {
	var want []Profile
	for i := range 2400 {
		want = append(want, Profile{Name: fmt.Sprintf("account-%d", i), Command: admin.Command})
	}
	text := string(loaded(b, "").Plan(want, mine).After)
	for b.Loop() {
		loaded(b, text).Plan(want, mine)
	}
}
