package saml_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// sent is the AuthnRequest in a redirect.
type sent struct {
	ID           string `xml:",attr"`
	Version      string `xml:",attr"`
	Destination  string `xml:",attr"`
	IssueInstant string `xml:",attr"`
	ForceAuthn   string `xml:",attr"`
	ACS          string `xml:"AssertionConsumerServiceURL,attr"`
	Binding      string `xml:"ProtocolBinding,attr"`
	Issuer       string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	Context      struct {
		Comparison string   `xml:",attr"`
		Classes    []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion AuthnContextClassRef"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:protocol RequestedAuthnContext"`
}

func readRedirect(t *testing.T, address string) (sent, url.Values) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return readRequest(t, text), u.Query()
}

func readRequest(t *testing.T, text []byte) sent {
	t.Helper()
	var r struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol AuthnRequest"`
		sent
	}
	if err := xml.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r.sent
}

func post(document string) idp.Answer {
	return idp.Answer{Method: "POST", Form: url.Values{"SAMLResponse": {document}, "RelayState": {"handle"}}}
}

func TestSignInFromBeginToLogin(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, nil)
	to, pending, err := p.Begin(t.Context(), idp.Want{Handle: "handle/+ 1"})
	if err != nil {
		t.Fatal(err)
	}
	request, query := readRedirect(t, to.URL)
	want := sent{
		ID: request.ID, Version: "2.0", Destination: i.SSO, IssueInstant: "2026-11-24T10:00:00Z",
		ACS: acsURL, Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", Issuer: entityID,
	}
	if diff := cmp.Diff(want, request); diff != "" || len(request.ID) != 41 {
		t.Errorf("the request %s", diff)
	}
	if got := query.Get("RelayState"); got != "handle/+ 1" {
		t.Errorf("RelayState %q", got)
	}
	answer := good()
	answer.RequestID, answer.ID = request.ID, "_assertion-1"
	login, err := p.Finish(t.Context(), pending, post(i.Post(answer)))
	if err != nil {
		t.Fatal(err)
	}
	persistent := "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	if diff := cmp.Diff(idp.Login{
		Identity: idp.Identity{
			Provider: "corp", Subject: "alice", Username: "alice",
			Groups:          []string{"platform", "developers"},
			Attributes:      map[string][]string{"groups": {"platform", "developers"}, "mail": {"alice@example.com"}},
			Methods:         []string{"pwd"},
			AuthenticatedAt: moment,
		},
		Once:     idp.Once{Key: "assertion:_assertion-1", Until: moment.Add(6 * time.Minute)},
		Upstream: idp.Upstream{NameID: "alice", NameIDFormat: persistent, SessionIndex: "_s1"},
		IssuedAt: moment,
	}, login, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }), cmp.AllowUnexported()); diff != "" {
		t.Error(diff)
	}
	if _, err := p.Finish(t.Context(), []byte(`{"id":"_another"}`), post(i.Post(answer))); reasonOf(err) != "in-response-to" {
		t.Errorf("an answer to another request: %v", err)
	}
}

func reasonOf(err error) string {
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return rejected.Reason
	}
	return ""
}
