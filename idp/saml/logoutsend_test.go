package saml_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

var aliceThere = idp.Upstream{NameID: "alice & co", NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", NameQualifier: "q", SPNameQualifier: "sp", SessionIndex: "_s<1>"}

func TestALogoutOfOursIsSignedAndNamesTheSession(t *testing.T) {
	t.Parallel()
	p, i := leavingProvider(t, nil)
	to, pending, err := p.BeginLogout(t.Context(), aliceThere, "handle")
	if err != nil {
		t.Fatal(err)
	}
	address, query := sentTo(t, to)
	document := inflated(t, query.Get("SAMLRequest"))
	verifyOurQuery(t, to.URL, "SAMLRequest")
	if address != i.SLO || query.Get("RelayState") != "handle" {
		t.Errorf("sent to %s with %q", address, query.Get("RelayState"))
	}
	for _, part := range []string{
		`Destination="` + i.SLO + `"`, `NotOnOrAfter="2026-11-24T10:05:00Z"`, ">" + entityID + "</saml:Issuer>",
		`Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" NameQualifier="q" SPNameQualifier="sp">alice &amp; co</saml:NameID>`,
		`<samlp:SessionIndex>_s&lt;1&gt;</samlp:SessionIndex>`,
	} {
		if !strings.Contains(document, part) {
			t.Errorf("the request does not hold %s: %s", part, document)
		}
	}
	if strings.Contains(string(pending), "alice") {
		t.Error("the pending bytes say who leaves")
	}
}

func TestALogoutOfOursByFormIsSignedInItsXML(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	i.SLO = "https://idp.example.com/slo"
	key := idptest.NewSAMLKey(t, nil)
	p := provider(t, i, func(c *saml.Config) {
		c.Keys = []crypto.Signer{key.Signer}
		writeFile(t, c.Provider.MetadataFile.Value, edited(t, i, `bindings:HTTP-Redirect" Location="https://idp.example.com/slo"`, `bindings:SOAP" Location="https://idp.example.com/slo"`))
	})
	to, _, err := p.BeginLogout(t.Context(), aliceThere, "handle")
	if err != nil || to.Form == nil || to.Form.Action != i.SLO || to.Form.Fields["RelayState"] != "handle" {
		t.Fatalf("%+v %v", to, err)
	}
	text, err := base64.StdEncoding.DecodeString(to.Form.Fields["SAMLRequest"])
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		t.Fatal(err)
	}
	cert := at(doc.Root(), "Signature/KeyInfo/X509Data/X509Certificate").Text()
	ours, err := p.Metadata()
	if err != nil || !strings.Contains(string(ours), cert) {
		t.Errorf("the signing certificate is not in our metadata: %v", err)
	}
	context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certsOf(t, cert)})
	context.IdAttribute = "ID"
	if _, err := context.Validate(doc.Root()); err != nil {
		t.Errorf("goxmldsig does not find the signature good: %v", err)
	}
}

func TestWithoutAWayNobodyIsSentToLeave(t *testing.T) {
	t.Parallel()
	keyed := func(c *saml.Config) { c.Keys = []crypto.Signer{idptest.NewSAMLKey(t, nil).Signer} }
	with, without, plain := idptest.NewSAMLIdP(t), idptest.NewSAMLIdP(t), idptest.NewSAMLIdP(t)
	with.SLO, plain.SLO = "https://idp.example.com/slo", "http://idp.example.com/slo"
	for name, test := range map[string]struct {
		idp  *idptest.SAMLIdP
		edit func(*saml.Config)
		up   idp.Upstream
	}{
		"no key":                        {with, nil, aliceThere},
		"no service in the metadata":    {without, keyed, aliceThere},
		"a service by plain http":       {plain, keyed, aliceThere},
		"a session without a name":      {with, keyed, idp.Upstream{SessionIndex: "_s"}},
		"a service with a broken place": {&idptest.SAMLIdP{EntityID: with.EntityID, SSO: with.SSO, SLO: "javascript:alert(1)", Keys: with.Keys}, keyed, aliceThere},
	} {
		p := provider(t, test.idp, test.edit)
		if to, _, err := p.BeginLogout(t.Context(), test.up, "h"); !errors.Is(err, idp.ErrNoLogout) || to.URL != "" || to.Form != nil {
			t.Errorf("%s: %+v, %v", name, to, err)
		}
	}
	if _, err := provider(t, with, nil).Departed(t.Context(), byForm("SAMLRequest", with.Logout(asked()), "")); !errors.Is(err, idp.ErrNoLogout) {
		t.Errorf("a departure that cannot be answered: %v", err)
	}
}

func TestWhatComesBackFromALogoutIsJudged(t *testing.T) {
	t.Parallel()
	p, i := leavingProvider(t, nil)
	to, pending, err := p.BeginLogout(t.Context(), aliceThere, "handle")
	if err != nil {
		t.Fatal(err)
	}
	_, query := sentTo(t, to)
	doc := etree.NewDocument()
	if err := doc.ReadFromString(inflated(t, query.Get("SAMLRequest"))); err != nil {
		t.Fatal(err)
	}
	id := doc.Root().SelectAttrValue("ID", "")
	with := func(f func(*idptest.SAMLLogout)) idp.Answer {
		l := answered(id)
		f(&l)
		return byForm("SAMLResponse", i.Logout(l), "handle")
	}
	for name, test := range map[string]struct {
		answer idp.Answer
		reason string
	}{
		"by a form":            {with(func(*idptest.SAMLLogout) {}), ""},
		"by a query":           {byQuery(i.Query("SAMLResponse", i.Logout(unsignedXML(answered(id))), "handle", idptest.SAMLKey{}, crypto.SHA256)), ""},
		"unsigned":             {with(func(l *idptest.SAMLLogout) { l.Unsigned = true }), "unsigned"},
		"signed by a stranger": {with(func(l *idptest.SAMLLogout) { l.Key = rsaKey(t, 2048) }), "signature"},
		"to another request":   {with(func(l *idptest.SAMLLogout) { l.RequestID = "_other" }), "in-response-to"},
		"to no request":        {with(func(l *idptest.SAMLLogout) { l.Before = unset("InResponseTo") }), "in-response-to"},
		"a refusal":            {with(func(l *idptest.SAMLLogout) { l.Status = "urn:oasis:names:tc:SAML:2.0:status:Responder" }), "status"},
		"a success in part": {with(func(l *idptest.SAMLLogout) {
			l.Before = func(m *etree.Element) {
				m.FindElement(".//StatusCode").CreateElement("samlp:StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:PartialLogout")
			}
		}), "partial-logout"},
		"two statuses":                 {with(func(l *idptest.SAMLLogout) { l.Before = twice("Status") }), "structure"},
		"no status":                    {with(func(l *idptest.SAMLLogout) { l.Before = remove("Status") }), "structure"},
		"for another service":          {with(func(l *idptest.SAMLLogout) { l.Destination = acsURL }), "destination"},
		"of yesterday":                 {with(func(l *idptest.SAMLLogout) { l.At = moment.AddDate(0, 0, -1) }), "expired"},
		"a request":                    {byForm("SAMLResponse", i.Logout(asked()), "handle"), "structure"},
		"a response for signing in":    {byForm("SAMLResponse", i.Response(good()), "handle"), "unsigned"},
		"a signed one for signing in":  {byForm("SAMLResponse", i.Response(signedResponse()), "handle"), "structure"},
		"a message of the other field": {byForm("SAMLRequest", i.Logout(answered(id)), "handle"), "binding"},
	} {
		if err := p.FinishLogout(t.Context(), pending, test.answer); (err != nil) != (test.reason != "") || reasonOf(err) != test.reason {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
	for _, broken := range []string{"", "{}", `{"id":""}`, "x"} {
		if p.FinishLogout(t.Context(), []byte(broken), byForm("SAMLResponse", i.Logout(answered("")), "")) == nil {
			t.Errorf("pending bytes %q are taken", broken)
		}
	}
}

func certsOf(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert}
}

func signedResponse() idptest.SAMLAnswer {
	answer := good()
	answer.Signed = "response"
	return answer
}

func TestOurMetadataNamesTheLogoutAddressWithItsKey(t *testing.T) {
	t.Parallel()
	p, i := leavingProvider(t, nil)
	document, err := p.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	text := string(document)
	slo, acs := strings.Index(text, "<md:SingleLogoutService"), strings.Index(text, "<md:AssertionConsumerService")
	if strings.Count(text, `Location="`+sloURL+`"`) != 2 || slo < 0 || slo > acs || !strings.Contains(text, `use="signing"`) || !strings.Contains(text, `AuthnRequestsSigned="false"`) {
		t.Errorf("%s", text)
	}
	if document, err = provider(t, i, nil).Metadata(); err != nil || strings.Contains(string(document), "SingleLogout") {
		t.Errorf("without a key: %s %v", document, err)
	}
}

func FuzzLogout(f *testing.F) {
	i := idptest.NewSAMLIdP(f)
	i.SLO = "https://idp.example.com/slo"
	p := provider(f, i, func(c *saml.Config) {
		c.Keys = []crypto.Signer{idptest.NewSAMLKey(f, nil).Signer}
		c.Provider.ClockSkew, c.Provider.Subject = time.Minute, config.From{}
	})
	f.Add(i.Query("SAMLRequest", i.Logout(unsignedXML(asked())), "r", idptest.SAMLKey{}, crypto.SHA256), i.Logout(asked()))
	f.Add("SAMLRequest=x&SigAlg=&Signature=", i.Logout(answered("_x")))
	f.Fuzz(func(t *testing.T, raw string, document []byte) {
		for _, answer := range []idp.Answer{byQuery(raw), byForm("SAMLRequest", document, "")} {
			d, err := p.Departed(t.Context(), answer)
			if err == nil && d.NameID != "alice" {
				t.Fatalf("somebody was signed out whom nobody signed: %+v", d)
			}
			if err == nil {
				var kept struct{ ID string }
				if json.Unmarshal(d.Reply, &kept) != nil || kept.ID == "" {
					t.Fatalf("a departure without an ID: %s", d.Reply)
				}
			}
			_ = p.FinishLogout(t.Context(), []byte(`{"id":"_x"}`), answer)
		}
	})
}
