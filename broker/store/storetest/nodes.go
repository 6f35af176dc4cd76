package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/session"
)

const crowd = 64

func nodeTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"of a crowd on two nodes one takes a pending sign-in":         crowdPending,
		"of a crowd on two nodes one takes a code, and loses it":      crowdCode,
		"of a crowd on two nodes one rotates a token, and loses it":   crowdRotate,
		"of a crowd on two nodes one uses evidence":                   crowdUse,
		"of a crowd on two nodes one gets a name":                     crowdName,
		"of a crowd on two nodes one makes a key":                     crowdKey,
		"what one node writes the other reads at once":                otherNodeReads,
		"a failing write does not fail the writes beside it":          neighbours,
		"no token outlives a sign-out that happens at the same time ": crowdSignOut,
	}
}

// two opens two nodes and gives each call of a crowd one of them in turn.
func two(t *testing.T, fresh Fresh) func(i int) Store {
	t.Helper()
	open := fresh(t)
	nodes := [2]Store{opened(t, open), opened(t, open)}
	return func(i int) Store { return nodes[i%2] }
}

func crowdPending(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	must(t, node(0).PutPending(t.Context(), key("h"), key("b"), nil, now.Add(time.Minute)))
	errs := atOnce(crowd, func(i int) error {
		_, err := node(i).TakePending(t.Context(), key("h"), key("b"), now)
		return err
	})
	if won := wonBy(t, errs, session.ErrNotFound); won != 1 {
		t.Errorf("%d took it", won)
	}
}

func crowdCode(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	must(t, node(0).PutCode(t.Context(), key("c"), codeRow("f1", "")))
	errs := atOnce(crowd, func(i int) error {
		_, err := node(i).TakeCode(t.Context(), key("c"), now)
		return err
	})
	if won := wonBy(t, errs, session.ErrReused); won != 1 {
		t.Errorf("%d took it", won)
	}
	wantError(t, "the winner's tokens", node(1).PutFamily(t.Context(), familyRow("f1", ""), pair("f1")), session.ErrNotFound)
}

func crowdRotate(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	must(t, node(0).PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	var won, reused atomic.Int32
	for i, err := range atOnce(crowd, func(i int) error {
		err := node(i).Rotate(t.Context(), key("f1-refresh"), pair(fmt.Sprint("n", i)))
		switch {
		case err == nil:
			won.Add(1)
		case err == session.ErrReused: //nolint:errorlint // the store's own error
			reused.Add(1)
		}
		return err
	}) {
		if _, _, found := node(i).FindToken(t.Context(), key(fmt.Sprint("n", i, "-access"))); found == nil {
			t.Errorf("call %d (%v) has a living token", i, err)
		}
	}
	// The second ends the family, so everybody after that finds nothing.
	if won.Load() != 1 || reused.Load() != 1 {
		t.Errorf("%d rotated it and %d were told of a second use", won.Load(), reused.Load())
	}
}

func crowdUse(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	var won atomic.Int32
	for _, err := range atOnce(crowd, func(i int) error {
		fresh, err := node(i).UseOnce(t.Context(), key("k"), now.Add(time.Minute))
		if fresh {
			won.Add(1)
		}
		return err
	}) {
		must(t, err)
	}
	if won.Load() != 1 {
		t.Errorf("%d used it", won.Load())
	}
}

func crowdName(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	var won atomic.Int32
	for _, err := range atOnce(crowd, func(i int) error {
		mine, err := node(i).ClaimName(t.Context(), "alice", "corp", fmt.Sprint(i))
		if mine {
			won.Add(1)
		}
		return err
	}) {
		must(t, err)
	}
	if won.Load() != 1 {
		t.Errorf("%d people have one name", won.Load())
	}
}

func crowdKey(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	var won atomic.Int32
	for _, err := range atOnce(crowd, func(i int) error {
		mine, err := node(i).AddKey(t.Context(), keys.Row{Use: "id", Algorithm: "ES256", Generation: 1, KID: fmt.Sprint(i), Active: now, Sealed: []byte("x")})
		if mine {
			won.Add(1)
		}
		return err
	}) {
		must(t, err)
	}
	if won.Load() != 1 {
		t.Errorf("%d made it", won.Load())
	}
}

func otherNodeReads(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	for i := range 20 {
		id := fmt.Sprint("s", i)
		must(t, node(i).PutSession(t.Context(), key(id), sessionRow(id)))
		_, err := node(i+1).SessionByToken(t.Context(), key(id))
		must(t, err)
		must(t, node(i+1).EndSession(t.Context(), id))
		_, err = node(i).SessionByToken(t.Context(), key(id))
		wantError(t, "a session that the other node ended", err, session.ErrNotFound)
	}
}

func neighbours(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f", ""), pair("f")))
	errs := atOnce(crowd, func(i int) error {
		if i%2 == 1 { // its second token exists already
			clash := pair(fmt.Sprint("n", i))
			clash[1].Hash = key("f-refresh")
			return s.PutFamily(t.Context(), familyRow(fmt.Sprint("f", i), ""), clash)
		}
		return s.PutFamily(t.Context(), familyRow(fmt.Sprint("f", i), ""), pair(fmt.Sprint("n", i)))
	})
	for i, err := range errs {
		_, _, found := s.FindToken(t.Context(), key(fmt.Sprint("n", i, "-access")))
		if failed := i%2 == 1; (err != nil) != failed || (found != nil) != failed {
			t.Errorf("write %d: %v; then its first token: %v", i, err, found)
		}
	}
}

func crowdSignOut(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	must(t, node(0).PutSession(t.Context(), key("t1"), sessionRow("s1")))
	atOnce(crowd, func(i int) error {
		if i == crowd/2 {
			return node(i).EndSession(t.Context(), "s1")
		}
		return node(i).PutFamily(t.Context(), familyRow(fmt.Sprint("f", i), "s1"), pair(fmt.Sprint("n", i)))
	})
	for i := range crowd {
		if _, _, err := node(i).FindToken(t.Context(), key(fmt.Sprint("n", i, "-access"))); err == nil {
			t.Errorf("family %d is alive after the sign-out", i)
		}
	}
}
