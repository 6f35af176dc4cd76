package idptest

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// SAMLLogout is a LogoutRequest, or with RequestID the LogoutResponse to one. The
// zero value of a field is what a good provider would say.
type SAMLLogout struct {
	ID, RequestID string
	Destination   string
	At            time.Time
	NameID        string // default "alice"
	Sessions      []string
	Status        string // default success

	// Unsigned leaves the XML signature out, as in a query.
	Unsigned bool
	Key      SAMLKey // default the provider's first
	Signing  SAMLSigning
	// Before edits what is signed, After what was.
	Before, After func(message *etree.Element)
}

func (i *SAMLIdP) logoutServices() string {
	if i.SLO == "" {
		return ""
	}
	return `<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="` + i.SLO + `" ResponseLocation="` + i.SLO + `/done"/>` +
		`<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + i.SLO + `"/>`
}

// Logout makes and signs a message of a logout.
func (i *SAMLIdP) Logout(l SAMLLogout) []byte {
	i.t.Helper()
	if l.ID == "" {
		l.ID = "_l" + rand.Text()
	}
	if l.NameID == "" {
		l.NameID = "alice"
	}
	if l.Status == "" {
		l.Status = "urn:oasis:names:tc:SAML:2.0:status:Success"
	}
	if l.Key.Signer == nil {
		l.Key = i.Keys[0]
	}
	stamp := func(d time.Duration) string { return l.At.Add(d).UTC().Format("2006-01-02T15:04:05Z") }
	tag, more := "LogoutRequest", ` NotOnOrAfter="`+stamp(5*time.Minute)+`"`
	body := `<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">` + escape(l.NameID) + `</saml:NameID>`
	for _, index := range l.Sessions {
		body += `<samlp:SessionIndex>` + escape(index) + `</samlp:SessionIndex>`
	}
	if l.RequestID != "" {
		tag, more = "LogoutResponse", ` InResponseTo="`+escape(l.RequestID)+`"`
		body = `<samlp:Status><samlp:StatusCode Value="` + escape(l.Status) + `"/></samlp:Status>`
	}
	message := i.parse(`<samlp:` + tag + ` xmlns:samlp="` + samlProtocol + `" xmlns:saml="` + samlAssertion + `" ID="` + escape(l.ID) + `" Version="2.0" IssueInstant="` + stamp(0) +
		`" Destination="` + escape(l.Destination) + `"` + more + `><saml:Issuer>` + escape(i.EntityID) + `</saml:Issuer>` + body + `</samlp:` + tag + `>`)
	if l.Before != nil {
		l.Before(message)
	}
	if !l.Unsigned {
		i.Sign(message, l.Key, l.Signing)
	}
	if l.After != nil {
		l.After(message)
	}
	return i.write(message)
}

// Query is the HTTP-Redirect binding of a message: parameter is SAMLRequest or
// SAMLResponse. hash is that of the RSA signature.
func (i *SAMLIdP) Query(parameter string, document []byte, relay string, key SAMLKey, hash crypto.Hash) string {
	i.t.Helper()
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(document)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		i.t.Fatalf("idptest: deflate: %v", err)
	}
	query := parameter + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relay != "" {
		query += "&RelayState=" + strings.NewReplacer("%2F", "%2f", "%2B", "%2b").Replace(url.QueryEscape(relay)) // as some providers do
	}
	if key.Signer == nil {
		key = i.Keys[0]
	}
	query += "&SigAlg=" + url.QueryEscape(SAMLSigning{Hash: hash}.method(key))
	value := i.value(key, []byte(query), SAMLSigning{Hash: hash})
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(value))
}
