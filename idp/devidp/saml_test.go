package devidp

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// sp is a stock service provider that read the metadata of the house.
func sp(t *testing.T, h house) *saml.ServiceProvider {
	t.Helper()
	var metadata saml.EntityDescriptor
	if err := xml.Unmarshal([]byte(newBrowser(t).get(h.url+"/saml/metadata").text), &metadata); err != nil {
		t.Fatal(err)
	}
	acs, err := url.Parse(testACS)
	if err != nil {
		t.Fatal(err)
	}
	return &saml.ServiceProvider{EntityID: testSP, AcsURL: *acs, IDPMetadata: &metadata}
}

// request makes an AuthnRequest and lets change spoil it.
func request(t *testing.T, h house, change func(*saml.AuthnRequest)) (*saml.AuthnRequest, string) {
	t.Helper()
	r, err := sp(t, h).MakeAuthenticationRequest(h.url+"/saml/sso", saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	address, err := r.Redirect("opaque & handle", &saml.ServiceProvider{})
	if err != nil {
		t.Fatal(err)
	}
	// crewjam's Redirect writes RelayState unescaped.
	query, _, _ := strings.Cut(address.RawQuery, "&RelayState=")
	return r, h.url + "/saml/sso?" + query + "&RelayState=opaque+%26+handle"
}

// parse judges the posted answer with crewjam's service provider.
func parse(t *testing.T, h house, answer page, id string) *saml.Assertion {
	t.Helper()
	document, err := base64.StdEncoding.DecodeString(answer.field("SAMLResponse"))
	if err != nil || len(document) == 0 {
		t.Fatalf("no SAMLResponse (status %d): %v\n%s", answer.StatusCode, err, answer.text)
	}
	acs, _ := url.Parse(testACS)
	assertion, err := sp(t, h).ParseXMLResponse(document, []string{id}, *acs)
	if err != nil {
		t.Fatalf("the service provider refuses: %v", err.(*saml.InvalidResponseError).PrivateErr)
	}
	signedTwice(t, document)
	return assertion
}

// signedTwice demands RSA-SHA256 signatures of response and assertion.
func signedTwice(t *testing.T, document []byte) {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(document); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/Response/Signature", "/Response/Assertion/Signature"} {
		method := doc.FindElement(path + "/SignedInfo/SignatureMethod")
		if method == nil || method.SelectAttrValue("Algorithm", "") != dsig.RSASHA256SignatureMethod {
			t.Errorf("%s is not RSA-SHA256", path)
		}
	}
}

func TestSAMLSignIn(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	r, address := request(t, h, nil)
	form := b.get(address)
	if form.StatusCode != http.StatusOK || !strings.Contains(form.text, "broker.example") {
		t.Fatalf("form: %d", form.StatusCode)
	}
	answer := b.signIn(h, form, "alice", "alice-pw")
	if answer.field("RelayState") != "opaque & handle" || !strings.Contains(answer.text, `action="`+testACS+`"`) || !strings.Contains(answer.text, "<button>Continue") {
		t.Errorf("post form: %s", answer.text)
	}
	if csp := answer.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' https://broker.example") {
		t.Errorf("policy %q", csp)
	}
	a := parse(t, h, answer, r.ID)
	if a.Subject.NameID.Value != "alice" || a.Issuer.Value != h.url+"/saml/metadata" {
		t.Errorf("name %+v issuer %v", a.Subject.NameID, a.Issuer.Value)
	}
	if got := a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value; got != passwordContext {
		t.Errorf("context %s", got)
	}
	attributes := map[string]string{}
	for _, attribute := range a.AttributeStatements[0].Attributes {
		for _, value := range attribute.Values {
			attributes[attribute.Name] += value.Value + ";"
		}
	}
	for name, want := range map[string]string{
		"groups": "platform;developers;", "email": "alice@example.com;", "displayName": "Alice Ames;", "team": "platform;",
	} {
		if attributes[name] != want {
			t.Errorf("%s is %q, want %q", name, attributes[name], want)
		}
	}
}

func TestSAMLSingleSignOnAndForceAuthn(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	_, address := request(t, h, nil)
	b.signIn(h, b.get(address), "carol", "carol-pw")
	r, address := request(t, h, nil)
	a := parse(t, h, b.get(address), r.ID)
	if a.Subject.NameID.Value != "carol" {
		t.Errorf("name %v", a.Subject.NameID.Value)
	}
	for _, attribute := range a.AttributeStatements[0].Attributes {
		if attribute.Name == "groups" || attribute.Name == "team" {
			t.Errorf("carol has %v", attribute)
		}
	}
	first := a.AuthnStatements[0].AuthnInstant
	h.clock.add(time.Minute)
	yes := true
	r, address = request(t, h, func(r *saml.AuthnRequest) { r.ForceAuthn = &yes })
	form := b.get(address)
	if form.field("asked") == "" {
		t.Fatal("ForceAuthn did not ask")
	}
	a = parse(t, h, b.signIn(h, form, "carol", "carol-pw"), r.ID)
	if !a.AuthnStatements[0].AuthnInstant.After(first) {
		t.Error("AuthnInstant is that of the old sign-in")
	}
}

func TestSAMLEmailNameIDWhereAskedFor(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	format := emailName
	r, address := request(t, h, func(r *saml.AuthnRequest) { r.NameIDPolicy = &saml.NameIDPolicy{Format: &format} })
	a := parse(t, h, b.signIn(h, b.get(address), "alice", "alice-pw"), r.ID)
	if a.Subject.NameID.Value != "alice@example.com" || a.Subject.NameID.Format != emailName {
		t.Errorf("name %+v", a.Subject.NameID)
	}
}

func TestSAMLRequestByPOST(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	r, _ := request(t, h, nil)
	doc := etree.NewDocument()
	doc.SetRoot(r.Element())
	raw, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	form := b.post(h.url+"/saml/sso", url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(raw)}})
	answer := b.signIn(h, form, "alice", "alice-pw")
	if strings.Contains(answer.text, "RelayState") {
		t.Error("a RelayState that was never sent")
	}
	parse(t, h, answer, r.ID)
}

func TestSAMLRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	yes := true
	for name, change := range map[string]func(*saml.AuthnRequest){
		"an unknown service provider":     func(r *saml.AuthnRequest) { r.Issuer.Value = "https://evil.example" },
		"an ACS that is not registered":   func(r *saml.AuthnRequest) { r.AssertionConsumerServiceURL = "https://evil.example/acs" },
		"an ACS that is a script":         func(r *saml.AuthnRequest) { r.AssertionConsumerServiceURL = "javascript:alert(1)" },
		"another destination":             func(r *saml.AuthnRequest) { r.Destination = "https://evil.example" },
		"a request of yesterday":          func(r *saml.AuthnRequest) { r.IssueInstant = r.IssueInstant.Add(-24 * time.Hour) },
		"a request of tomorrow":           func(r *saml.AuthnRequest) { r.IssueInstant = r.IssueInstant.Add(24 * time.Hour) },
		"a request without ID":            func(r *saml.AuthnRequest) { r.ID = "" },
		"a request of SAML 1":             func(r *saml.AuthnRequest) { r.Version = "1.1" },
		"a request that may not ask back": func(r *saml.AuthnRequest) { r.IsPassive = &yes },
	} {
		_, address := request(t, h, change)
		if p := b.get(address); p.StatusCode != http.StatusBadRequest || p.field("asked") != "" {
			t.Errorf("%s: %d", name, p.StatusCode)
		}
	}
	for _, query := range []string{"", "?SAMLRequest=", "?SAMLRequest=%25", "?SAMLRequest=AAAA", "?SAMLRequest=c08uTi1W"} {
		if p := b.get(h.url + "/saml/sso" + query); p.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", query, p.StatusCode)
		}
	}
}
