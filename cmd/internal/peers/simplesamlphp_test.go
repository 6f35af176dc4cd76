package peers

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

const simpleSAMLphp = "simplesamlphp"

// samlIDP is a running SimpleSAMLphp.
type samlIDP struct{ peer }

func startSAML(t testing.TB) samlIDP {
	t.Helper()
	return samlIDP{startPeer(t, simpleSAMLphp, "/saml2/idp/metadata.php")}
}

func (p samlIDP) metadataURL() string { return p.url + "/saml2/idp/metadata.php" }

// provider is a section of the configuration for this identity provider; more
// are further lines.
func (p samlIDP) provider(name string, more ...string) string {
	text := "  - name: " + name + "\n    type: saml\n    metadata_url: " + p.metadataURL() + `
    allow_private: true
    groups: {attribute: groups}
    username: {attribute: uid}
    subject: {attribute: uid}
`
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

// meet gives the identity provider our metadata as it is.
func (p samlIDP) meet(t testing.TB, d daemon, providers ...string) {
	t.Helper()
	for _, name := range providers {
		if err := os.WriteFile(filepath.Join(p.state, "sp.d", name+".xml"), ourMetadata(t, d, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func ourMetadata(t testing.TB, d daemon, provider string) []byte {
	t.Helper()
	resp, err := http.Get(d.url + "/saml/" + provider + "/metadata")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	document, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/samlmetadata+xml" {
		t.Fatalf("our metadata: %d %s %v", resp.StatusCode, resp.Header.Get("Content-Type"), err)
	}
	return document
}

// stops checks that the provider complains of a signature and goes no further.
func (p samlIDP) stops(t testing.TB, b *scripted.Browser, what string) {
	t.Helper()
	if !strings.Contains(b.Page.Text, "Caused by") || !strings.Contains(strings.ToLower(b.Page.Text), "signature") {
		t.Errorf("%s: the provider does not complain of a signature: %d\n%.4000s", what, b.Page.Status, b.Page.Text)
	}
	for _, f := range b.Page.Forms() {
		if f.Password || f.Fields["SAMLResponse"] {
			t.Errorf("%s: the provider goes on at %s", what, b.Page.URL)
		}
	}
}

// set changes options of the hosted identity provider while it runs.
func (p samlIDP) set(t testing.TB, options map[string]any) {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(p.state, "switches.json"), text)
}

// replace writes a file that others read at any time.
func replace(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// newKey makes a key with a certificate, both in PEM.
func newKey(t testing.TB, name string) (key, cert []byte) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
