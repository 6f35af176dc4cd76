package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/session"
)

func sessionTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a session is found by token and by id as it was put":     sessionRoundTrip,
		"an absent session is not found":                          sessionAbsent,
		"two sessions cannot have one id or one token":            sessionUnique,
		"a touch moves the last request forward, never back":      sessionTouch,
		"the end of a session takes all that was made from it":    sessionEnd,
		"the end of one session leaves other sessions alone":      sessionEndAlone,
		"the end of a subject is the end of that subject only":    subjectEnd,
		"the end at a provider finds sessions by its names":       upstreamEnd,
		"the end at a provider of nobody's name ends nobody":      upstreamEndEmpty,
		"the end without a session id ends no sessionless family": sessionEndEmpty,
	}
}

func sessionRoundTrip(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	want := sessionRow("s1")
	want.Data = []byte("any bytes: \x00\xff'\"")
	must(t, s.PutSession(t.Context(), key("t1"), want))
	byToken, err := s.SessionByToken(t.Context(), key("t1"))
	must(t, err)
	byID, err := s.SessionByID(t.Context(), "s1")
	must(t, err)
	for how, got := range map[string]session.Row{"token": byToken, "id": byID} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s (-put +got):\n%s", how, diff)
		}
	}
}

func sessionAbsent(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	_, err := s.SessionByToken(t.Context(), key("t1"))
	wantError(t, "by token", err, session.ErrNotFound)
	_, err = s.SessionByID(t.Context(), "s1")
	wantError(t, "by id", err, session.ErrNotFound)
	must(t, s.TouchSession(t.Context(), "s1", now))
	must(t, s.EndSession(t.Context(), "s1"))
	must(t, s.EndSubject(t.Context(), "corp", "alice"))
}

func sessionUnique(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	if s.PutSession(t.Context(), key("t2"), sessionRow("s1")) == nil {
		t.Error("two sessions with one id")
	}
	if s.PutSession(t.Context(), key("t1"), sessionRow("s2")) == nil {
		t.Error("two sessions with one token")
	}
}

func sessionTouch(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	for _, seen := range []time.Time{now.Add(time.Minute), now.Add(time.Second)} {
		must(t, s.TouchSession(t.Context(), "s1", seen))
	}
	got, err := s.SessionByID(t.Context(), "s1")
	must(t, err)
	if !got.Seen.Equal(now.Add(time.Minute)) {
		t.Errorf("seen %v", got.Seen)
	}
}

// furnish gives a session a consent, a code, and a family with tokens.
func furnish(t *testing.T, s Store, id string, row session.Row) {
	t.Helper()
	must(t, s.PutSession(t.Context(), key("token-"+id), row))
	must(t, s.PutConsent(t.Context(), id, "cli"))
	code, family := codeRow("later-"+id, id), familyRow("family-"+id, id)
	code.Provider, code.Subject = row.Provider, row.Subject
	family.Provider, family.Subject = row.Provider, row.Subject
	must(t, s.PutCode(t.Context(), key("code-"+id), code))
	must(t, s.PutFamily(t.Context(), family, pair(id)))
}

// gone demands that nothing of a furnished session is alive, or all of it.
func gone(t *testing.T, s Store, id string, want bool) {
	t.Helper()
	check := func(what string, absent bool) {
		t.Helper()
		if absent != want {
			t.Errorf("%s of session %s gone: %t, want %t", what, id, absent, want)
		}
	}
	_, err := s.SessionByToken(t.Context(), key("token-"+id))
	check("the session", err != nil)
	consented, err := s.HasConsent(t.Context(), id, "cli")
	must(t, err)
	check("the consent", !consented)
	for _, kind := range []string{"-access", "-refresh"} {
		_, _, err = s.FindToken(t.Context(), key(id+kind))
		check("the token "+kind, err != nil)
	}
	check("the refresh", s.Rotate(t.Context(), key(id+"-refresh"), pair(id+"-next")) != nil)
	_, err = s.TakeCode(t.Context(), key("code-"+id), now)
	check("the code", err != nil)
	check("making a family of it", s.PutFamily(t.Context(), familyRow("new-"+id, id), pair(id+"-new")) != nil)
}

func sessionEnd(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	furnish(t, s, "s1", sessionRow("s1"))
	must(t, s.EndSession(t.Context(), "s1"))
	gone(t, s, "s1", true)
	wantError(t, "a family with the id of an ended one",
		s.PutFamily(t.Context(), familyRow("family-s1", ""), pair("again")), session.ErrNotFound)
}

func sessionEndAlone(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	furnish(t, s, "s1", sessionRow("s1"))
	furnish(t, s, "s2", sessionRow("s2"))
	must(t, s.EndSession(t.Context(), "s1"))
	gone(t, s, "s2", false)
}

func subjectEnd(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	namesake := sessionRow("s3")
	namesake.Provider = "google"
	bob := sessionRow("s4")
	bob.Subject = "bob"
	furnish(t, s, "s1", sessionRow("s1"))
	furnish(t, s, "s2", sessionRow("s2"))
	furnish(t, s, "s3", namesake)
	furnish(t, s, "s4", bob)
	must(t, s.PutFamily(t.Context(), familyRow("phone", ""), pair("phone")))
	must(t, s.EndSubject(t.Context(), "corp", "alice"))
	gone(t, s, "s1", true)
	gone(t, s, "s2", true)
	gone(t, s, "s3", false)
	gone(t, s, "s4", false)
	_, _, err := s.FindToken(t.Context(), key("phone-access"))
	wantError(t, "a token of the subject without a session", err, session.ErrNotFound)
}

func sessionEndEmpty(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("phone", ""), pair("phone")))
	must(t, s.EndSession(t.Context(), ""))
	_, _, err := s.FindToken(t.Context(), key("phone-access"))
	must(t, err)
}

func upstreamEnd(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	put := func(id, provider, nameID, index string) {
		row := sessionRow(id)
		row.Provider, row.NameID, row.SessionIndex = provider, nameID, index
		furnish(t, s, id, row)
	}
	put("a1", "corp", "alice", "i1")
	put("a2", "corp", "alice", "i2")
	put("a3", "corp", "alice", "")
	put("a4", "google", "alice", "i1")
	put("b1", "corp", "bob", "i1")
	ended := func(what string, want []string, provider, nameID string, indexes ...string) {
		t.Helper()
		rows, err := s.EndUpstream(t.Context(), provider, nameID, indexes)
		must(t, err)
		var got []string
		for _, row := range rows {
			got = append(got, row.ID)
			if row.Provider != provider || row.Subject != "alice" || string(row.Data) != `{"id":"`+row.ID+`"}` {
				t.Errorf("%s: %+v", what, row)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	ended("another index", []string{"a3"}, "corp", "alice", "i9") // and what has no index
	ended("a stranger", nil, "corp", "carol")
	ended("one index of two", []string{"a1"}, "corp", "alice", "i1", `i"'9`)
	gone(t, s, "a1", true)
	gone(t, s, "a2", false)
	put("a5", "corp", "alice", "i5")
	ended("no index", []string{"a2", "a5"}, "corp", "alice")
	ended("once more", nil, "corp", "alice")
	gone(t, s, "a4", false)
	gone(t, s, "b1", false)
}

func upstreamEndEmpty(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	furnish(t, s, "s1", sessionRow("s1")) // of a provider without such names
	if rows, err := s.EndUpstream(t.Context(), "corp", "", nil); err != nil || len(rows) != 0 {
		t.Errorf("ended %v, %v", rows, err)
	}
	gone(t, s, "s1", false)
}
