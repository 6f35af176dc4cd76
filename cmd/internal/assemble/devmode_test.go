package assemble

import (
	"errors"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
)

// The stand-in of dev knows the broker in every way in which an account can, so
// that a mode can be tried by one word.
func TestDevGivesKeysInEachMode(t *testing.T) {
	t.Parallel()
	for _, mode := range devModes[:3] {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := runIn(t, mode)
			for _, provider := range []string{"corp", "staff"} {
				b := w.signIn(t, provider)
				order(t, b, w.URL, "production/Admin")
				if keysOn(b.Page) == "" {
					t.Errorf("%s: no keys: %d\n%s\n%s", provider, b.Page.Status, b.Page.Text, w.record(t))
				}
			}
		})
	}
}

func TestTheConfigurationOfDevIsPrintedForItsModes(t *testing.T) {
	t.Parallel()
	for _, mode := range append([]string{""}, devModes...) {
		var text strings.Builder
		if err := PrintDevConfig(&text, mode); err != nil {
			t.Fatal(err)
		}
		loaded, err := config.Parse("rolecall.yaml", []byte(text.String()), noEnv)
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		want := mode
		if mode == "" || mode == ownMode {
			want = "assume-role"
		}
		if got := loaded.AWS.Mode.Value; got != want || (loaded.Grants[0].Assertion.Value == "user") != (mode == ownMode) {
			t.Errorf("%q has the mode %q", mode, got)
		}
		if _, err := Check(Options{Config: loaded, Now: nil}); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
	for _, mode := range []string{"federation-token", "x", "saml\nx: y"} {
		if err := PrintDevConfig(&strings.Builder{}, mode); !errors.Is(err, ErrMode) {
			t.Errorf("%q: %v", mode, err)
		}
		if d, err := NewDev(t.Context(), DevOptions{Listen: "127.0.0.1:0", Data: t.TempDir(), Mode: mode}); !errors.Is(err, ErrMode) || d != nil {
			t.Errorf("%q: %v", mode, err)
		}
	}
}
