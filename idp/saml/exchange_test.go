package saml_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestVerifyJudgesAssertionsThatProgramsBring(t *testing.T) {
	t.Parallel()
	i, other := idptest.NewSAMLIdP(t), idptest.NewSAMLIdP(t)
	other.EntityID = "https://idp2.example.com/metadata"
	p := provider(t, i, nil)
	forEndpoint := good()
	forEndpoint.ACS = "https://sso.example.com/oauth2/token"
	forOther := good()
	forOther.Audience = "https://sso.example.com/saml/other/metadata"
	forAnother := good()
	forAnother.ACS = "https://other.example.com/acs"
	for name, test := range map[string]struct {
		document []byte
		reason   string
		notMine  bool
	}{
		"a Response for the ACS":            {document: i.Response(good())},
		"a Response for the token endpoint": {document: i.Response(forEndpoint)},
		"a Response for somebody else":      {document: i.Response(forAnother), reason: "destination"},
		"a Response for another SP of ours": {document: i.Response(forOther), reason: "audience", notMine: true},
		"a Response that was changed":       {document: change(t, i.Response(good()), ">alice<", ">admin<"), reason: "digest"},
		"a Response of another provider":    {document: other.Response(good()), notMine: true},
		"one that claims to be of ours":     {document: change(t, other.Response(good()), "https://idp2.example.com/metadata", i.EntityID), reason: "*"},
		"no XML":                            {document: []byte("hello"), reason: "*"},
	} {
		for _, coding := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding} {
			login, err := p.Verify(t.Context(), coding.EncodeToString(test.document))
			var rejection *idp.Rejection
			switch {
			case errors.Is(err, idp.ErrNotMine) != test.notMine:
				t.Errorf("%s: %v, want not mine: %t", name, err, test.notMine)
			case test.notMine && test.reason == "":
			case test.reason == "":
				if err != nil || login.Identity.Subject == "" || login.Once.Key == "" {
					t.Errorf("%s: %+v, %v", name, login, err)
				}
			case !errors.As(err, &rejection) || test.reason != "*" && rejection.Reason != test.reason:
				t.Errorf("%s: %v, want %s", name, err, test.reason)
			}
		}
	}
	if _, err := p.Verify(t.Context(), "not base64!"); err == nil {
		t.Error("text that is no base64 was accepted")
	}
	if _, err := p.Verify(t.Context(), strings.Repeat("A", 1<<20)); err == nil {
		t.Error("a megabyte was accepted")
	}
}
