package saml_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// output is what `rolecalld saml inspect` prints (CONTRACT.md).
type output struct {
	Reason   *string `json:"reason"`
	Detail   *string `json:"detail"`
	Findings []struct{ Code, Detail string }
	Identity *struct{ Provider, Subject string }
	Steps    []struct {
		Step   string
		OK     *bool
		Detail *string
	}
}

func inspect(t *testing.T, p *saml.Provider, document []byte, how saml.Inspection) output {
	t.Helper()
	v, err := p.Inspect(document, how)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var o output
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(o.Steps) == 0 || slices.ContainsFunc(o.Steps, func(s struct {
		Step   string
		OK     *bool
		Detail *string
	}) bool {
		return s.Step == "" || s.OK == nil || s.Detail == nil
	}) {
		t.Errorf("steps of %s", text)
	}
	return o
}

func TestInspectionIsTheCodePathOfTheACS(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, func(c *saml.Config) { c.Now = time.Now }) // long after the document
	how := saml.Inspection{At: moment, RequestID: requestID}
	document := i.Response(good())
	for name, form := range map[string][]byte{
		"XML": document, "XML with a line end": append(slices.Clone(document), '\n'),
		"base64": []byte(encode(document)), "base64 in lines": []byte(encode(document)[:76] + "\n" + encode(document)[76:] + "\n"),
		"base64url": []byte(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(encode(document))),
	} {
		o := inspect(t, p, form, how)
		if o.Reason != nil || o.Identity == nil || o.Identity.Subject != "alice" || o.Identity.Provider != "corp" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := inspect(t, p, document, saml.Inspection{RequestID: requestID, At: moment.AddDate(1, 0, 0)}); o.Reason == nil || *o.Reason != "expired" || o.Identity != nil {
		t.Errorf("a year later: %+v", o)
	}
	if o := inspect(t, p, document, saml.Inspection{At: moment}); o.Reason == nil || *o.Reason != "in-response-to" {
		t.Errorf("with nothing pending: %+v", o)
	}
	if o := inspect(t, p, []byte("%"), how); o.Reason == nil || *o.Reason != "not-base64" || o.Findings == nil {
		t.Errorf("no document: %+v", o)
	}
	answer := good()
	answer.Before = func(r *etree.Element) {
		remove("Assertion/Conditions/AudienceRestriction")(r)
		set(data, "NotBefore", stampOf(0))(r)
	}
	o := inspect(t, p, i.Response(answer), how)
	if o.Reason == nil || *o.Reason != "no-audience-restriction" || len(o.Findings) != 2 || o.Findings[1].Code != "bearer-sc-has-notbefore" || o.Identity == nil {
		t.Errorf("weaknesses: %+v", o)
	}
}

// In token exchange nobody was asked; the document may be a bare Assertion, for
// the ACS or for the token endpoint.
func TestInspectionForExchange(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, nil)
	how := saml.Inspection{At: moment, Exchange: true}
	bare := func(recipient string) []byte {
		answer := good()
		answer.ACS = recipient
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(i.Response(answer)); err != nil {
			t.Fatal(err)
		}
		a := at(doc.Root(), "Assertion").Copy()
		a.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
		alone := etree.NewDocument()
		alone.SetRoot(a)
		text, err := alone.WriteToBytes()
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte("<?xml version=\"1.0\"?>\n"), text...)
	}
	for name, test := range map[string]struct {
		document []byte
		reason   string
	}{
		"a Response":                          {i.Response(good()), ""},
		"a bare Assertion":                    {bare(acsURL), ""},
		"an Assertion for the token endpoint": {bare("https://sso.example.com/oauth2/token"), ""},
		"an Assertion for somebody else":      {bare("https://other.example.com"), "recipient"},
		"an Assertion that was changed":       {change(t, bare(acsURL), ">alice<", ">admin<"), "digest"},
	} {
		o := inspect(t, p, test.document, how)
		if (o.Reason == nil) != (test.reason == "") || o.Reason != nil && *o.Reason != test.reason {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := inspect(t, p, bare(acsURL), saml.Inspection{At: moment, RequestID: requestID}); o.Reason == nil || *o.Reason != "not-a-response" {
		t.Errorf("a bare Assertion at the ACS: %+v", o)
	}
}

// Nothing that an operator reads holds a signature, a key or the document.
func TestStepsAreShort(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = set("", "Destination", "https://"+strings.Repeat("x", 5000))
	v := saml.Judge(i.Response(answer), standard(t, i))
	refused(t, v, "destination")
	text, err := json.Marshal(v)
	if err != nil || len(text) > 3000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
