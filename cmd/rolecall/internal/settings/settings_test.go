package settings

import (
	"os"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTheFlagBeatsTheEnvironmentBeatsTheLastLogin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := Settings{Dir: dir, Profile: "default", URL: "https://last.example.com"}
	if err := first.Remember(""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag, env, want string
	}{
		{"", "", "https://last.example.com"},
		{"", "https://env.example.com/", "https://env.example.com"},
		{"https://flag.example.com", "https://env.example.com", "https://flag.example.com"},
	} {
		got, err := Load(Flags{URL: c.flag}, env("ROLECALL_CONFIG_DIR", dir, "ROLECALL_URL", c.env))
		if err != nil || got.URL != c.want {
			t.Errorf("flag %q, environment %q: %q, %v; want %q", c.flag, c.env, got.URL, err, c.want)
		}
	}
	if got, err := Load(Flags{Profile: "other"}, env("ROLECALL_CONFIG_DIR", dir)); err != nil || got.URL != "" {
		t.Errorf("another profile knows %q, %v", got.URL, err)
	}
}

func TestTokensAreNeverSentInTheClear(t *testing.T) {
	t.Parallel()
	for given, ok := range map[string]bool{
		"https://sso.example.com":         true,
		"http://127.0.0.1:8400":           true,
		"http://[::1]:8400":               true,
		"http://localhost:8400":           true,
		"http://sso.example.com":          false,
		"http://127.0.0.1.evil.example":   false,
		"http://10.0.0.1":                 false,
		"https://user:pw@sso.example.com": false,
		"https://sso.example.com/?x=1":    false,
		"sso.example.com":                 false,
		"ftp://sso.example.com":           false,
	} {
		if _, err := cleanURL(given); (err == nil) != ok {
			t.Errorf("%s: %v, want accepted %v", given, err, ok)
		}
	}
}

func TestAProfilesNameIsNoPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../x", "a/b", ".hidden", "a b", strings.Repeat("a", 65), "~x"} {
		if _, err := Load(Flags{Profile: name}, env("ROLECALL_CONFIG_DIR", t.TempDir())); err == nil {
			t.Errorf("profile %q was accepted", name)
		}
	}
}

func TestADamagedProfileSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := Settings{Dir: t.TempDir(), Profile: "default", URL: "https://sso.example.com"}
	if err := s.Remember(""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.ProfileFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Flags{}, env("ROLECALL_CONFIG_DIR", s.Dir))
	if err == nil || !strings.Contains(err.Error(), s.ProfileFile()) || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("%v", err)
	}
}
