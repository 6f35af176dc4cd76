package vend_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/vend"
)

const strictSAML = `,"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml","sts:SourceIdentity":"corp=u-1","aws:RequestTag/unit":"a b","sts:TransitiveTagKeys":"team","sts:RoleSessionName":"alice"},"StringLike":{"SAML:sub":"corp=*"}}`

func (w *world) assertion(spec vend.Spec) issuer.Assertion {
	return issuer.Assertion{
		Provider: "corp", Subject: "u-1", Role: spec.Role, SAMLProvider: spec.SAMLProvider, SessionName: spec.SessionName,
		Tags: spec.Tags, TransitiveTags: spec.TransitiveTags, SourceIdentity: spec.SourceIdentity,
	}
}

func (w *world) saml() vend.Vendor {
	w.t.Helper()
	v, err := vend.NewSAML(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func TestSAMLCarriesEverythingInTheAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strictSAML)
	spec := w.spec()
	spec.Proof = proof(w.assertions.Sign(t.Context(), w.assertion(spec)))
	got, err := w.saml().Vend(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if arn := w.whoAmI(got.Credentials); arn != "arn:aws:sts::111122223333:assumed-role/Admin/alice" || arn != got.Credentials.AssumedRoleARN {
		t.Error(arn)
	}
	if left := time.Until(got.Credentials.Expires); left < 7*time.Hour+50*time.Minute || left > 8*time.Hour {
		t.Errorf("it lasts %s", left)
	}
}

// What needs escaping in XML must not break the signature.
func TestAnyNameAndTagSurvivesTheSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	spec := w.spec()
	spec.Tags = []iam.Tag{{Key: "team", Value: "é=+/@ : ü"}}
	a := w.assertion(spec)
	a.Subject = `<u>&"1' ` + "\r\n\t]]>"
	spec.Proof = proof(w.assertions.Sign(t.Context(), a))
	if _, err := w.saml().Vend(t.Context(), spec); err != nil {
		t.Error(err)
	}
}

func TestAnAssertionIsGoodForItsRoleAndItsPeopleOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strictSAML)
	for name, c := range map[string]struct {
		change func(*vend.Spec, *issuer.Assertion)
		code   string
	}{
		"another role that trusts the same": {func(s *vend.Spec, _ *issuer.Assertion) { s.Role = w.role("Other"); s.Duration = time.Hour }, "InvalidIdentityToken"},
		"a person of another provider":      {func(_ *vend.Spec, a *issuer.Assertion) { a.Provider = "other" }, "AccessDenied"},
		"another source identity":           {func(_ *vend.Spec, a *issuer.Assertion) { a.SourceIdentity = "corp=u-2" }, "AccessDenied"},
		"another session name":              {func(_ *vend.Spec, a *issuer.Assertion) { a.SessionName = "bob" }, "AccessDenied"},
		"another tag":                       {func(_ *vend.Spec, a *issuer.Assertion) { a.Tags[1].Value = "x" }, "AccessDenied"},
		"a SAML provider that is not there": {func(s *vend.Spec, _ *issuer.Assertion) { s.SAMLProvider += "2" }, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := w.spec()
			assertion := w.assertion(spec)
			c.change(&spec, &assertion)
			spec.Proof = proof(w.assertions.Sign(t.Context(), assertion))
			_, err := w.saml().Vend(t.Context(), spec)
			refusedWith(t, err, c.code)
		})
	}
}

func TestAnAssertionThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	encoded, err := w.assertions.Sign(t.Context(), w.assertion(w.spec()))
	if err != nil {
		t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	whole := regexp.MustCompile(`(?s)<saml:Assertion.*</saml:Assertion>`).FindString(good)
	unsigned := regexp.MustCompile(`(?s)<ds:Signature.*</ds:Signature>`).ReplaceAllString(whole, "")
	evil := strings.Replace(strings.Replace(unsigned, "corp=u-1", "corp=u-2", 1), ` ID="_`, ` ID="_x`, 1)
	foreign, err := assertions(keysOf(t)).Sign(t.Context(), w.assertion(w.spec()))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another subject":              strings.Replace(good, "corp=u-1", "corp=u-2", 1),
		"another role in it":           strings.Replace(good, "role/Admin,", "role/Other,", 1),
		"no signature":                 strings.Replace(good, whole, unsigned, 1),
		"a second, unsigned, before":   strings.Replace(good, whole, evil+whole, 1),
		"a second, unsigned, after":    strings.Replace(good, whole, whole+evil, 1),
		"the signed one wrapped":       strings.Replace(good, whole, strings.Replace(evil, "</saml:Subject>", "</saml:Subject><saml:Advice>"+whole+"</saml:Advice>", 1), 1),
		"another key":                  decoded(t, foreign),
		"no XML":                       "<a",
		"a document that is no answer": whole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := w.spec()
			spec.Proof = proof(base64.StdEncoding.EncodeToString([]byte(text)), nil)
			_, err := w.saml().Vend(t.Context(), spec)
			refusedWith(t, err, "InvalidIdentityToken")
		})
	}
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
