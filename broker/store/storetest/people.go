package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/idp/directory"
)

func directoryTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a person is found by id and by name, in one directory":        personFound,
		"a name has one owner, also when it is changed":                personName,
		"a change of what somebody else has changed is a conflict":     personConflict,
		"of a crowd on two nodes one changes a person, one takes one":  crowdPerson,
		"people are listed in the order of their names":                peopleListed,
		"a code has so many tries, and one end":                        codeTries,
		"of a crowd on two nodes one takes a code of a person":         crowdPersonCode,
		"codes go with their person, and with time":                    codesGo,
		"what a person marked goes with them, their name stays theirs": traces,
	}
}

func personRow(id, name string) directory.Row {
	return directory.Row{Directory: "people", ID: id, Name: name, Version: 1, Data: []byte(`{"id":"` + id + `"}`)}
}

func personFound(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	ann := personRow("1", "ann@example.com")
	must(t, s.AddPerson(t.Context(), ann))
	for _, key := range [][2]string{{"1", ""}, {"", "ann@example.com"}} {
		got, err := s.FindPerson(t.Context(), "people", key[0], key[1])
		must(t, err)
		if diff := godiff.Diff(ann, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", key, diff)
		}
	}
	for _, key := range [][3]string{{"other", "1", ""}, {"other", "", "ann@example.com"}, {"people", "2", ""}, {"people", "", "ANN@example.com"}, {"people", "", ""}, {"people", "\x00", ""}} {
		_, err := s.FindPerson(t.Context(), key[0], key[1], key[2])
		wantError(t, fmt.Sprint(key), err, directory.ErrNotFound)
	}
	must(t, s.DropPerson(t.Context(), "people", "1"))
	must(t, s.DropPerson(t.Context(), "people", "1"))
	_, err := s.FindPerson(t.Context(), "people", "1", "")
	wantError(t, "a person who was dropped", err, directory.ErrNotFound)
}

func personName(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	must(t, s.AddPerson(t.Context(), personRow("1", "ann@example.com")))
	must(t, s.AddPerson(t.Context(), personRow("2", "bob@example.com")))
	other := personRow("1", "ann@example.com")
	other.Directory = "other"
	must(t, s.AddPerson(t.Context(), other))
	wantError(t, "a name twice", s.AddPerson(t.Context(), personRow("3", "ann@example.com")), directory.ErrTaken)
	wantError(t, "a move to a name of another", s.UpdatePerson(t.Context(), personRow("2", "ann@example.com")), directory.ErrTaken)
	must(t, s.UpdatePerson(t.Context(), personRow("1", "new@example.com")))
	moved := personRow("2", "ann@example.com")
	must(t, s.UpdatePerson(t.Context(), moved))
	got, err := s.FindPerson(t.Context(), "people", "", "ann@example.com")
	must(t, err)
	if moved.Version = 2; godiff.Diff(moved, got) != "" {
		t.Errorf("the name that became free: %+v", got)
	}
}

func personConflict(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	row := personRow("1", "ann@example.com")
	wantError(t, "somebody who is not there", s.UpdatePerson(t.Context(), row), directory.ErrNotFound)
	must(t, s.AddPerson(t.Context(), row))
	must(t, s.UpdatePerson(t.Context(), row))
	wantError(t, "the version before", s.UpdatePerson(t.Context(), row), directory.ErrConflict)
	row.Version = 2
	must(t, s.UpdatePerson(t.Context(), row))
}

func crowdPerson(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	if won := wonBy(t, atOnce(crowd, func(i int) error {
		return node(i).AddPerson(t.Context(), personRow(fmt.Sprint(i), "ann@example.com"))
	}), directory.ErrTaken); won != 1 {
		t.Errorf("%d people have one name", won)
	}
	row, err := node(0).FindPerson(t.Context(), "people", "", "ann@example.com")
	must(t, err)
	if won := wonBy(t, atOnce(crowd, func(i int) error { return node(i).UpdatePerson(t.Context(), row) }), directory.ErrConflict); won != 1 {
		t.Errorf("%d changed one version", won)
	}
}

func peopleListed(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	for _, name := range []string{"carol@x.org", "ann@x.org", "bob@x.org"} {
		must(t, s.AddPerson(t.Context(), personRow(name, name)))
	}
	elsewhere := personRow("z", "aaa@x.org")
	elsewhere.Directory = "other"
	must(t, s.AddPerson(t.Context(), elsewhere))
	for _, c := range []struct {
		after string
		limit int
		want  string
	}{{"", 10, "[ann@x.org bob@x.org carol@x.org]"}, {"", 2, "[ann@x.org bob@x.org]"}, {"bob@x.org", 2, "[carol@x.org]"}, {"carol@x.org", 2, "[]"}} {
		rows, err := s.PeopleAfter(t.Context(), "people", c.after, c.limit)
		must(t, err)
		names := []string{}
		for _, row := range rows {
			names = append(names, row.Name)
		}
		if got := fmt.Sprint(names); got != c.want {
			t.Errorf("after %q, %d: %s, want %s", c.after, c.limit, got, c.want)
		}
	}
}

func personCode(name string) directory.CodeRow {
	return directory.CodeRow{Key: key(name), Directory: "people", Person: "1", Tries: 3, Expires: now.Add(time.Minute), Data: []byte(name)}
}

func codeTries(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	code := personCode("a")
	must(t, s.PutPersonCode(t.Context(), code))
	for left := 2; left >= 0; left-- {
		got, err := s.TryPersonCode(t.Context(), code.Key, now)
		must(t, err)
		want := code
		if want.Tries = left; godiff.Diff(want, got) != "" {
			t.Errorf("%d left: %+v", left, got)
		}
	}
	_, err := s.TryPersonCode(t.Context(), code.Key, now)
	wantError(t, "one try more", err, directory.ErrNotFound)
	must(t, s.PutPersonCode(t.Context(), code)) // another code for the same
	_, err = s.TryPersonCode(t.Context(), code.Key, code.Expires)
	wantError(t, "too late", err, directory.ErrNotFound)
	for data, want := range map[string]bool{"b": false, "": false} {
		if got, err := s.TakePersonCode(t.Context(), code.Key, []byte(data)); err != nil || got != want {
			t.Errorf("take %q: %t, %v", data, got, err)
		}
	}
	for _, want := range []bool{true, false} {
		if got, err := s.TakePersonCode(t.Context(), code.Key, code.Data); err != nil || got != want {
			t.Errorf("take it: %t, %v; want %t", got, err, want)
		}
	}
	_, err = s.TryPersonCode(t.Context(), code.Key, now)
	wantError(t, "a code that was taken", err, directory.ErrNotFound)
}

func crowdPersonCode(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	code := personCode("a")
	must(t, node(0).PutPersonCode(t.Context(), code))
	var tried, took atomic.Int32
	for _, err := range atOnce(crowd, func(i int) error {
		if _, err := node(i).TryPersonCode(t.Context(), code.Key, now); err == nil {
			tried.Add(1)
		}
		return nil
	}) {
		must(t, err)
	}
	for _, err := range atOnce(crowd, func(i int) error {
		won, err := node(i).TakePersonCode(t.Context(), code.Key, code.Data)
		if won {
			took.Add(1)
		}
		return err
	}) {
		must(t, err)
	}
	if tried.Load() != 3 || took.Load() != 1 {
		t.Errorf("%d tries and %d takers", tried.Load(), took.Load())
	}
}

func codesGo(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	own, nobodys := personCode("own"), personCode("nobody")
	nobodys.Person, nobodys.Expires = "", now.Add(time.Hour)
	must(t, s.PutPersonCode(t.Context(), own))
	must(t, s.PutPersonCode(t.Context(), nobodys))
	must(t, s.DropPerson(t.Context(), "other", "1"))
	must(t, s.DropPerson(t.Context(), "people", ""))
	_, err := s.TryPersonCode(t.Context(), own.Key, now)
	must(t, err)
	must(t, s.DropPerson(t.Context(), "people", "1"))
	_, err = s.TryPersonCode(t.Context(), own.Key, now)
	wantError(t, "a code of a person who was dropped", err, directory.ErrNotFound)
	must(t, s.Sweep(t.Context(), now.Add(30*time.Minute)))
	_, err = s.TryPersonCode(t.Context(), nobodys.Key, now)
	must(t, err)
	must(t, s.Sweep(t.Context(), nobodys.Expires))
	_, err = s.TryPersonCode(t.Context(), nobodys.Key, now)
	wantError(t, "a code that was swept", err, directory.ErrNotFound)
}

func traces(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	for _, subject := range []string{"1", "2"} {
		must(t, s.PutMark(t.Context(), "people", subject, marks.Mark{Account: "a", Label: "mine"}))
		must(t, s.PutRecentRole(t.Context(), "people", subject, marks.Recent{Role: "r", Used: now}))
		row := sessionRow("s" + subject)
		row.Provider, row.Subject = "people", subject
		row.Expires, row.Keep, row.Arrival = now.Add(time.Hour), now.Add(24*time.Hour), []byte(`{}`)
		must(t, s.PutSession(t.Context(), key(subject), row))
	}
	mine, err := s.ClaimName(t.Context(), "ann@example.com", "people", "1")
	if err != nil || !mine {
		t.Fatal(mine, err)
	}
	must(t, s.DropPerson(t.Context(), "people", "1"))
	for subject, left := range map[string]int{"1": 0, "2": 1} {
		kept, err := s.Marks(t.Context(), "people", subject)
		must(t, err)
		roles, err := s.RecentRoles(t.Context(), "people", subject)
		must(t, err)
		arrivals, err := s.Arrivals(t.Context(), "people", subject, 10)
		must(t, err)
		if len(kept) != left || len(roles) != left || len(arrivals) != left {
			t.Errorf("of %s: %v, %v, %v", subject, kept, roles, arrivals)
		}
	}
	if mine, err := s.ClaimName(t.Context(), "ann@example.com", "people", "2"); err != nil || mine {
		t.Errorf("the session name went to somebody else: %t, %v", mine, err)
	}
}
