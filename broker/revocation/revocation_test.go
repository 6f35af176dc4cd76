package revocation

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall/rolecall/idp"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// memory keeps revocations; err fails every read.
type memory struct {
	mu  sync.Mutex
	all []Revocation
	err error
}

func (m *memory) AddRevocation(_ context.Context, r Revocation) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Number = int64(len(m.all) + 1)
	m.all = append(m.all, r)
	return r.Number, nil
}

func (m *memory) RevocationsAfter(_ context.Context, number int64) ([]Revocation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Revocation{}, m.all[min(int(number), len(m.all)):]...), m.err
}

func list(t *testing.T, all ...Revocation) *List {
	t.Helper()
	m := &memory{}
	for _, r := range all {
		if _, err := m.AddRevocation(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	l := New(m, slog.New(slog.DiscardHandler))
	if err := l.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWhatARevocationConcerns(t *testing.T) {
	t.Parallel()
	alice := idp.Identity{Provider: "corp", Subject: "u-1", Username: "alice"}
	before, after := now.Add(-time.Hour), now.Add(time.Second)
	for name, c := range map[string]struct {
		r              Revocation
		who            idp.Identity
		session, grant string
		since          time.Time
		want           Verdict
	}{
		"a user by name":                    {Revocation{Kind: User, Target: "alice", At: now}, alice, "s", "g", before, Verdict{1, true, time.Time{}}},
		"a user by provider and subject":    {Revocation{Kind: User, Target: "corp=u-1", At: now}, alice, "s", "g", before, Verdict{1, true, time.Time{}}},
		"a user who signed in at that time": {Revocation{Kind: User, Target: "alice", At: now}, alice, "s", "g", now, Verdict{1, true, time.Time{}}},
		"a user who signed in again":        {Revocation{Kind: User, Target: "alice", At: now}, alice, "s", "g", after, Verdict{1, false, time.Time{}}},
		"a user until later":                {Revocation{Kind: User, Target: "alice", At: now, Until: now.Add(time.Hour)}, alice, "s", "g", after, Verdict{1, false, now.Add(time.Hour)}},
		"another provider's same subject":   {Revocation{Kind: User, Target: "other=u-1", At: now}, alice, "s", "g", before, Verdict{}},
		"another user":                      {Revocation{Kind: User, Target: "Alice", At: now}, alice, "s", "g", before, Verdict{}},
		"a session":                         {Revocation{Kind: Session, Target: "s", At: now}, alice, "s", "g", after, Verdict{1, true, time.Time{}}},
		"another session":                   {Revocation{Kind: Session, Target: "s", At: now}, alice, "s2", "g", before, Verdict{}},
		"a grant":                           {Revocation{Kind: Grant, Target: "g", At: now}, alice, "s", "g", before, Verdict{1, false, time.Time{}}},
		"a grant until later":               {Revocation{Kind: Grant, Target: "g", At: now, Until: after}, alice, "s", "g", before, Verdict{1, false, after}},
		"a user named like a grant":         {Revocation{Kind: Grant, Target: "alice", At: now}, alice, "s", "g", before, Verdict{}},
		"nobody's name is no name":          {Revocation{Kind: User, Target: "", At: now}, idp.Identity{Provider: "corp", Subject: "x"}, "", "", before, Verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := list(t, c.r).Of(c.who, c.session, c.grant, c.since); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestEveryNodeKnowsWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		ctx, stop := context.WithCancel(t.Context())
		nodes := []*List{New(m, slog.New(slog.DiscardHandler)), New(m, slog.New(slog.DiscardHandler))}
		for _, n := range nodes {
			go n.Run(ctx)
		}
		who := idp.Identity{Provider: "corp", Subject: "u-1"}
		since := time.Now()
		time.Sleep(500 * time.Millisecond) // synctest: no time passes
		if _, err := m.AddRevocation(ctx, Revocation{Kind: User, Target: "corp=u-1", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.err = errors.New("down") // for one poll
		m.mu.Unlock()
		time.Sleep(600 * time.Millisecond)
		m.mu.Lock()
		m.err = nil
		m.mu.Unlock()
		time.Sleep(900*time.Millisecond + 100*time.Millisecond)
		for i, n := range nodes {
			if !n.Of(who, "", "", since).Dead {
				t.Errorf("node %d does not know", i)
			}
		}
		stop()
	})
}
