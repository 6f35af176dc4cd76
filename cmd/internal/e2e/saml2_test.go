package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/rolecall/rolecall/idp/idptest"
)

const samlPrograms = `
server: {url: %[1]s, listen: %[2]q}
aws: {endpoint: %[3]s}
providers:
  - {name: programs, type: saml, metadata_file: programs.xml, subject: {attribute: uid}, groups: {attribute: groups}, exchange: true}
  - {name: people, type: saml, metadata_file: people.xml, subject: {attribute: uid}, groups: {attribute: groups}}
accounts: [{id: "111122223333", name: production}]
grants:
  - {name: deploy, providers: [programs, people], groups: [deployers], role: production/Deploy}
`

// Programs bring assertions (RFC 8693 with saml2) to the daemon that operators run:
// whole Responses, and bare Assertions with the signature on themselves.
func TestAnAssertionBecomesCredentialsOnce(t *testing.T) {
	t.Parallel()
	programs, people := idptest.NewSAMLIdP(t), idptest.NewSAMLIdP(t)
	people.EntityID = "https://people.example.com/metadata"
	dir, address := t.TempDir(), freeAddress(t)
	w := world{URL: "http://" + address, data: dir}
	writeFile(t, filepath.Join(dir, "programs.xml"), string(programs.Metadata()))
	writeFile(t, filepath.Join(dir, "people.xml"), string(people.Metadata()))
	serveFile(t, w, fmt.Sprintf(samlPrograms, w.URL, address, startAWS(t, "Deploy")))
	answer := func(provider string) idptest.SAMLAnswer {
		return idptest.SAMLAnswer{
			At: time.Now(), Audience: w.URL + "/saml/" + provider + "/metadata", ACS: w.URL + "/oauth2/token",
			Attributes: map[string][]string{"uid": {"job-7"}, "groups": {"deployers"}},
		}
	}
	unsigned, old, elsewhere, atACS := answer("programs"), answer("programs"), answer("programs"), answer("programs")
	unsigned.Signed, old.At, elsewhere.ACS, atACS.ACS = "none", time.Now().Add(-time.Hour), "https://sso.example.com/acs", w.URL+"/saml/programs/acs"
	good, bare := programs.Response(answer("programs")), assertionOf(t, programs.Response(answer("programs")))
	for _, test := range []struct {
		name     string
		document []byte
		status   int
		reason   string // in the description
	}{
		{"a whole Response", good, 200, ""},
		{"the same again", good, 400, "used before"},
		{"its Assertion alone, after it", assertionOf(t, good), 400, "used before"},
		{"a bare Assertion", bare, 200, ""},
		{"the same again, within a Response", bare, 400, "used before"},
		{"one for the ACS", programs.Response(atACS), 200, ""},
		{"one for another address", programs.Response(elsewhere), 400, "(destination)"},
		{"one that nobody signed", programs.Response(unsigned), 400, "(unsigned)"},
		{"one of an hour ago", programs.Response(old), 400, "(expired)"},
		{"one that was changed", []byte(strings.Replace(string(programs.Response(answer("programs"))), "deployers", "deployerz", 1)), 400, "(digest)"},
		{"of a provider without exchange", people.Response(answer("people")), 400, "issuer is not"},
		{"of one that claims to be ours", people.Response(answer("programs")), 400, "issuer is not"},
	} {
		status, got := exchanged(t, w, url.Values{
			"subject_token": {base64.RawURLEncoding.EncodeToString(test.document)}, "subject_token_type": {"urn:ietf:params:oauth:token-type:saml2"}, "resource": {"production/Deploy"},
		})
		description, _ := got["error_description"].(string)
		if status != test.status || status == http.StatusOK && got["credentials"] == nil || !strings.Contains(description, test.reason) {
			t.Errorf("%s: %d %v", test.name, status, got)
		}
	}
	if record := readAudit(t, w); !strings.Contains(record, `"via":"exchange"`) || !strings.Contains(record, `"reason":"replay"`) || strings.Contains(record, "<saml") {
		t.Errorf("the record:\n%.3000s", record)
	}
}

// assertionOf cuts the signed Assertion out, with the octets that its signature is of.
func assertionOf(t *testing.T, response []byte) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(response); err != nil {
		t.Fatal(err)
	}
	assertion := doc.FindElement("//Assertion")
	if assertion == nil {
		t.Fatal("no assertion")
	}
	alone := etree.NewDocument()
	copied := assertion.Copy()
	for e := assertion.Parent(); e != nil; e = e.Parent() { // prefixes that were declared above
		for _, a := range e.Attr {
			if (a.Space == "xmlns" || a.Key == "xmlns") && copied.SelectAttr(a.FullKey()) == nil {
				copied.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	alone.SetRoot(copied)
	text, err := alone.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
