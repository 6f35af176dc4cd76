package iam_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
)

func TestARoleARNIsReadWhole(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want iam.RoleARN
	}{
		"a plain role":              {"arn:aws:iam::111122223333:role/Admin", iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Admin"}},
		"a role under a path":       {"arn:aws:iam::111122223333:role/team/a/Admin", iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/team/a/", Name: "Admin"}},
		"a role of GovCloud":        {"arn:aws-us-gov:iam::000000000000:role/A", iam.RoleARN{Partition: "aws-us-gov", Account: "000000000000", Path: "/", Name: "A"}},
		"a role of China":           {"arn:aws-cn:iam::111122223333:role/A", iam.RoleARN{Partition: "aws-cn", Account: "111122223333", Path: "/", Name: "A"}},
		"every character of a name": {"arn:aws:iam::111122223333:role/aZ09_+=,.@-", iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "aZ09_+=,.@-"}},
		"a name of 64 characters":   {"arn:aws:iam::111122223333:role/" + strings.Repeat("n", 64), iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: strings.Repeat("n", 64)}},
		"a path of 512 characters":  {"arn:aws:iam::111122223333:role/" + strings.Repeat("p", 510) + "/A", iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/" + strings.Repeat("p", 510) + "/", Name: "A"}},
		"a permission set's role": {"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef",
			iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/aws-reserved/sso.amazonaws.com/eu-west-1/", Name: "AWSReservedSSO_Admin_0123456789abcdef"}},
		"dots inside a segment": {"arn:aws:iam::111122223333:role/a..b/.c/A", iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/a..b/.c/", Name: "A"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := iam.ParseRoleARN(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if got.String() != test.text {
				t.Errorf("printed as %s", got)
			}
		})
	}
}

const role = "arn:aws:iam::111122223333:role/"

// notARNs are texts that must never name a role.
var notARNs = map[string]string{
	"nothing":                              "",
	"a name alone":                         "Admin",
	"a wildcard name":                      role + "*",
	"a wildcard in a name":                 role + "Adm*n",
	"a question mark in a name":            role + "Adm?n",
	"a wildcard in a path":                 role + "*/Admin",
	"a policy variable in a path":          role + "${aws:username}/Admin",
	"a wildcard account":                   "arn:aws:iam::*:role/Administrator",
	"a wildcard partition":                 "arn:*:iam::111122223333:role/Admin",
	"an unknown partition":                 "arn:aws-evil:iam::111122223333:role/Admin",
	"the sovereign partition, not yet":     "arn:aws-eusc:iam::111122223333:role/Admin",
	"a partition in upper case":            "arn:AWS:iam::111122223333:role/Admin",
	"a prefix in upper case":               "ARN:aws:iam::111122223333:role/Admin",
	"no account":                           "arn:aws:iam:::role/AdministratorAccess",
	"eleven digits":                        "arn:aws:iam::11112222333:role/Admin",
	"thirteen digits":                      "arn:aws:iam::1111222233334:role/Admin",
	"full-width digits":                    "arn:aws:iam::１１１１２２２２３３３３:role/Admin",
	"Arabic digits":                        "arn:aws:iam::١١١١٢٢٢٢٣٣٣٣:role/Admin",
	"a region":                             "arn:aws:iam:us-east-1:111122223333:role/Admin",
	"a user":                               "arn:aws:iam::111122223333:user/Admin",
	"the root":                             "arn:aws:iam::111122223333:root/Admin",
	"an assumed role":                      "arn:aws:sts::111122223333:assumed-role/Admin/alice",
	"another service":                      "arn:aws:s3::111122223333:role/Admin",
	"role in upper case":                   "arn:aws:iam::111122223333:Role/Admin",
	"role with a colon":                    "arn:aws:iam::111122223333:role:Admin",
	"no name":                              role,
	"no name under a path":                 role + "team/",
	"an empty path segment":                role + "/Admin",
	"two empty path segments":              role + "//Admin",
	"an empty segment inside":              role + "a//Admin",
	"a way up":                             role + "../Admin",
	"a way up inside":                      role + "team/../Admin",
	"a dot segment":                        role + "./Admin",
	"an encoded slash":                     role + "team%2FAdmin/x",
	"a quote in a path":                    role + `a"b/Admin`,
	"a backslash in a path":                role + `a\b/Admin`,
	"a tag in a path":                      role + "<b>/Admin",
	"a space before":                       " " + role + "Admin",
	"a space after":                        role + "Admin ",
	"a line break after":                   role + "Admin\n",
	"a carriage return inside":             role + "Ad\rmin",
	"a NUL":                                role + "Admin\x00",
	"a Cyrillic letter that looks Latin":   role + "Аdmin",
	"a Greek letter that looks Latin":      role + "Αdmin",
	"full-width letters":                   role + "Ａｄｍｉｎ",
	"a Kelvin sign":                        role + "\u212Aey",
	"a zero-width space":                   role + "Ad\u200bmin",
	"a right-to-left override":             role + "\u202eAdmin",
	"a Cyrillic letter in a path":          role + "tеam/Admin",
	"broken UTF-8":                         role + "Admin\xff",
	"a colon in a name":                    role + "Admin:x",
	"a second ARN after a comma and colon": role + "Admin,arn:aws:iam::111122223333:role/Other",
	"a name of 65 characters":              role + strings.Repeat("n", 65),
	"a path of 513 characters":             role + strings.Repeat("p", 511) + "/A",
	"2049 characters":                      role + strings.Repeat("p/", 1010) + "A",
	"a megabyte":                           role + strings.Repeat("p", 1<<20),
}

func TestWhatIsNoRoleARNIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range notARNs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := iam.ParseRoleARN(text)
			if !errors.Is(err, iam.ErrBadARN) || got != (iam.RoleARN{}) {
				t.Errorf("%v, %v", got, err)
			}
			if err != nil && len(err.Error()) > 1024 {
				t.Errorf("the error has %d characters", len(err.Error()))
			}
		})
	}
}

func TestARoleARNTravelsThroughJSON(t *testing.T) {
	t.Parallel()
	type box struct{ Role iam.RoleARN }
	const text = `{"Role":"arn:aws:iam::111122223333:role/team/Admin"}`
	var b box
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(b)
	if err != nil || string(back) != text {
		t.Errorf("%s %v", back, err)
	}
	before := b
	if err := json.Unmarshal([]byte(`{"Role":"arn:aws:iam::111122223333:role/*"}`), &b); !errors.Is(err, iam.ErrBadARN) || b != before {
		t.Errorf("a wildcard: %v, left %v", err, b)
	}
}

func TestAnAssumedRoleDropsThePath(t *testing.T) {
	t.Parallel()
	r := iam.RoleARN{Partition: "aws-cn", Account: "111122223333", Path: "/team/", Name: "Admin"}
	if got := r.AssumedRole("alice"); got != "arn:aws-cn:sts::111122223333:assumed-role/Admin/alice" {
		t.Error(got)
	}
}

func TestTheZeroRolePrintsNothing(t *testing.T) {
	t.Parallel()
	if got := (iam.RoleARN{}).String(); got != "" {
		t.Error(got)
	}
}

func TestAnAccountIsTwelveASCIIDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"111122223333": true, "000000000000": true, "11112222333": false, "1111222233334": false, "": false,
		"11112222333a": false, "111122223333\n": false, "１１１１２２２２３３３３": false, "*": false, "-11122223333": false,
	} {
		if got := iam.ValidAccountID(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func FuzzParseRoleARN(f *testing.F) {
	for _, seed := range []string{"arn:aws:iam::111122223333:role/Admin", "arn:aws:iam::111122223333:role/a/b/C", "arn:aws:iam::111122223333:role/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := iam.ParseRoleARN(text)
		if err != nil {
			return
		}
		if got.String() != text {
			t.Errorf("%q is read as %q", text, got)
		}
		if strings.ContainsAny(text, "*?$") || !iam.ValidAccountID(got.Account) {
			t.Errorf("%q was accepted", text)
		}
	})
}
