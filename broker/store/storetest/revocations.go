package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/revocation"
)

func revocations(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	first := revocation.Revocation{Kind: revocation.User, Target: "corp=1", At: now}
	second := revocation.Revocation{Kind: revocation.Grant, Target: "g", At: now.Add(time.Second), Until: now.Add(time.Hour)}
	for _, r := range []*revocation.Revocation{&first, &second} {
		var err error
		r.Number, err = s.AddRevocation(t.Context(), *r)
		must(t, err)
	}
	if second.Number <= first.Number || first.Number <= 0 {
		t.Errorf("numbers %d, %d", first.Number, second.Number)
	}
	all, err := s.RevocationsAfter(t.Context(), 0)
	must(t, err)
	if diff := cmp.Diff([]revocation.Revocation{first, second}, all); diff != "" {
		t.Error(diff)
	}
	newer, err := s.RevocationsAfter(t.Context(), first.Number)
	must(t, err)
	if diff := cmp.Diff([]revocation.Revocation{second}, newer); diff != "" {
		t.Error(diff)
	}
	must(t, s.Sweep(t.Context(), now.AddDate(1, 0, 0)))
	if all, err = s.RevocationsAfter(t.Context(), 0); err != nil || len(all) != 2 {
		t.Errorf("a year later %d are kept, %v", len(all), err)
	}
	must(t, s.Sweep(t.Context(), now.AddDate(2, 0, 0)))
	next, err := s.AddRevocation(t.Context(), first)
	if must(t, err); next <= second.Number {
		t.Errorf("the number %d was used before", next)
	}
}

func subjectsNamed(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	data := []byte(`{"identity":{"username":"alice"}}`)
	row := sessionRow("s1")
	row.Subject, row.Data = "by-session", data
	must(t, s.PutSession(t.Context(), key("t1"), row))
	family := familyRow("f1", "")
	family.Subject, family.Data = "by-token", data
	must(t, s.PutFamily(t.Context(), family, pair("f1")))
	ended := familyRow("f2", "")
	ended.Subject, ended.Data = "ended", data
	must(t, s.PutFamily(t.Context(), ended, pair("f2")))
	must(t, s.EndFamily(t.Context(), "f2"))
	other := sessionRow("s2")
	other.Subject, other.Data = "other", []byte(`not json`)
	must(t, s.PutSession(t.Context(), key("t2"), other))
	claim(t, s, "alice", "corp", "by-name", true)
	claim(t, s, "Alice", "corp", "other-case", true)
	got, err := s.SubjectsNamed(t.Context(), "alice")
	must(t, err)
	want := [][2]string{{"corp", "by-name"}, {"corp", "by-session"}, {"corp", "by-token"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
