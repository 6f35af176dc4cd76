package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// certificate makes a certificate of its own authority for one name.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// On https the provider is another site, and its form comes without SameSite=Lax
// cookies: a real browser brings the state cookie all the same.
func TestInChromiumAFormFromAnotherSiteBringsTheStateCookie(t *testing.T) {
	t.Parallel()
	const name = "sso.rolecall.test"
	port := freePort(t)
	issuer := "http://127.0.0.1:" + portText(port)
	d := configure(t, openIDProvider(issuer, "broker-es256", "ES256", withSecret, "response_mode: form_post"))
	address := strings.TrimPrefix(d.url, "http://")
	at := "https://" + name + address[strings.LastIndex(address, ":"):]
	cert, key := certificate(t, name)
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "  url: "+d.url, fmt.Sprintf("  url: %s\n  tls: {cert: %q, key: %q}", at, cert, key), 1)
	if err := os.WriteFile(d.file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	startPeerAt(t, port, "oidc-provider", "/.well-known/openid-configuration", "REDIRECTS="+at+"/oidc/broker-es256/callback")
	scripted.Start(t, d.command("serve", "--config", d.file))
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	until(t, quick, 30*time.Second, "rolecalld serve", func() bool {
		resp, err := client.Get("https://" + address + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})

	ctx := chromium(t, at, chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("host-resolver-rules", "MAP "+name+" 127.0.0.1"))
	err = chromedp.Do(ctx,
		chromedp.Navigate(at+"/oidc/broker-es256/login"),
		chromedp.WaitVisible(chromedp.CSS("input[type=password]")),
		chromedp.SendKeys(chromedp.CSS("input[name=username]"), "alice"),
		chromedp.SendKeys(chromedp.CSS("input[type=password]"), "alice-pw\r"),
		chromedp.WaitReady(chromedp.CSS(`form[action^="/logout"]`)))
	shown, _ := chromedp.Run(ctx, chromedp.Location())
	if err != nil || shown != at+"/" {
		body, _ := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("body")))
		t.Fatalf("%v: the browser is at %s\n%.1500s\n%s", err, shown, body, d.record(t))
	}
}
