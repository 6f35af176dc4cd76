package replay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/replay"
)

// store remembers for ever and can fail.
type store struct {
	seen map[[32]byte]time.Time
	err  error
}

func (s *store) UseOnce(_ context.Context, key [32]byte, until time.Time) (bool, error) {
	if s.err != nil {
		return false, s.err
	}
	if _, ok := s.seen[key]; ok {
		return false, nil
	}
	s.seen[key] = until
	return true, nil
}

func (s *store) Used(_ context.Context, key [32]byte) (bool, error) {
	_, ok := s.seen[key]
	return ok, s.err
}

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func newCache() (*replay.Cache, *store) {
	s := &store{seen: map[[32]byte]time.Time{}}
	return replay.New(replay.Config{Store: s, Now: func() time.Time { return now }}), s
}

func TestEvidenceCountsOnceInItsScope(t *testing.T) {
	t.Parallel()
	cache, _ := newCache()
	later := now.Add(time.Hour)
	for _, step := range []struct {
		name, scope, key string
		want             error
	}{
		{"the first use counts", "corp", "_a1", nil},
		{"the second does not", "corp", "_a1", replay.ErrReplayed},
		{"the same key of another provider is other evidence", "google", "_a1", nil},
		{"another key counts", "corp", "_a2", nil},
		{"scope and key do not run into each other", "cor", "p_a1", nil},
		{"not the other way round either", "corp_", "a1", nil},
	} {
		if err := cache.Use(t.Context(), step.scope, step.key, later); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
}

func TestItFailsClosed(t *testing.T) {
	t.Parallel()
	cache, s := newCache()
	for name, use := range map[string][2]string{
		"without a key": {"corp", ""}, "without a scope": {"", "_a1"},
	} {
		if err := cache.Use(t.Context(), use[0], use[1], now.Add(time.Hour)); err == nil {
			t.Errorf("evidence %s was accepted", name)
		}
	}
	s.err = errors.New("disk full")
	if err := cache.Use(t.Context(), "corp", "_a1", now.Add(time.Hour)); !errors.Is(err, s.err) || errors.Is(err, replay.ErrReplayed) {
		t.Errorf("a store that fails: %v", err)
	}
}

func TestAUseIsRememberedAtLeastTenMinutes(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]time.Time{"no end": {}, "an end in the past": now.Add(-time.Hour), "an end in a second": now.Add(time.Second)} {
		cache, s := newCache()
		if err := cache.Use(t.Context(), "corp", "_a1", until); err != nil {
			t.Fatal(err)
		}
		for _, kept := range s.seen {
			if kept.Before(now.Add(10 * time.Minute)) {
				t.Errorf("%s: remembered until %v only", name, kept)
			}
		}
	}
}

func TestWhetherEvidenceHasCountedIsKnownWithoutCountingIt(t *testing.T) {
	t.Parallel()
	cache, kept := newCache()
	used := func(scope, key string) bool {
		t.Helper()
		got, err := cache.Used(t.Context(), scope, key)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for range 2 {
		if used("corp", "a") {
			t.Error("asking counts")
		}
	}
	if err := cache.Use(t.Context(), "corp", "a", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !used("corp", "a") || used("google", "a") || used("corp", "b") {
		t.Error("what has counted is not known")
	}
	kept.err = errors.New("the disk")
	if _, err := cache.Used(t.Context(), "corp", "b"); err == nil {
		t.Error("a store that cannot be read says that it has not counted")
	}
	if _, err := cache.Used(t.Context(), "corp", ""); err == nil {
		t.Error("evidence without a name was looked up")
	}
}
