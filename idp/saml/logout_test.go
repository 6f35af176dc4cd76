package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

const sloURL = "https://sso.example.com/saml/corp/slo"

// leavingProvider is a provider that takes logouts, and its other side.
func leavingProvider(t testing.TB, edit func(*saml.Config)) (*saml.Provider, *idptest.SAMLIdP) {
	t.Helper()
	i := idptest.NewSAMLIdP(t)
	i.SLO = "https://idp.example.com/slo"
	return provider(t, i, func(c *saml.Config) {
		c.Keys = []crypto.Signer{idptest.NewSAMLKey(t, nil).Signer}
		if edit != nil {
			edit(c)
		}
	}), i
}

// asked is a good LogoutRequest, answered one a good LogoutResponse to _ours.
func asked() idptest.SAMLLogout {
	return idptest.SAMLLogout{Destination: sloURL, At: moment, Sessions: []string{"_s1"}}
}

func answered(to string) idptest.SAMLLogout {
	return idptest.SAMLLogout{Destination: sloURL, At: moment, RequestID: to}
}

func byQuery(raw string) idp.Answer {
	query, _ := url.ParseQuery(raw)
	return idp.Answer{Method: http.MethodGet, Query: query, RawQuery: raw}
}

func byForm(parameter string, document []byte, relay string) idp.Answer {
	form := url.Values{parameter: {encode(document)}}
	if relay != "" {
		form.Set("RelayState", relay)
	}
	return idp.Answer{Method: http.MethodPost, Form: form}
}

func unsignedXML(l idptest.SAMLLogout) idptest.SAMLLogout {
	l.Unsigned = true
	return l
}

func TestAProviderSaysThatSomebodyLeaves(t *testing.T) {
	t.Parallel()
	p, i := leavingProvider(t, nil)
	everywhere := asked()
	everywhere.Sessions = nil
	for name, test := range map[string]struct {
		answer   idp.Answer
		sessions []string
	}{
		"by a query":                     {byQuery(i.Query("SAMLRequest", i.Logout(unsignedXML(asked())), "", idptest.SAMLKey{}, crypto.SHA256)), []string{"_s1"}},
		"by a query with a relay state":  {byQuery(i.Query("SAMLRequest", i.Logout(unsignedXML(asked())), "a/b+c", idptest.SAMLKey{}, crypto.SHA512)), []string{"_s1"}},
		"with other parameters beside":   {byQuery("x=1&" + i.Query("SAMLRequest", i.Logout(unsignedXML(asked())), "", idptest.SAMLKey{}, crypto.SHA256) + "&y=2"), []string{"_s1"}},
		"by a form":                      {byForm("SAMLRequest", i.Logout(asked()), "r"), []string{"_s1"}},
		"out of all sessions, by a form": {byForm("SAMLRequest", i.Logout(everywhere), ""), nil},
	} {
		d, err := p.Departed(t.Context(), test.answer)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.NameID != "alice" || !cmp.Equal(d.Sessions, test.sessions) || !strings.HasPrefix(d.Once.Key, "logout:_l") || !d.Once.Until.After(moment.Add(5*time.Minute)) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestTheAnswerToADepartureIsSignedAndGoesToItsOwnAddress(t *testing.T) {
	t.Parallel()
	p, i := leavingProvider(t, nil)
	request := unsignedXML(asked())
	request.ID = "_theirs"
	d, err := p.Departed(t.Context(), byQuery(i.Query("SAMLRequest", i.Logout(request), "their state", idptest.SAMLKey{}, crypto.SHA256)))
	if err != nil {
		t.Fatal(err)
	}
	to, err := p.LeaveDeparture(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	u, query := sentTo(t, to)
	document := inflated(t, query.Get("SAMLResponse"))
	if u != i.SLO+"/done" || query.Get("RelayState") != "their state" {
		t.Errorf("sent to %s with %q", u, query.Get("RelayState"))
	}
	verifyOurQuery(t, to.URL, "SAMLResponse")
	d.Failed = true
	failed, err := p.LeaveDeparture(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if _, query := sentTo(t, failed); !strings.Contains(inflated(t, query.Get("SAMLResponse")), `:status:Responder"`) || strings.Contains(inflated(t, query.Get("SAMLResponse")), "Success") {
		t.Errorf("what could not be ended is answered %s", inflated(t, query.Get("SAMLResponse")))
	}
	for _, part := range []string{`InResponseTo="_theirs"`, `Destination="` + i.SLO + `/done"`, ">" + entityID + "<", "status:Success"} {
		if !strings.Contains(document, part) {
			t.Errorf("the answer does not hold %s: %s", part, document)
		}
	}
}

func TestAForgedLogoutEndsNothing(t *testing.T) {
	t.Parallel()
	_, i := leavingProvider(t, nil)
	evil, weak := rsaKey(t, 2048), rsaKey(t, 1024)
	i.Keys = append(i.Keys, weak)
	p := provider(t, i, func(c *saml.Config) { c.Keys = []crypto.Signer{idptest.NewSAMLKey(t, nil).Signer} })
	bare := i.Logout(unsignedXML(asked()))
	query := func(document []byte, key idptest.SAMLKey, hash crypto.Hash) string {
		return i.Query("SAMLRequest", document, "state", key, hash)
	}
	fine := query(bare, idptest.SAMLKey{}, crypto.SHA256)
	sig := func(raw string) string { _, s, _ := strings.Cut(raw, "&Signature="); return s }
	edit := func(f func(*idptest.SAMLLogout)) []byte {
		l := asked()
		f(&l)
		return i.Logout(l)
	}
	other := unsignedXML(asked())
	other.NameID = "admin"
	type attack struct {
		answer idp.Answer
		reason string
	}
	for name, a := range map[string]attack{
		"no signature in the query":          {byQuery(strings.Split(fine, "&SigAlg=")[0]), "unsigned"},
		"an empty signature":                 {byQuery(strings.ReplaceAll(fine, sig(fine), "")), "unsigned"},
		"the signature of another message":   {byQuery(strings.ReplaceAll(query(i.Logout(other), idptest.SAMLKey{}, crypto.SHA256), "&Signature=", "&x=") + "&Signature=" + sig(fine)), "signature"},
		"another relay state":                {byQuery(strings.Replace(fine, "RelayState=state", "RelayState=other", 1)), "signature"},
		"no relay state":                     {byQuery(strings.Replace(fine, "&RelayState=state", "", 1)), "signature"},
		"a parameter twice":                  {byQuery(fine + "&SAMLRequest=x"), "binding"},
		"a parameter twice, spelled oddly":   {byQuery(fine + "&SAML%52equest=x"), "binding"},
		"request and response at once":       {byQuery(fine + "&SAMLResponse=x"), "binding"},
		"signed by a stranger":               {byQuery(query(bare, evil, crypto.SHA256)), "signature"},
		"signed with SHA-1":                  {byQuery(query(bare, idptest.SAMLKey{}, crypto.SHA1)), "sha1"},
		"signed with a short key":            {byQuery(query(bare, weak, crypto.SHA256)), "rsa-1024"},
		"an algorithm of our own choice":     {byQuery(strings.Replace(fine, "rsa-sha256", "hmac-sha256", 1)), "algorithm"},
		"an XML signature inside a query":    {byQuery(query(i.Logout(asked()), idptest.SAMLKey{}, crypto.SHA256)), "signature-placement"},
		"another encoding":                   {byQuery(fine + "&SAMLEncoding=urn:x"), "binding"},
		"a bomb":                             {byQuery(query([]byte(strings.Repeat("x", 1<<20)), idptest.SAMLKey{}, crypto.SHA256)), "too-large"},
		"not deflated":                       {byQuery(signedRaw(t, i, encode(bare))), "binding"},
		"a form without a signature":         {byForm("SAMLRequest", bare, ""), "unsigned"},
		"a form changed after it was signed": {byForm("SAMLRequest", change(t, i.Logout(asked()), ">alice<", ">admin<"), ""), "digest"},
		"a form signed by a stranger":        {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Key = evil }), ""), "signature"},
		"a form signed with SHA-1":           {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Signing.Hash = crypto.SHA1 }), ""), "sha1"},
		"a form with SAMLRequest in its URL": {idp.Answer{Method: http.MethodPost, Form: url.Values{"SAMLRequest": {"x"}}, Query: url.Values{"SAMLRequest": {"y"}}}, "binding"},
		"wrapped in another request":         {byForm("SAMLRequest", wrapped(t, i.Logout(asked())), ""), "unsigned"},
		"another issuer": {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) {
			l.Before = func(m *etree.Element) { at(m, "Issuer").SetText("https://evil.example.com") }
		}), ""), "issuer"},
		"for another service":                 {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Destination = "https://other.example.com/slo" }), ""), "destination"},
		"for nobody in particular":            {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = unset("Destination") }), ""), "destination"},
		"of yesterday":                        {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.At = moment.AddDate(0, 0, -1) }), ""), "expired"},
		"of tomorrow":                         {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.At = moment.AddDate(0, 0, 1) }), ""), "not-yet-valid"},
		"over since an hour":                  {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = set("", "NotOnOrAfter", "2026-11-24T09:00:00Z") }), ""), "expired"},
		"without an ID":                       {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Unsigned, l.Before = true, unset("ID") }), ""), "unsigned"},
		"without a name":                      {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = remove("NameID") }), ""), "subject"},
		"with two names":                      {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = twice("NameID") }), ""), "structure"},
		"with an element in the name":         {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = func(m *etree.Element) { at(m, "NameID").CreateElement("x") } }), ""), "subject"},
		"a Response where a request belongs":  {byForm("SAMLRequest", i.Response(good()), ""), "unsigned"},
		"a LogoutResponse for a request":      {byForm("SAMLRequest", i.Logout(answered("_x")), ""), "structure"},
		"by PUT":                              {idp.Answer{Method: http.MethodPut}, "binding"},
		"nothing":                             {byQuery(""), "binding"},
		"a DOCTYPE":                           {byForm("SAMLRequest", append([]byte("<!DOCTYPE x>"), i.Logout(asked())...), ""), "doctype"},
		"a relay state of two kilobytes":      {byForm("SAMLRequest", i.Logout(asked()), strings.Repeat("r", 2048)), "binding"},
		"two kinds of message in one form":    {idp.Answer{Method: http.MethodPost, Form: url.Values{"SAMLRequest": {encode(i.Logout(asked()))}, "SAMLResponse": {"x"}}}, "binding"},
		"an encrypted name without a key":     {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = func(m *etree.Element) { at(m, "NameID").Tag = "EncryptedID" } }), ""), "no-decryption-key"},
		"an element that has no place":        {byForm("SAMLRequest", edit(func(l *idptest.SAMLLogout) { l.Before = func(m *etree.Element) { m.CreateElement("saml:BaseID") } }), ""), "structure"},
		"an enormous query":                   {byQuery("SAMLRequest=" + strings.Repeat("A", 300<<10)), "too-large"},
		"a query that is not percent-encoded": {byQuery("SAMLRequest=%zz&SigAlg=x&Signature=y"), "binding"},
	} {
		d, err := p.Departed(t.Context(), a.answer)
		if reasonOf(err) != a.reason || d.NameID != "" {
			t.Errorf("%s: %v (%+v), want %s", name, err, d, a.reason)
		}
	}
}

// unset takes an attribute off the root.
func unset(name string) func(*etree.Element) {
	return func(m *etree.Element) { m.RemoveAttr(name) }
}

// twice copies a child behind itself.
func twice(path string) func(*etree.Element) {
	return func(m *etree.Element) { m.AddChild(at(m, path).Copy()) }
}

// sentTo splits the address that a browser is sent to.
func sentTo(t *testing.T, to idp.Redirect) (string, url.Values) {
	t.Helper()
	base, raw, _ := strings.Cut(to.URL, "?")
	query, err := url.ParseQuery(raw)
	if err != nil || to.Form != nil {
		t.Fatalf("%+v %v", to, err)
	}
	return base, query
}

func inflated(t *testing.T, value string) string {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// verifyOurQuery checks our signature as another implementation would.
func verifyOurQuery(t *testing.T, address, parameter string) {
	t.Helper()
	_, raw, _ := strings.Cut(address, "?")
	octets, signature, _ := strings.Cut(raw, "&Signature=")
	text, err := url.QueryUnescape(signature)
	if err != nil || !strings.HasPrefix(octets, parameter+"=") {
		t.Fatalf("%v in %s", err, raw)
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(octets))
	if err := rsa.VerifyPKCS1v15(idptest.NewSAMLKey(t, nil).Signer.Public().(*rsa.PublicKey), crypto.SHA256, sum[:], value); err != nil {
		t.Error(err)
	}
}

// wrapped puts a signed request below an unsigned one about somebody else.
func wrapped(t *testing.T, signed []byte) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(signed); err != nil {
		t.Fatal(err)
	}
	outer := doc.Root().Copy()
	outer.CreateAttr("ID", "_outer")
	at(outer, "NameID").SetText("admin")
	outer.RemoveChild(at(outer, "Signature"))
	outer.CreateElement("samlp:Extensions").AddChild(doc.Root().Copy())
	again := etree.NewDocument()
	again.SetRoot(outer)
	text, err := again.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signedRaw signs a query whose SAMLRequest is not deflated.
func signedRaw(t *testing.T, i *idptest.SAMLIdP, value string) string {
	t.Helper()
	query := "SAMLRequest=" + url.QueryEscape(value) + "&SigAlg=" + url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
	h := crypto.SHA256.New()
	h.Write([]byte(query))
	signature, err := i.Keys[0].Signer.Sign(nil, h.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
}
