package replay_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/replay"
)

func TestAWindowLetsEvidenceCountOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 0, 10, 0, time.UTC)
	w := replay.NewWindow(0, func() time.Time { return now })
	until := now.Add(90 * time.Second)
	use := func(scope, key string) error { return w.Use(t.Context(), scope, key, until) }
	for _, fresh := range [][2]string{{"key", "jti"}, {"key", "other"}, {"other", "jti"}, {"keyj", "ti"}} {
		if err := use(fresh[0], fresh[1]); err != nil {
			t.Errorf("%q: %v", fresh, err)
		}
		if err := use(fresh[0], fresh[1]); !errors.Is(err, replay.ErrReplayed) {
			t.Errorf("%q again: %v", fresh, err)
		}
	}
	now = until.Add(-time.Nanosecond)
	if err := w.Use(t.Context(), "new", "comer", now.Add(time.Hour)); err != nil { // which sweeps
		t.Fatal(err)
	}
	if err := use("key", "jti"); !errors.Is(err, replay.ErrReplayed) {
		t.Errorf("at the end of its time: %v", err)
	}
	now = until
	if err := use("key", "late"); !errors.Is(err, replay.ErrReplayed) {
		t.Errorf("evidence of the past: %v", err)
	}
	for _, none := range [][2]string{{"", "jti"}, {"key", ""}} {
		if w.Use(t.Context(), none[0], none[1], now.Add(time.Minute)) == nil {
			t.Errorf("%q is accepted", none)
		}
	}
}

// Full is closed: what cannot be remembered could come again.
func TestAFullWindowTakesNothingMore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	w := replay.NewWindow(3, func() time.Time { return now })
	use := func(i int) error { return w.Use(t.Context(), "key", fmt.Sprint(i), now.Add(2*time.Minute)) }
	for i := range 3 {
		if err := use(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(3); !errors.Is(err, replay.ErrFull) {
		t.Errorf("the fourth: %v", err)
	}
	if err := use(0); !errors.Is(err, replay.ErrReplayed) {
		t.Errorf("the first again: %v", err)
	}
	now = now.Add(3 * time.Minute)
	for i := range 3 {
		if err := use(i); err != nil {
			t.Errorf("when the others have ended: %v", err)
		}
	}
}

func TestOfACrowdWithOneProofOneGetsIn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := replay.NewWindow(0, func() time.Time { return now })
	var in atomic.Int32
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			if w.Use(t.Context(), "key", "jti", now.Add(time.Minute)) == nil {
				in.Add(1)
			}
		})
	}
	group.Wait()
	if in.Load() != 1 {
		t.Errorf("%d got in", in.Load())
	}
}
