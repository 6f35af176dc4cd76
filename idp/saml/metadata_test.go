package saml_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// edited is the provider's metadata with text replaced.
func edited(t *testing.T, i *idptest.SAMLIdP, pairs ...string) []byte {
	t.Helper()
	document := i.Metadata()
	for n := 0; n < len(pairs); n += 2 {
		document = change(t, document, pairs[n], pairs[n+1])
	}
	return document
}

func federation(entities ...[]byte) []byte {
	all := `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_all" validUntil="2026-12-01T00:00:00Z" cacheDuration="PT6H">`
	for n, e := range entities {
		all += strings.Replace(string(e), `ID="_metadata"`, `ID="_m`+string(rune('a'+n))+`"`, 1)
	}
	return []byte(all + `</md:EntitiesDescriptor>`)
}

func TestMetadataIsRead(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	i.Keys = append(i.Keys, rsaKey(t, 2048))
	other := edited(t, i, i.EntityID, "https://other.example.com")
	sp := []byte(`<md:EntityDescriptor ID="_metadata" entityID="https://sp.example.com"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>`)
	tests := map[string]struct {
		document []byte
		entityID string
		until    time.Time
		cache    time.Duration
	}{
		"one entity":                        {document: i.Metadata()},
		"one entity by its name":            {document: i.Metadata(), entityID: i.EntityID},
		"validUntil and cacheDuration":      {document: edited(t, i, `ID="_metadata"`, `validUntil="2026-12-02T00:00:00Z" cacheDuration="P1DT2H3M4.5S"`), until: moment.AddDate(0, 0, 8).Add(-10 * time.Hour), cache: 26*time.Hour + 3*time.Minute + 4*time.Second},
		"a validUntil of the role":          {document: edited(t, i, `<md:IDPSSODescriptor `, `<md:IDPSSODescriptor validUntil="2026-11-25T00:00:00Z" `), until: moment.Add(14 * time.Hour)},
		"keys for anything":                 {document: edited(t, i, ` use="signing"`, ``)},
		"the only provider of a federation": {document: federation(sp, i.Metadata()), until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), cache: 6 * time.Hour},
		"one of a federation by its name":   {document: federation(other, i.Metadata(), sp), entityID: i.EntityID, until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), cache: 6 * time.Hour},
		"an XML declaration and comments":   {document: append([]byte("<?xml version=\"1.0\"?>\n<!-- x -->\n"), i.Metadata()...)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := saml.ParseMetadata(test.document, test.entityID, nil, moment)
			if err != nil {
				t.Fatal(err)
			}
			if m.EntityID != i.EntityID || len(m.Certificates()) != 2 || !m.ValidUntil.Equal(test.until) || m.CacheDuration != test.cache {
				t.Errorf("%s, %d certificates, until %s, cached %s", m.EntityID, len(m.Certificates()), m.ValidUntil, m.CacheDuration)
			}
		})
	}
}

func TestMetadataIsRefused(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	other := edited(t, i, i.EntityID, "https://other.example.com")
	for name, test := range map[string]struct {
		document []byte
		entityID string
		says     string
	}{
		"no XML":                       {[]byte("404 page not found"), "", "malformed"},
		"a DOCTYPE":                    {append([]byte("<!DOCTYPE x>"), i.Metadata()...), "", "doctype"},
		"an HTML page":                 {[]byte("<html/>"), "", "no md:EntityDescriptor"},
		"another entity":               {i.Metadata(), "https://nobody.example.com", "entity_id"},
		"several without a choice":     {federation(i.Metadata(), other), "", "entity_id"},
		"one entity twice":             {federation(i.Metadata(), i.Metadata()), i.EntityID, "2 times"},
		"no identity provider":         {edited(t, i, "IDPSSODescriptor", "SPSSODescriptor"), "", "IDPSSODescriptor"},
		"SAML 1.1":                     {edited(t, i, `protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"`, `protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol"`), "", "IDPSSODescriptor"},
		"no entityID":                  {edited(t, i, i.EntityID, ""), "", "entityID"},
		"no signing key":               {edited(t, i, `use="signing"`, `use="encryption"`), "", "certificate"},
		"a certificate that is broken": {edited(t, i, "<ds:X509Certificate>", "<ds:X509Certificate>AAAA"), "", "certificate"},
		"a validUntil that is no time": {edited(t, i, `ID="_metadata"`, `validUntil="soon"`), "", "validUntil"},
		"a broken cacheDuration":       {edited(t, i, `ID="_metadata"`, `cacheDuration="1 day"`), "", "cacheDuration"},
		"an empty cacheDuration":       {edited(t, i, `ID="_metadata"`, `cacheDuration="PT"`), "", "cacheDuration"},
	} {
		if _, err := saml.ParseMetadata(test.document, test.entityID, nil, moment); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to speak of %s", name, err, test.says)
		}
	}
}

// sign signs the root, or the first entity, of metadata.
func sign(t *testing.T, i *idptest.SAMLIdP, document []byte, key idptest.SAMLKey, how idptest.SAMLSigning, tag string, after func(*etree.Element)) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(document); err != nil {
		t.Fatal(err)
	}
	target := doc.Root()
	if tag != "" {
		target = at(target, tag)
	}
	i.Sign(target, key, how)
	if after != nil {
		after(doc.Root())
	}
	text, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestThePinnedCertificateMustHaveSignedTheMetadata(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	pinned, stranger := rsaKey(t, 2048), rsaKey(t, 2048)
	evilKey := func(root *etree.Element) {
		insert(t, root.FindElement(".//IDPSSODescriptor"), 0, `<md:KeyDescriptor/>`)
	}
	all := federation(i.Metadata())
	for name, test := range map[string]struct {
		document []byte
		says     string
	}{
		"signed entity":                 {sign(t, i, i.Metadata(), pinned, idptest.SAMLSigning{}, "", nil), ""},
		"signed federation":             {sign(t, i, all, pinned, idptest.SAMLSigning{}, "", nil), ""},
		"signed entity in a federation": {sign(t, i, all, pinned, idptest.SAMLSigning{}, "EntityDescriptor", nil), ""},
		"unsigned":                      {i.Metadata(), "not signed"},
		"signed by another key":         {sign(t, i, i.Metadata(), stranger, idptest.SAMLSigning{KeyInfo: &stranger}, "", nil), "signature"},
		"changed after it was signed":   {sign(t, i, i.Metadata(), pinned, idptest.SAMLSigning{}, "", evilKey), "digest"},
		"signed with SHA-1":             {sign(t, i, i.Metadata(), pinned, idptest.SAMLSigning{Hash: 3}, "", nil), "sha1"},
		"the signature moved to an unsigned federation": {sign(t, i, all, pinned, idptest.SAMLSigning{}, "EntityDescriptor", func(root *etree.Element) {
			root.InsertChildAt(0, at(root, "EntityDescriptor/Signature"))
		}), "signature-reference"},
	} {
		m, err := saml.ParseMetadata(test.document, "", pinned.Certificate, moment)
		switch {
		case test.says == "" && (err != nil || m.EntityID != i.EntityID):
			t.Errorf("%s: %v", name, err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %v, want it to speak of %s", name, err, test.says)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	names, all := documents(f)
	for _, name := range names {
		f.Add(all[name])
	}
	f.Add(federation([]byte(`<md:EntityDescriptor ID="_metadata"/>`)))
	text, err := os.ReadFile(filepath.Join(corpus, "metadata", "idp.xml"))
	if err != nil {
		f.Fatal(err)
	}
	stranger := rsaKey(f, 2048).Certificate
	known, err := saml.ParseMetadata(text, "", nil, moment)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if m, err := saml.ParseMetadata(document, "", nil, moment); err == nil && (m.EntityID == "" || len(m.Certificates()) == 0) {
			t.Fatalf("accepted without name or key: %s", document)
		}
		for _, pinned := range []*x509.Certificate{stranger, known.Certificates()[0]} {
			if _, err := saml.ParseMetadata(document, "", pinned, moment); err == nil {
				t.Fatalf("accepted without the signature of the pinned certificate: %s", document)
			}
		}
	})
}
