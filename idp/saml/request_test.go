package saml_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	"github.com/google/go-cmp/cmp"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheRequestAsksForWhatIsWanted(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	i.SSO = "https://idp.example.com/sso?tenant=a&amp;b=c"
	p := provider(t, i, nil)
	mfa := "https://refeds.org/profile/mfa"
	to, pending, err := p.Begin(t.Context(), idp.Want{Handle: "h", Fresh: true, ACR: []string{mfa, "urn:x?a&b"}})
	if err != nil {
		t.Fatal(err)
	}
	request, query := readRedirect(t, to.URL)
	if request.ForceAuthn != "true" || request.Context.Comparison != "exact" || !cmp.Equal(request.Context.Classes, []string{mfa, "urn:x?a&b"}) {
		t.Errorf("request %+v", request)
	}
	if query.Get("tenant") != "a" || query.Get("b") != "c" || query.Has("Signature") {
		t.Errorf("query %v", query)
	}
	answer := good()
	answer.RequestID = request.ID
	if _, err := p.Finish(t.Context(), pending, post(i.Post(answer))); reasonOf(err) != "authn-context" {
		t.Errorf("a password where MFA was asked for: %v", err)
	}
	answer.Class = mfa
	answer.Before = set("Assertion/AuthnStatement", "AuthnInstant", "2026-11-24T09:00:00Z")
	if _, err := p.Finish(t.Context(), pending, post(i.Post(answer))); reasonOf(err) != "not-fresh" {
		t.Errorf("an old sign-in where a fresh one was asked for: %v", err)
	}
	answer.Before = nil
	if login, err := p.Finish(t.Context(), pending, post(i.Post(answer))); err != nil || !login.Identity.MFA() {
		t.Errorf("%+v, %v", login.Identity, err)
	}
}

func TestRequestIDsAreNeverTheSame(t *testing.T) {
	t.Parallel()
	p := provider(t, idptest.NewSAMLIdP(t), nil)
	seen := map[string]bool{}
	for range 100 {
		_, pending, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
		if err != nil || seen[string(pending)] {
			t.Fatalf("%s %v", pending, err)
		}
		seen[string(pending)] = true
	}
}

func signing(key idptest.SAMLKey) func(*saml.Config) {
	return func(c *saml.Config) { c.Provider.SignRequests, c.Keys = true, []crypto.Signer{key.Signer} }
}

func TestASignedRedirectVerifiesOverItsOctets(t *testing.T) {
	t.Parallel()
	i, key := idptest.NewSAMLIdP(t), idptest.NewSAMLKey(t, nil)
	p := provider(t, i, signing(key))
	to, _, err := p.Begin(t.Context(), idp.Want{Handle: "a b/ü+"})
	if err != nil {
		t.Fatal(err)
	}
	_, raw, _ := strings.Cut(to.URL, "?")
	octets, signature, _ := strings.Cut(raw, "&Signature=")
	names := []string{}
	for _, part := range strings.Split(octets, "&") {
		name, _, _ := strings.Cut(part, "=")
		names = append(names, name)
	}
	if !cmp.Equal(names, []string{"SAMLRequest", "RelayState", "SigAlg"}) {
		t.Errorf("the order of the query: %q", names)
	}
	text, err := url.QueryUnescape(signature)
	if err != nil {
		t.Fatal(err)
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(octets))
	if err := rsa.VerifyPKCS1v15(key.Signer.Public().(*rsa.PublicKey), crypto.SHA256, sum[:], value); err != nil {
		t.Error(err)
	}
}

func TestAProviderWithoutRedirectGetsAForm(t *testing.T) {
	t.Parallel()
	i, key := idptest.NewSAMLIdP(t), idptest.NewSAMLKey(t, nil)
	for _, signed := range []bool{false, true} {
		p := provider(t, i, func(c *saml.Config) {
			if signed {
				signing(key)(c)
			}
			writeFile(t, c.Provider.MetadataFile.Value, edited(t, i, "bindings:HTTP-Redirect", "bindings:SOAP"))
		})
		to, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
		if err != nil || to.URL != "" || to.Form == nil || to.Form.Action != i.SSO || to.Form.Fields["RelayState"] != "h" {
			t.Fatalf("%+v %v", to, err)
		}
		text, err := base64.StdEncoding.DecodeString(to.Form.Fields["SAMLRequest"])
		if err != nil {
			t.Fatal(err)
		}
		if r := readRequest(t, text); r.ACS != acsURL || r.Destination != i.SSO {
			t.Errorf("%+v", r)
		}
		if !signed {
			continue
		}
		var m crewjam.EntityDescriptor // goxmldsig must find the signature good, with the certificate of our metadata
		ours, err := p.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(ours, &m); err != nil {
			t.Fatal(err)
		}
		cert := readCert(t, m.SPSSODescriptors[0].KeyDescriptors[0])
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(text); err != nil {
			t.Fatal(err)
		}
		store := &dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}}
		if _, err := dsig.NewDefaultValidationContext(store).Validate(doc.Root()); err != nil {
			t.Errorf("%v in %s", err, text)
		}
	}
}

func readCert(t *testing.T, k crewjam.KeyDescriptor) *x509.Certificate {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(k.KeyInfo.X509Data.X509Certificates[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestAPlainHTTPProviderGetsNoRequest(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	for sso, ok := range map[string]bool{"http://idp.example.com/sso": false, "http://127.0.0.1:9101/sso": true, "javascript:alert(1)": false, "https://user@idp.example.com/": false} {
		i.SSO = sso
		_, _, err := provider(t, i, nil).Begin(t.Context(), idp.Want{})
		if (err == nil) != ok || (err != nil && !errors.Is(err, idp.ErrUnavailable)) {
			t.Errorf("%s: %v", sso, err)
		}
	}
}

func TestOurMetadata(t *testing.T) {
	t.Parallel()
	i, key := idptest.NewSAMLIdP(t), idptest.NewSAMLKey(t, nil)
	p := provider(t, i, signing(key))
	document, err := p.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	again, err := provider(t, i, signing(key)).Metadata()
	if err != nil || !cmp.Equal(document, again) {
		t.Error("the metadata is not stable")
	}
	var m crewjam.EntityDescriptor
	if err := xml.Unmarshal(document, &m); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	sp := m.SPSSODescriptors[0]
	if m.EntityID != entityID || len(sp.AssertionConsumerServices) != 1 || sp.AssertionConsumerServices[0].Location != acsURL ||
		sp.AuthnRequestsSigned == nil || !*sp.AuthnRequestsSigned || len(sp.KeyDescriptors) != 1 || sp.KeyDescriptors[0].Use != "signing" {
		t.Errorf("%s", document)
	}
	if !readCert(t, sp.KeyDescriptors[0]).PublicKey.(*rsa.PublicKey).Equal(key.Signer.Public()) {
		t.Error("it publishes another key")
	}
	plain, err := provider(t, i, func(c *saml.Config) {
		c.Provider.SPEntityID = config.Text{Value: "urn:amazon:webservices"}
		c.Provider.ACSURL = config.Text{Value: "https://signin.aws.amazon.com/saml"}
	}).Metadata()
	if err != nil || strings.Contains(string(plain), "KeyDescriptor") || !strings.Contains(string(plain), `entityID="urn:amazon:webservices"`) ||
		// Assertions are made out to AWS, but the browser has to bring them to us.
		!strings.Contains(string(plain), `Location="`+acsURL+`"`) {
		t.Errorf("%s %v", plain, err)
	}
}

func TestTheConfigurationIsJudged(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	word := func(s string) config.Text {
		return config.Text{Value: s, Pos: config.Pos{File: "rolecall.yaml", Line: 7}}
	}
	for says, edit := range map[string]func(*saml.Config){
		"acs_url":                 func(c *saml.Config) { c.Provider.ACSURL = word("ftp://x") },
		"acs_url: ":               func(c *saml.Config) { c.Provider.ACSURL = word("https://x/a b") },
		"sp_entity_id":            func(c *saml.Config) { c.Provider.SPEntityID = word(strings.Repeat("x", 1025)) },
		"allow: \"sha1\"":         func(c *saml.Config) { c.Provider.Allow = []config.Text{word("sha1")} },
		"allow: \"cbc-in":         func(c *saml.Config) { c.Provider.Allow = []config.Text{word("cbc-in-unsigned-response")} },
		"metadata_file":           func(c *saml.Config) { c.Provider.MetadataFile = word("/nowhere/m.xml") },
		"metadata_url is set too": func(c *saml.Config) { c.Provider.MetadataURL = word("https://x") },
		"needs metadata_url":      func(c *saml.Config) { c.Provider.MetadataFile = config.Text{} },
		"metadata_cert":           func(c *saml.Config) { c.Provider.MetadataCert = c.Provider.MetadataFile },
		"entity_id":               func(c *saml.Config) { c.Provider.EntityID = word("https://nobody") },
		"there is no signing key": func(c *saml.Config) { c.Provider.SignRequests = true },
		"not RSA of 2048 bits":    func(c *saml.Config) { c.Keys = []crypto.Signer{rsaKey(t, 1024).Signer} },
		"clock_skew":              func(c *saml.Config) { c.Provider.ClockSkew = 11 * 60e9 },
	} {
		_, err := newProvider(t, i, edit)
		if _, ok := errors.AsType[config.Faults](err); !ok || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want a fault that speaks of %s", err, says)
		}
	}
	if w := provider(t, i, func(c *saml.Config) { c.Provider.IDPInitiated = true }).Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
	wants := provider(t, i, func(c *saml.Config) {
		writeFile(t, c.Provider.MetadataFile.Value, edited(t, i, "<md:IDPSSODescriptor", `<md:IDPSSODescriptor WantAuthnRequestsSigned="true"`))
	})
	if w := wants.Warnings(); len(w) != 1 || !strings.Contains(w[0].Message, "sign_requests") {
		t.Errorf("warnings: %v", w)
	}
}

func TestOnlyAPostedResponseIsTaken(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, nil)
	one := i.Post(good())
	for name, test := range map[string]struct {
		answer idp.Answer
		reason string
	}{
		"GET":                      {idp.Answer{Method: "GET", Query: url.Values{"SAMLResponse": {one}}}, "binding"},
		"two responses":            {idp.Answer{Method: "POST", Form: url.Values{"SAMLResponse": {one, one}}}, "binding"},
		"none":                     {idp.Answer{Method: "POST", Form: url.Values{}}, "binding"},
		"another one in the query": {idp.Answer{Method: "POST", Form: url.Values{"SAMLResponse": {one}}, Query: url.Values{"SAMLResponse": {one}}}, "binding"},
		"an artifact":              {idp.Answer{Method: "POST", Form: url.Values{"SAMLResponse": {one}, "SAMLart": {"x"}}}, "binding"},
		"1 MB":                     {post(strings.Repeat("A", 1<<20)), "too-large"},
		"no base64":                {post("<xml/>"), "not-base64"},
		"base64 of nothing":        {post("===="), "not-base64"},
	} {
		_, err := p.Finish(t.Context(), []byte(`{"id":"`+requestID+`"}`), test.answer)
		if reasonOf(err) != test.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrapped := one[:100] + "\r\n" + one[100:]
	if _, err := p.Finish(t.Context(), []byte(`{"id":"`+requestID+`"}`), post(wrapped)); err != nil {
		t.Errorf("line ends in the base64: %v", err)
	}
	if _, err := p.Finish(t.Context(), []byte(`{`), post(one)); err == nil || reasonOf(err) != "" {
		t.Errorf("broken pending bytes: %v", err)
	}
}
