package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/session"
)

func signInTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a pending sign-in is taken once":                              pendingOnce,
		"another browser neither gets nor spends a pending sign-in":    pendingBrowser,
		"a pending sign-in ends at its instant":                        pendingExpires,
		"a handle cannot be kept twice":                                pendingUnique,
		"a code is taken once, as it was put":                          codeOnce,
		"a code ends at its instant":                                   codeExpires,
		"a code used again ends the tokens made from it":               codeReusedAfter,
		"a code used again before its tokens exist keeps them from it": codeReusedBefore,
		"a code used again after its own end is still a second use":    codeReusedLate,
	}
}

func pendingOnce(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutPending(t.Context(), key("h"), key("b"), []byte("data\x00"), now.Add(time.Minute)))
	data, err := s.TakePending(t.Context(), key("h"), key("b"), now)
	must(t, err)
	if string(data) != "data\x00" {
		t.Errorf("got %q", data)
	}
	_, err = s.TakePending(t.Context(), key("h"), key("b"), now)
	wantError(t, "the second time", err, session.ErrNotFound)
}

func pendingBrowser(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutPending(t.Context(), key("h"), key("b"), []byte("data"), now.Add(time.Minute)))
	_, err := s.TakePending(t.Context(), key("h"), key("attacker"), now)
	wantError(t, "by another browser", err, session.ErrNotFound)
	_, err = s.TakePending(t.Context(), key("h"), key("b"), now)
	wantError(t, "by its own afterwards", err, nil)
}

func pendingExpires(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutPending(t.Context(), key("h"), key("b"), []byte("data"), now))
	_, err := s.TakePending(t.Context(), key("h"), key("b"), now)
	wantError(t, "at its end", err, session.ErrNotFound)
	_, err = s.TakePending(t.Context(), key("h"), key("b"), now.Add(-time.Microsecond))
	wantError(t, "just before", err, nil)
}

func pendingUnique(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutPending(t.Context(), key("h"), key("b"), nil, now.Add(time.Minute)))
	if s.PutPending(t.Context(), key("h"), key("other"), nil, now.Add(time.Minute)) == nil {
		t.Error("a handle was kept for two browsers")
	}
}

func codeOnce(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	want := codeRow("f1", "s1")
	must(t, s.PutCode(t.Context(), key("c"), want))
	got, err := s.TakeCode(t.Context(), key("c"), now)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-put +taken):\n%s", diff)
	}
	got, err = s.TakeCode(t.Context(), key("c"), now)
	wantError(t, "the second time", err, session.ErrReused)
	if diff := cmp.Diff(session.Row{ID: "f1"}, got); diff != "" {
		t.Errorf("the second time gives more or less than the family (-want +got):\n%s", diff)
	}
	_, err = s.TakeCode(t.Context(), key("unknown"), now)
	wantError(t, "an unknown code", err, session.ErrNotFound)
}

func codeExpires(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutCode(t.Context(), key("c"), codeRow("f1", "")))
	_, err := s.TakeCode(t.Context(), key("c"), now.Add(time.Minute))
	wantError(t, "at its end", err, session.ErrNotFound)
	_, err = s.TakeCode(t.Context(), key("c"), now.Add(time.Minute-time.Microsecond))
	wantError(t, "just before", err, nil)
}

func codeReusedAfter(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutCode(t.Context(), key("c"), codeRow("f1", "")))
	_, err := s.TakeCode(t.Context(), key("c"), now)
	must(t, err)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	_, err = s.TakeCode(t.Context(), key("c"), now)
	wantError(t, "the second time", err, session.ErrReused)
	_, _, err = s.FindToken(t.Context(), key("f1-access"))
	wantError(t, "its access token", err, session.ErrNotFound)
	wantError(t, "its refresh token", s.Rotate(t.Context(), key("f1-refresh"), pair("next")), session.ErrNotFound)
}

func codeReusedBefore(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutCode(t.Context(), key("c"), codeRow("f1", "")))
	_, err := s.TakeCode(t.Context(), key("c"), now)
	must(t, err)
	_, err = s.TakeCode(t.Context(), key("c"), now)
	wantError(t, "the second time", err, session.ErrReused)
	wantError(t, "making the tokens of the first", s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")), session.ErrNotFound)
	_, _, err = s.FindToken(t.Context(), key("f1-access"))
	wantError(t, "their access token", err, session.ErrNotFound)
}

func codeReusedLate(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutCode(t.Context(), key("c"), codeRow("f1", "")))
	_, err := s.TakeCode(t.Context(), key("c"), now)
	must(t, err)
	late := now.Add(time.Hour)
	must(t, s.Sweep(t.Context(), late))
	_, err = s.TakeCode(t.Context(), key("c"), late)
	wantError(t, "an hour later", err, session.ErrReused)
}
