package directory_test

import (
	"strings"
	"testing"

	"github.com/rolecall/rolecall/idp/directory"
)

func TestWhichAddressesAreTheSame(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ann@example.com":                        "ann@example.com",
		"  Ann.Smith+notes@EXAMPLE.Com\n":        "ann.smith+notes@example.com",
		"o'brien@example.co.uk":                  "o'brien@example.co.uk",
		"ann@bücher.example":                     "ann@xn--bcher-kva.example",
		"ann@BÜCHER.example":                     "ann@xn--bcher-kva.example",
		"ann@xn--bcher-kva.example":              "ann@xn--bcher-kva.example",
		"1@2.example":                            "1@2.example",
		"аnn@example.com":                        "",                       // a Cyrillic letter in the name: never merged with ann
		"ann@exаmple.com":                        "ann@xn--exmple-4nf.com", // a Cyrillic letter in the domain: another domain
		"ann":                                    "",
		"@example.com":                           "",
		"ann@":                                   "",
		"ann@localhost":                          "",
		"ann@example..com":                       "",
		"ann@-example.com":                       "",
		"ann@example.com.":                       "",
		"ann@[192.0.2.1]":                        "",
		"ann smith@example.com":                  "",
		"Ann <ann@example.com>":                  "",
		"\"ann\"@example.com":                    "",
		"ann@example.com\r\nBcc: b@x.org":        "",
		"ann@x.org,bob@x.org":                    "",
		"ann@x.org>bob":                          "",
		".ann@example.com":                       "",
		"ann.@example.com":                       "",
		"a..n@example.com":                       "",
		"ann\x00@example.com":                    "",
		"a@b@example.com":                        "",
		strings.Repeat("a", 65) + "@x.org":       "",
		"a@" + strings.Repeat("a.", 130) + "org": "",
	} {
		got, err := directory.ParseEmail(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{"ann@example.com", "Ann.Smith+x@BÜCHER.example", "a@b", "\"a b\"@x.org", "a@xn--a.org", "a@x.org\r\nTo: b@x.org", "ａ@ｘ．ｏｒｇ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := directory.ParseEmail(text)
		if err != nil {
			return
		}
		again, err := directory.ParseEmail(name)
		if err != nil || again != name {
			t.Errorf("%q becomes %q, and that %q: %v", text, name, again, err)
		}
		if strings.ContainsAny(name, " \r\n\t<>,;:\"\x00") || strings.Count(name, "@") != 1 || len(name) > 254 || name != strings.ToLower(name) {
			t.Errorf("%q becomes %q", text, name)
		}
		for _, r := range name {
			if r > 0x7e {
				t.Errorf("%q becomes %q", text, name)
			}
		}
	})
}
