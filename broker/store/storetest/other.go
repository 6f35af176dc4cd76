package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/session"
)

func peopleTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"who comes first keeps a name":                  nameFirst,
		"consent is of one session and one client":      consent,
		"there is no consent without a session":         consentOrphan,
		"a name differs from another by case and space": nameExact,
	}
}

func otherTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"evidence is used once":                           usedOnce,
		"signing keys come back in order, a place once":   signingKeys,
		"a sweep takes what has expired and nothing else": sweep,
		"revocations have rising numbers":                 revocations,
		"who has a user name is found by what they have":  subjectsNamed,
		"a sweep takes more than one batch":               sweepMany,
		"a call whose context has ended does nothing":     cancelled,
		"a store that is closed refuses":                  closed,
	}
}

func claim(t *testing.T, s Store, name, provider, subject string, want bool) {
	t.Helper()
	mine, err := s.ClaimName(t.Context(), name, provider, subject)
	must(t, err)
	if mine != want {
		t.Errorf("%q of %s=%s is theirs: %t, want %t", name, provider, subject, mine, want)
	}
}

func nameFirst(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	claim(t, s, "alice", "corp", "1", true)
	claim(t, s, "alice", "corp", "1", true)
	claim(t, s, "alice", "corp", "2", false)
	claim(t, s, "alice", "google", "1", false)
	claim(t, s, "alice2", "corp", "2", true)
	must(t, s.EndSubject(t.Context(), "corp", "1"))
	must(t, s.Sweep(t.Context(), now.AddDate(10, 0, 0)))
	claim(t, s, "alice", "corp", "2", false)
}

func nameExact(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	for i, name := range []string{"alice", "Alice", "alice ", "ａlice", "alic\u00e9", "alice\u0301", ""} {
		claim(t, s, name, "corp", fmt.Sprint(i), true)
	}
}

func consent(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	must(t, s.PutSession(t.Context(), key("t2"), sessionRow("s2")))
	must(t, s.PutConsent(t.Context(), "s1", "cli"))
	must(t, s.PutConsent(t.Context(), "s1", "cli"))
	for _, c := range []struct {
		session, client string
		want            bool
	}{{"s1", "cli", true}, {"s1", "app", false}, {"s2", "cli", false}, {"", "cli", false}} {
		got, err := s.HasConsent(t.Context(), c.session, c.client)
		must(t, err)
		if got != c.want {
			t.Errorf("consent of %q to %q: %t", c.session, c.client, got)
		}
	}
}

func consentOrphan(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	wantError(t, "consent in no session", s.PutConsent(t.Context(), "s1", "cli"), session.ErrNotFound)
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	got, err := s.HasConsent(t.Context(), "s1", "cli")
	if must(t, err); got {
		t.Error("it counts for the session made later")
	}
}

func usedOnce(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	for i, want := range []bool{true, false, false} {
		if used, err := s.Used(t.Context(), key("k")); err != nil || used == want {
			t.Errorf("before a use that counts (%v) the key is used: %v, %v", want, used, err)
		}
		got, err := s.UseOnce(t.Context(), key("k"), now.Add(time.Minute))
		if must(t, err); got != want {
			t.Errorf("use %d is new: %t", i+1, got)
		}
	}
	got, err := s.UseOnce(t.Context(), key("k2"), now.Add(time.Minute))
	if must(t, err); !got {
		t.Error("another key is not new")
	}
}

func signingKeys(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	row := func(use, algorithm string, generation int) keys.Row {
		return keys.Row{
			Use: use, Algorithm: algorithm, Generation: generation, KID: fmt.Sprint(use, algorithm, generation),
			Active: now, Sealed: []byte("sealed\x00"),
		}
	}
	want := []keys.Row{row("id", "ES256", 1), row("id", "ES256", 2), row("id", "RS256", 1)}
	for _, r := range []keys.Row{want[2], want[1], want[0], row("aws", "ES256", 1)} {
		won, err := s.AddKey(t.Context(), r)
		if must(t, err); !won {
			t.Errorf("%s: the place was not free", r.KID)
		}
	}
	late := row("id", "ES256", 2)
	late.KID = "late"
	won, err := s.AddKey(t.Context(), late)
	if must(t, err); won {
		t.Error("two keys in one place")
	}
	got, err := s.Keys(t.Context(), "id")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	must(t, s.DropKey(t.Context(), want[0].KID))
	must(t, s.DropKey(t.Context(), "unknown"))
	got, err = s.Keys(t.Context(), "id")
	if must(t, err); len(got) != 2 {
		t.Errorf("%d keys after one was dropped", len(got))
	}
}

func sweep(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	later := now.Add(24 * time.Hour)
	for name, end := range map[string]time.Time{"old": now, "young": later} {
		row := sessionRow(name)
		row.Expires = end
		must(t, s.PutSession(t.Context(), key(name), row))
		must(t, s.PutConsent(t.Context(), name, "cli"))
		must(t, s.PutPending(t.Context(), key(name), key("b"), nil, end))
		family := familyRow(name, "")
		family.Expires = end
		must(t, s.PutFamily(t.Context(), family, []session.TokenRow{{Hash: key(name), Expires: end}}))
		_, err := s.UseOnce(t.Context(), key(name), end)
		must(t, err)
	}
	must(t, s.Sweep(t.Context(), now))
	for name, swept := range map[string]bool{"old": true, "young": false} {
		_, err := s.SessionByID(t.Context(), name)
		if (err != nil) != swept {
			t.Errorf("session %s: %v", name, err)
		}
		has, err := s.HasConsent(t.Context(), name, "cli")
		if must(t, err); has == swept {
			t.Errorf("consent of %s: %t", name, has)
		}
		_, err = s.TakePending(t.Context(), key(name), key("b"), now.Add(-time.Hour))
		if (err != nil) != swept {
			t.Errorf("pending %s: %v", name, err)
		}
		_, _, err = s.FindToken(t.Context(), key(name))
		if (err != nil) != swept {
			t.Errorf("token %s: %v", name, err)
		}
		fresh, err := s.UseOnce(t.Context(), key(name), later)
		if must(t, err); fresh != swept {
			t.Errorf("evidence %s is new: %t", name, fresh)
		}
	}
}

func sweepMany(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	const many = 1203
	for _, err := range atOnce(many, func(i int) error {
		_, err := s.UseOnce(t.Context(), key(fmt.Sprint(i)), now)
		return err
	}) {
		must(t, err)
	}
	must(t, s.Sweep(t.Context(), now))
	for i := range many {
		if fresh, err := s.UseOnce(t.Context(), key(fmt.Sprint(i)), now); err != nil || !fresh {
			t.Fatalf("evidence %d: new %t, %v", i, fresh, err)
		}
	}
}

func cancelled(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutPending(t.Context(), key("h"), key("b"), nil, now.Add(time.Minute)))
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := s.TakePending(ended, key("h"), key("b"), now)
	wantError(t, "a write", err, context.Canceled)
	_, err = s.SessionByID(ended, "s1")
	wantError(t, "a read", err, context.Canceled)
	_, err = s.TakePending(t.Context(), key("h"), key("b"), now)
	wantError(t, "the row afterwards", err, nil)
}

func closed(t *testing.T, fresh Fresh) {
	open := fresh(t)
	s := open()
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	must(t, s.Ping(t.Context()))
	must(t, s.Close())
	must(t, s.Close())
	if s.PutSession(t.Context(), key("t2"), sessionRow("s2")) == nil {
		t.Error("it still writes")
	}
	if _, err := s.SessionByID(t.Context(), "s1"); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("a read gives %v", err)
	}
	if s.Ping(t.Context()) == nil {
		t.Error("it still answers a ping")
	}
	again := opened(t, open)
	_, err := again.SessionByID(t.Context(), "s1")
	wantError(t, "what was written, after the next start", err, nil)
}
