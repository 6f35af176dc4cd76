package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/session"
)

func markTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a mark is replaced, and one that says nothing is gone": markReplaced,
		"a star and a label do not undo one another":            markStar,
		"the roles used last are few and newest first":          recentRoles,
		"marks are of one person":                               marksApart,
	}
}

func listTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"live sessions are listed by person or all":          listSessions,
		"families are listed until they have been ended":     listFamilies,
		"the newest sign-in of each person outlives its end": listArrivals,
		"the owner of a name is told without claiming it":    nameOwner,
	}
}

func wantMarks(t *testing.T, s Store, subject string, want ...marks.Mark) {
	t.Helper()
	got, err := s.Marks(t.Context(), "corp", subject)
	must(t, err)
	slices.SortFunc(got, func(a, b marks.Mark) int { return cmp.Compare(a.Account, b.Account) })
	if diff := godiff.Diff(want, got); diff != "" {
		t.Errorf("marks of %s (-want +got):\n%s", subject, diff)
	}
}

func markReplaced(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	wantMarks(t, s, "alice")
	red := marks.Mark{Account: "111122223333", Label: "prod'\"é", Colour: "red", Favourite: true}
	must(t, s.PutMark(t.Context(), "corp", "alice", red))
	wantMarks(t, s, "alice", red)
	blue := marks.Mark{Account: "111122223333", Colour: "blue"}
	must(t, s.PutMark(t.Context(), "corp", "alice", blue))
	wantMarks(t, s, "alice", blue)
	must(t, s.PutMark(t.Context(), "corp", "alice", marks.Mark{Account: "111122223333"}))
	wantMarks(t, s, "alice")
}

func markStar(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutFavourite(t.Context(), "corp", "alice", "1", true))
	must(t, s.PutFavourite(t.Context(), "corp", "alice", "1", true))
	must(t, s.PutMark(t.Context(), "corp", "alice", marks.Mark{Account: "2", Label: "two"}))
	must(t, s.PutFavourite(t.Context(), "corp", "alice", "2", true))
	must(t, s.PutFavourite(t.Context(), "corp", "alice", "2", false))
	must(t, s.PutFavourite(t.Context(), "corp", "alice", "3", false))
	wantMarks(t, s, "alice", marks.Mark{Account: "1", Favourite: true}, marks.Mark{Account: "2", Label: "two"})
}

func recentRoles(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	for i := range 2 * marks.MaxRecent {
		must(t, s.PutRecentRole(t.Context(), "corp", "alice", marks.Recent{Role: fmt.Sprintf("r%02d", i), Used: now.Add(time.Duration(i) * time.Second)}))
	}
	must(t, s.PutRecentRole(t.Context(), "corp", "alice", marks.Recent{Role: "r14", Used: now}))
	got, err := s.RecentRoles(t.Context(), "corp", "alice")
	must(t, err)
	if len(got) != marks.MaxRecent || got[0].Role != "r15" || got[1].Role != "r14" || !got[1].Used.Equal(now.Add(14*time.Second)) || got[7].Role != "r08" {
		t.Errorf("got %+v", got)
	}
}

func marksApart(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	mark := marks.Mark{Account: "1", Label: "mine"}
	must(t, s.PutMark(t.Context(), "corp", "alice", mark))
	must(t, s.PutMark(t.Context(), "google", "alice", marks.Mark{Account: "1", Label: "namesake"}))
	must(t, s.PutRecentRole(t.Context(), "google", "alice", marks.Recent{Role: "r", Used: now}))
	must(t, s.EndSubject(t.Context(), "corp", "alice"))
	must(t, s.Sweep(t.Context(), now.AddDate(10, 0, 0)))
	wantMarks(t, s, "alice", mark)
	wantMarks(t, s, "bob")
	if got, err := s.RecentRoles(t.Context(), "corp", "alice"); err != nil || len(got) > 0 {
		t.Errorf("roles of a namesake: %v, %v", got, err)
	}
}

func listSessions(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	first, second, bob := sessionRow("s1"), sessionRow("s2"), sessionRow("s3")
	second.Seen = now.Add(time.Minute)
	bob.Subject, bob.Seen = "bob", now.Add(time.Second)
	for i, row := range []session.Row{first, second, bob} {
		must(t, s.PutSession(t.Context(), key(fmt.Sprint(i)), row))
	}
	for _, c := range []struct {
		provider, subject string
		limit             int
		want              []session.Row
	}{
		{"corp", "alice", 10, []session.Row{second, first}},
		{"corp", "alice", 1, []session.Row{second}},
		{"corp", "", 10, nil},
		{"", "", 10, []session.Row{second, bob, first}},
		{"", "", 2, []session.Row{second, bob}},
	} {
		got, err := s.SessionsOf(t.Context(), c.provider, c.subject, c.limit)
		must(t, err)
		if diff := godiff.Diff(c.want, got); diff != "" {
			t.Errorf("%s=%s, %d (-want +got):\n%s", c.provider, c.subject, c.limit, diff)
		}
	}
}

func listArrivals(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	first, second, bob := sessionRow("s1"), sessionRow("s2"), sessionRow("s3")
	second.Seen = now.Add(time.Minute)
	bob.Subject, bob.Seen = "bob", now.Add(time.Second)
	late := sessionRow("s4") // put after a newer one
	late.Seen = now.Add(-time.Minute)
	const kept = 30 * 24 * time.Hour
	must(t, s.PutSession(t.Context(), key("other"), session.Row{ID: "s0", Provider: "google", Subject: "carol", Expires: now.Add(time.Hour), Seen: now})) // not kept
	for i, row := range []session.Row{first, second, bob, late} {
		row.Keep, row.Arrival = row.Seen.Add(kept), []byte("arrival of "+row.ID) // not its Data, which end with it
		must(t, s.PutSession(t.Context(), key(fmt.Sprint(i)), row))
	}
	must(t, s.EndSubject(t.Context(), "corp", "alice"))
	as := func(r session.Row) session.Row {
		return session.Row{Provider: r.Provider, Subject: r.Subject, Expires: r.Seen.Add(kept), Seen: r.Seen, Data: []byte("arrival of " + r.ID)}
	}
	for _, c := range []struct {
		provider, subject string
		limit             int
		want              []session.Row
	}{
		{"", "", 10, []session.Row{as(second), as(bob)}},
		{"", "", 1, []session.Row{as(second)}},
		{"corp", "", 10, []session.Row{as(second), as(bob)}},
		{"corp", "bob", 10, []session.Row{as(bob)}},
		{"google", "bob", 10, nil},
	} {
		got, err := s.Arrivals(t.Context(), c.provider, c.subject, c.limit)
		must(t, err)
		if diff := godiff.Diff(c.want, got); diff != "" {
			t.Errorf("%s=%s, %d (-want +got):\n%s", c.provider, c.subject, c.limit, diff)
		}
	}
	must(t, s.Sweep(t.Context(), bob.Seen.Add(kept)))
	if got, err := s.Arrivals(t.Context(), "", "", 10); err != nil || len(got) != 1 || got[0].Subject != "alice" {
		t.Errorf("after their time: %+v, %v", got, err)
	}
}

func nameOwner(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	if provider, subject, err := s.NameOwner(t.Context(), "alice"); err != nil || provider != "" || subject != "" {
		t.Errorf("nobody's: %s=%s, %v", provider, subject, err)
	}
	if mine, err := s.ClaimName(t.Context(), "alice", "corp", "1"); err != nil || !mine {
		t.Fatalf("asking claimed it: %t, %v", mine, err)
	}
	if provider, subject, err := s.NameOwner(t.Context(), "alice"); err != nil || provider != "corp" || subject != "1" {
		t.Errorf("%s=%s, %v", provider, subject, err)
	}
}

func listFamilies(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.PutSession(t.Context(), key("t1"), sessionRow("s1")))
	own, loose, ended := familyRow("f1", "s1"), familyRow("f2", ""), familyRow("f3", "")
	own.Expires = now.Add(time.Hour)
	bob := familyRow("f4", "")
	bob.Subject, bob.Expires = "bob", now.Add(time.Minute)
	for _, row := range []session.Row{own, loose, ended, bob} {
		must(t, s.PutFamily(t.Context(), row, pair(row.ID)))
	}
	must(t, s.EndFamily(t.Context(), "f3"))
	for subject, want := range map[string][]session.Row{"alice": {loose, own}, "bob": {bob}, "carol": nil} {
		got, err := s.FamiliesOf(t.Context(), "corp", subject, 10)
		must(t, err)
		if diff := godiff.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", subject, diff)
		}
	}
	all, err := s.FamiliesOf(t.Context(), "", "", 2)
	must(t, err)
	if diff := godiff.Diff([]session.Row{loose, own}, all); diff != "" {
		t.Errorf("all, at most two (-want +got):\n%s", diff)
	}
	must(t, s.EndSession(t.Context(), "s1"))
	if got, err := s.FamiliesOf(t.Context(), "corp", "alice", 10); err != nil || len(got) != 1 {
		t.Errorf("after the end of its session: %+v, %v", got, err)
	}
}
