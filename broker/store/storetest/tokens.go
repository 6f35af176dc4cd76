package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/session"
)

func tokenTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a token is found with its family as it was put":        tokenRoundTrip,
		"a family of a session that is gone is not made":        familyOrphan,
		"a family id is used once":                              familyUnique,
		"a family whose tokens cannot be kept is not made":      familyWhole,
		"a refresh token rotates once":                          tokenRotates,
		"a refresh token used again ends the family":            tokenReused,
		"an access token does not rotate":                       tokenAccess,
		"a rotation whose tokens cannot be kept spends nothing": tokenRotationWhole,
		"the end of a family is the end of its tokens only":     familyEnd,
	}
}

func tokenRoundTrip(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	family, tokens := familyRow("f1", "s1"), pair("f1")
	must(t, s.PutFamily(t.Context(), family, tokens))
	for _, want := range tokens {
		token, row, err := s.FindToken(t.Context(), want.Hash)
		must(t, err)
		if diff := cmp.Diff(want, token); diff != "" {
			t.Errorf("token (-put +got):\n%s", diff)
		}
		if diff := cmp.Diff(family, row); diff != "" {
			t.Errorf("family (-put +got):\n%s", diff)
		}
	}
	_, _, err := s.FindToken(t.Context(), key("unknown"))
	wantError(t, "an unknown token", err, session.ErrNotFound)
}

func familyOrphan(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	wantError(t, "a family of no session", s.PutFamily(t.Context(), familyRow("f1", "s1"), pair("f1")), session.ErrNotFound)
	_, _, err := s.FindToken(t.Context(), key("f1-access"))
	wantError(t, "its token", err, session.ErrNotFound)
}

func familyUnique(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	wantError(t, "the id again", s.PutFamily(t.Context(), familyRow("f1", ""), pair("other")), session.ErrNotFound)
	_, _, err := s.FindToken(t.Context(), key("other-access"))
	wantError(t, "the token of the second", err, session.ErrNotFound)
	_, _, err = s.FindToken(t.Context(), key("f1-access"))
	must(t, err)
}

func familyWhole(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	clash := pair("f2")
	clash[1].Hash = key("f1-refresh")
	if s.PutFamily(t.Context(), familyRow("f2", ""), clash) == nil {
		t.Fatal("two families with one token")
	}
	_, _, err := s.FindToken(t.Context(), key("f2-access"))
	wantError(t, "the first token of what failed", err, session.ErrNotFound)
	must(t, s.PutFamily(t.Context(), familyRow("f2", ""), pair("f2")))
}

func tokenRotates(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	must(t, s.Rotate(t.Context(), key("f1-refresh"), pair("next")))
	old, _, err := s.FindToken(t.Context(), key("f1-refresh"))
	must(t, err)
	if !old.Used {
		t.Error("the old refresh token is not marked used")
	}
	for _, name := range []string{"next-access", "next-refresh"} {
		token, row, err := s.FindToken(t.Context(), key(name))
		must(t, err)
		if row.ID != "f1" || token.Used || token.Thumbprint != "jkt-next" {
			t.Errorf("%s: %+v of family %q", name, token, row.ID)
		}
	}
	must(t, s.Rotate(t.Context(), key("next-refresh"), pair("third")))
	wantError(t, "an unknown token", s.Rotate(t.Context(), key("unknown"), pair("x")), session.ErrNotFound)
}

func tokenReused(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	must(t, s.Rotate(t.Context(), key("f1-refresh"), pair("next")))
	wantError(t, "the old one again", s.Rotate(t.Context(), key("f1-refresh"), pair("thief")), session.ErrReused)
	for _, name := range []string{"f1-access", "next-access", "next-refresh", "thief-access", "thief-refresh"} {
		_, _, err := s.FindToken(t.Context(), key(name))
		wantError(t, name, err, session.ErrNotFound)
	}
	wantError(t, "the newest one", s.Rotate(t.Context(), key("next-refresh"), pair("late")), session.ErrNotFound)
	wantError(t, "the family anew", s.PutFamily(t.Context(), familyRow("f1", ""), pair("anew")), session.ErrNotFound)
}

func tokenAccess(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	wantError(t, "an access token", s.Rotate(t.Context(), key("f1-access"), pair("next")), session.ErrNotFound)
	_, _, err := s.FindToken(t.Context(), key("f1-access"))
	must(t, err)
}

func tokenRotationWhole(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	clash := pair("next")
	clash[1].Hash = key("f1-access")
	if s.Rotate(t.Context(), key("f1-refresh"), clash) == nil {
		t.Fatal("one token twice")
	}
	must(t, s.Rotate(t.Context(), key("f1-refresh"), pair("next")))
}

func familyEnd(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("f1")))
	must(t, s.PutFamily(t.Context(), familyRow("f2", ""), pair("f2")))
	must(t, s.EndFamily(t.Context(), "f1"))
	must(t, s.EndFamily(t.Context(), "f1"))
	must(t, s.EndFamily(t.Context(), "unknown"))
	_, _, err := s.FindToken(t.Context(), key("f1-access"))
	wantError(t, "a token of it", err, session.ErrNotFound)
	_, _, err = s.FindToken(t.Context(), key("f2-access"))
	must(t, err)
	must(t, s.Sweep(t.Context(), now.Add(time.Hour)))
	wantError(t, "its id anew", s.PutFamily(t.Context(), familyRow("f1", ""), pair("anew")), session.ErrNotFound)
}
