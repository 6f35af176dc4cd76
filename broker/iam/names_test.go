package iam_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/iam"
)

func TestANameIsTwoToSixtyFourPlainCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"al": true, "alice@example.com": true, "corp=alice": true, "aZ09_+=,.@-": true, strings.Repeat("a", 64): true,
		"": false, "a": false, strings.Repeat("a", 65): false, "a b": false, "a:b": false, "a/b": false, "a*b": false,
		"alicé": false, "аlice": false, "ａlice": false, "alice\n": false, "alice\x00": false, "\u202ealice": false,
		"aws:alice": false,
	} {
		if got := iam.ValidName(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestANameThatFitsStaysAsItIs(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"alice", "alice@example.com", "corp=alice", "anne-christine", "a-b-c", strings.Repeat("a", 64), "alice-2345abcdefg01"} {
		if got := iam.FitName(want, "corp", "subject", 64, false); got != want {
			t.Errorf("%q became %q", want, got)
		}
	}
}

func TestANameThatDoesNotFitGetsAReadableHeadAndAHash(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		want  string
		taken bool
		limit int
		head  string
	}{
		"taken by somebody else":                 {"alice", true, 64, "alice-"},
		"empty":                                  {"", false, 64, "x-"},
		"one character":                          {"a", false, 64, "a-"},
		"a space":                                {"Alice Liddell", false, 64, "Alice-Liddell-"},
		"only characters that do not fit":        {"日本語", false, 64, "x-"},
		"an accent":                              {"José", false, 64, "Jos-"},
		"the same accent, decomposed":            {"Jose\u0301", false, 64, "Jos-"},
		"a slash and a colon":                    {"arn:aws:iam::1:role/x", false, 64, "arn-aws-iam-1-role-x-"},
		"65 characters":                          {strings.Repeat("a", 65), false, 64, strings.Repeat("a", 51) + "-"},
		"33 characters where 32 fit":             {strings.Repeat("a", 33), false, 32, strings.Repeat("a", 19) + "-"},
		"a line break":                           {"alice\n", false, 64, "alice-"},
		"broken UTF-8":                           {"alice\xff\xfe", false, 64, "alice-"},
		"a megabyte":                             {strings.Repeat("é", 1<<19), false, 64, "x-"},
		"a name that looks like a made one":      {"alice-abcdefghijkl", false, 64, "alice-abcdefghijkl-"},
		"a name that looks so in upper case":     {"alice-ABCDEFGHIJKL", false, 64, "alice-ABCDEFGHIJKL-"},
		"hyphens at the cut":                     {strings.Repeat("a", 50) + "-----" + strings.Repeat("b", 20), false, 64, strings.Repeat("a", 50) + "-"},
		"a limit that nothing could be cut to":   {"alice b", false, 1, "ali-"},
		"a limit over what STS takes at all":     {strings.Repeat("a", 80), false, 1000, strings.Repeat("a", 51) + "-"},
		"two hyphens where one would do":         {"-", false, 64, "x-"},
		"homoglyphs are not folded to the Latin": {"аlice", false, 64, "lice-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := iam.FitName(test.want, "corp", "S-1-5-21", test.limit, test.taken)
			tail, ok := strings.CutPrefix(got, test.head)
			if !ok || len(tail) != 12 || strings.Trim(tail, "abcdefghijklmnopqrstuvwxyz234567") != "" {
				t.Errorf("%q; want %q and 12 base32 characters", got, test.head)
			}
			if !iam.ValidName(got) || test.limit >= 16 && len(got) > test.limit {
				t.Errorf("%q is no name of at most %d", got, test.limit)
			}
		})
	}
}

func TestTwoSubjectsNeverShareAName(t *testing.T) {
	t.Parallel()
	people := [][2]string{
		{"corp", "alice"}, {"cor", "palice"}, {"corpalice", ""}, {"", "corpalice"}, {"corp", "Alice"}, {"corp2", "alice"},
		{"corp", "alice "}, {"corp", "аlice"}, {"corp", "alice\x00"}, {"4:corp", "alice"}, {"c", "orp:alice"}, {"corp:", "alice"},
		{"1", "1:x"}, {"11", ":x"}, {"1:1", "x"}, {"corp", "Jose\u0301"}, {"corp", "Jos\u00e9"}, {"corp", strings.Repeat("a", 100) + "1"}, {"corp", strings.Repeat("a", 100) + "2"},
	}
	for _, want := range []string{"", "alice", "Alice Liddell", strings.Repeat("a", 200)} {
		seen := map[string][2]string{}
		for _, p := range people {
			name := iam.FitName(want, p[0], p[1], 64, true)
			if other, ok := seen[strings.ToLower(name)]; ok {
				t.Errorf("%q and %q are both %s", other, p, name)
			}
			seen[strings.ToLower(name)] = p
		}
	}
}

func TestNobodyCanPickTheNameMadeForSomebodyElse(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{32, 64} {
		victim := iam.FitName("Alice Liddell", "corp", "1", limit, false)
		for _, picked := range []string{victim, strings.ToUpper(victim), strings.ToTitle(victim)} {
			if got := iam.FitName(picked, "corp", "2", limit, false); strings.EqualFold(got, victim) {
				t.Errorf("picking %q gives %q", picked, got)
			}
		}
	}
}

func TestASubjectsNameStaysTheSame(t *testing.T) {
	t.Parallel()
	// These are in CloudTrail and in trust policies: they must not change.
	if got := iam.FitName("Alice Liddell", "corp", "alice", 64, false); got != iam.FitName("Alice Liddell", "corp", "alice", 64, true) {
		t.Error(got)
	}
	if got, want := iam.FitName("Alice Liddell", "corp", "alice", 64, false), "Alice-Liddell-oohvkmsvkm4j"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestATagIsHeldToSTSsLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key, value string
		ok         bool
	}{
		"a plain tag":                         {"team", "platform", true},
		"an empty value":                      {"team", "", true},
		"letters of any script, and spaces":   {"Straße 名前", "größe 値", true},
		"every mark":                          {"_.:/=+-@", "_.:/=+-@", true},
		"a key of 128 and a value of 256":     {strings.Repeat("é", 128), strings.Repeat("é", 256), true},
		"aws inside a key":                    {"my-aws:x", "1", true},
		"an empty key":                        {"", "x", false},
		"a key of 129":                        {strings.Repeat("k", 129), "x", false},
		"a value of 257":                      {"team", strings.Repeat("v", 257), false},
		"AWS's own prefix":                    {"aws:team", "x", false},
		"AWS's own prefix in upper case":      {"AWS:team", "x", false},
		"a wildcard in a value":               {"team", "*", false},
		"a policy variable in a value":        {"team", "${aws:username}", false},
		"a quote in a value":                  {"team", `a"b`, false},
		"a comma in a value":                  {"team", "a,b", false},
		"a semicolon in a key":                {"a;b", "x", false},
		"a line break in a value":             {"team", "a\nb", false},
		"a NUL in a value":                    {"team", "a\x00", false},
		"an emoji in a value":                 {"team", "🚀", false},
		"a zero-width joiner in a value":      {"team", "a\u200db", false},
		"broken UTF-8 in a value":             {"team", "\xff", false},
		"a combining accent alone in a value": {"team", "e\u0301", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := iam.CheckTag(test.key, test.value)
			if (err == nil) != test.ok || err != nil && !errors.Is(err, iam.ErrBadTag) {
				t.Error(err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("the error is not one plain line: %q", err)
			}
		})
	}
}

func TestASetOfTagsIsHeldToSTSsLimits(t *testing.T) {
	t.Parallel()
	many := func(n int) (tags []iam.Tag) {
		for i := range n {
			tags = append(tags, iam.Tag{Key: fmt.Sprintf("k%d", i)})
		}
		return tags
	}
	for name, test := range map[string]struct {
		tags []iam.Tag
		ok   bool
	}{
		"none":                                {nil, true},
		"fifty":                               {many(50), true},
		"fifty-one":                           {many(51), false},
		"the same key twice":                  {[]iam.Tag{{Key: "team"}, {Key: "team"}}, false},
		"two keys that differ in case":        {[]iam.Tag{{Key: "Team"}, {Key: "tEAM"}}, false},
		"two keys that differ in case abroad": {[]iam.Tag{{Key: "ÉQUIPE"}, {Key: "équipe"}}, false},
		"a bad tag among good ones":           {[]iam.Tag{{Key: "team"}, {Key: "aws:x"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := iam.CheckTags(test.tags); (err == nil) != test.ok || err != nil && !errors.Is(err, iam.ErrBadTag) {
				t.Error(err)
			}
		})
	}
}

func FuzzFitName(f *testing.F) {
	f.Add("alice", "corp", "alice", false)
	f.Add("José", "corp", "S-1", true)
	f.Add("alice-abcdefghijkl", "", "", false)
	f.Fuzz(func(t *testing.T, want, provider, subject string, taken bool) {
		for _, limit := range []int{32, 64} {
			got := iam.FitName(want, provider, subject, limit, taken)
			if !iam.ValidName(got) || len(got) > limit {
				t.Errorf("%q", got)
			}
			if got != want && got == iam.FitName(want, provider+"x", subject, limit, taken) {
				t.Errorf("%q serves two providers", got)
			}
		}
	})
}
