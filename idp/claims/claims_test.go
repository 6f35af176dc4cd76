package claims_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/claims"
)

func TestIdentityTakesEachPartFromItsAttribute(t *testing.T) {
	t.Parallel()
	attrs := map[string][]string{
		"groups":  {"platform", "developers", "", "platform"},
		"mail":    {"alice@example.com"},
		"oid":     {"7f3c"},
		"address": {"Main Street 1\n12345 Town"},
	}
	tests := map[string]struct {
		mapping claims.Mapping
		want    idp.Identity
	}{
		"without a mapping the subject names the person": {
			claims.Mapping{},
			idp.Identity{Subject: "s-1", Username: "s-1", Groups: []string{}},
		},
		"groups keep the provider's order, each once": {
			claims.Mapping{Groups: "groups"},
			idp.Identity{Subject: "s-1", Username: "s-1", Groups: []string{"platform", "developers"}},
		},
		"user name and subject come from attributes": {
			claims.Mapping{Groups: "none", Username: "mail", Subject: "oid"},
			idp.Identity{Subject: "7f3c", Username: "alice@example.com", Groups: []string{}},
		},
		"a mapped subject is the user name unless that is mapped too": {
			claims.Mapping{Subject: "oid"},
			idp.Identity{Subject: "7f3c", Username: "7f3c", Groups: []string{}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.want.Provider, test.want.Attributes, test.want.Methods = "corp", attrs, []string{}
			got, err := test.mapping.Identity("corp", "s-1", attrs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdentityRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", claims.MaxLength+1)
	many := make([]string, claims.MaxValues+1)
	wide := map[string][]string{}
	for i := range many {
		many[i] = fmt.Sprint("g", i)
		wide[many[i]] = nil
	}
	tests := map[string]struct {
		mapping claims.Mapping
		subject string
		attrs   map[string][]string
		reason  string
	}{
		"no subject":                          {subject: "", reason: "subject"},
		"a subject of blanks":                 {subject: " \t", reason: "subject"},
		"a subject with a line end":           {subject: "alice\n", reason: "characters"},
		"a subject that is not UTF-8":         {subject: "a\xff", reason: "characters"},
		"a subject over the limit":            {subject: long, reason: "value-too-long"},
		"the subject attribute is missing":    {mapping: claims.Mapping{Subject: "oid"}, subject: "s", reason: "subject"},
		"the subject attribute has two":       {mapping: claims.Mapping{Subject: "oid"}, subject: "s", attrs: map[string][]string{"oid": {"1", "2"}}, reason: "subject"},
		"the user name attribute is missing":  {mapping: claims.Mapping{Username: "mail"}, subject: "s", reason: "username"},
		"the user name is empty":              {mapping: claims.Mapping{Username: "mail"}, subject: "s", attrs: map[string][]string{"mail": {""}}, reason: "username"},
		"the user name has two values":        {mapping: claims.Mapping{Username: "mail"}, subject: "s", attrs: map[string][]string{"mail": {"a", "b"}}, reason: "username"},
		"a group with a control character":    {mapping: claims.Mapping{Groups: "g"}, subject: "s", attrs: map[string][]string{"g": {"a\tb"}}, reason: "characters"},
		"more values than the limit":          {mapping: claims.Mapping{Groups: "g"}, subject: "s", attrs: map[string][]string{"g": many}, reason: "too-many-values"},
		"more attributes than the limit":      {subject: "s", attrs: wide, reason: "too-many-values"},
		"more values in all than the limit":   {subject: "s", attrs: map[string][]string{"a": many[1:], "b": many[1:], "c": {"1"}}, reason: "too-many-values"},
		"a value over the limit":              {subject: "s", attrs: map[string][]string{"a": {long}}, reason: "value-too-long"},
		"a name over the limit":               {subject: "s", attrs: map[string][]string{long: {"a"}}, reason: "value-too-long"},
		"a value with a NUL":                  {subject: "s", attrs: map[string][]string{"a": {"x\x00y"}}, reason: "characters"},
		"a value with a C1 control character": {subject: "s", attrs: map[string][]string{"a": {"x\u0085y"}}, reason: "characters"},
		"a value that is not UTF-8":           {subject: "s", attrs: map[string][]string{"a": {"\xc3"}}, reason: "characters"},
		"an empty name":                       {subject: "s", attrs: map[string][]string{"": {"a"}}, reason: "characters"},
		"a name with a line end":              {subject: "s", attrs: map[string][]string{"a\nb": {"a"}}, reason: "characters"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.mapping.Identity("corp", test.subject, test.attrs)
			rejected, ok := errors.AsType[*idp.Rejection](err)
			if !ok || rejected.Reason != test.reason {
				t.Fatalf("got %v, want the reason %s", err, test.reason)
			}
			if got.Subject != "" || got.Attributes != nil {
				t.Errorf("a refusal came with an identity: %+v", got)
			}
		})
	}
}

func TestAllNineHundredGroupsAreKept(t *testing.T) {
	t.Parallel()
	groups := make([]string, claims.MaxValues)
	for i := range groups {
		groups[i] = fmt.Sprint("team-", i)
	}
	attrs := map[string][]string{"groups": groups, "mail": {"a@example.com"}, "name": {"A"}}
	id, err := claims.Mapping{Groups: "groups"}.Identity("corp", "s", attrs)
	if err != nil || !cmp.Equal(id.Groups, groups) {
		t.Fatalf("%d groups: %v", len(id.Groups), err)
	}
	attrs["groups"][0] = "changed"
	if id.Groups[0] == "changed" || id.Attributes["groups"][0] == "changed" {
		t.Error("the identity shares memory with its source")
	}
}
