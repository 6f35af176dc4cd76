package client

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

func TestAClockThatIsWrongIsNoticed(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t)
	for _, off := range []time.Duration{0, 90 * time.Second, -90 * time.Second, 3 * time.Hour} {
		f.ahead = off
		p, err := f.person().Probe(t.Context())
		if wrong := p.Ahead + off; err != nil || wrong < -3*time.Second || wrong > 3*time.Second {
			t.Errorf("the broker's clock is %s ahead: %s ahead here, %v", off, p.Ahead, err)
		}
	}
	f.Close()
	if _, err := f.person().Probe(t.Context()); err == nil {
		t.Error("a broker that is gone was reached")
	}
}

func TestTheBrokersTimeIsCutToTheSecond(t *testing.T) {
	t.Parallel()
	there := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for here, want := range map[time.Duration]time.Duration{
		0: 0, 400 * time.Millisecond: 0, 999 * time.Millisecond: 0, 3 * time.Second: 2 * time.Second, -time.Second: -time.Second,
	} {
		if got := ahead(there.Add(here), there); got != want {
			t.Errorf("%s: %s, want %s", here, got, want)
		}
	}
}

func TestWhereSecretsAreIsSaid(t *testing.T) {
	t.Parallel()
	phrase := filepath.Join(t.TempDir(), "phrase")
	if err := settings.WriteFile(phrase, []byte("correct horse")); err != nil {
		t.Fatal(err)
	}
	f := newFakeBroker(t)
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, "a file that only you can read"},
		{[]string{"ROLECALL_PASSPHRASE_FILE", phrase}, "an encrypted file"},
		{[]string{"ROLECALL_PASSPHRASE_FILE", phrase + ".gone"}, ""},
	} {
		one := f.person(c.env...)
		if got := one.Place(); got != c.want {
			t.Errorf("%v: before a sign-in %q, want %q", c.env, got, c.want)
		}
		if c.want == "" {
			continue
		}
		signIn(t, one)
		if got := one.Place(); got != c.want {
			t.Errorf("%v: after a sign-in %q, want %q", c.env, got, c.want)
		}
	}
}
