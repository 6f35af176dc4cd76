package social

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// Web is a corner of the internet on loopback: some hosts by their real names, with
// certificates of an authority of its own, behind a proxy that reaches nothing else.
// What is tested needs no switch for it but egress.proxy and ca_file.
type Web struct {
	// Proxy is the URL of an HTTP proxy that knows CONNECT.
	Proxy string
	// CAFile is the authority as PEM, TLSAddress the hosts' server itself.
	CAFile, TLSAddress string

	t     testing.TB
	hosts []string
	mu    sync.Mutex
	hits  map[string]int
	serve map[string]http.HandlerFunc
	first http.Handler
}

// startWeb serves hosts by one handler, which sees them as Request.Host.
func startWeb(t testing.TB, handler http.Handler, hosts ...string) *Web {
	t.Helper()
	w := &Web{t: t, hosts: hosts, hits: map[string]int{}, serve: map[string]http.HandlerFunc{}, first: handler}
	certificate := w.authority()
	server := httptest.NewUnstartedServer(http.HandlerFunc(w.answer))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	w.TLSAddress = server.Listener.Addr().String()
	proxy := httptest.NewServer(http.HandlerFunc(w.connect))
	t.Cleanup(proxy.Close)
	w.Proxy = proxy.URL
	return w
}

// Serve takes over a path of a host, such as "api.github.com/user"; nil gives it back.
func (w *Web) Serve(path string, handler http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve[path] = handler
}

// Hits counts the requests for a path of a host.
func (w *Web) Hits(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hits[path]
}

// Client is a browser's way to the hosts: it trusts the authority, keeps no cookies
// and follows no redirect.
func (w *Web) Client() *http.Client {
	w.t.Helper()
	text, err := os.ReadFile(w.CAFile)
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	proxy, err := url.Parse(w.Proxy)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// visit is the browser and the person: it opens an authorization address and gives
// the parameters of the redirect that answers.
func (w *Web) visit(address string) url.Values {
	w.t.Helper()
	resp, err := w.Client().Get(address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		w.t.Fatalf("the authorization address answers %s and sends nowhere", resp.Status)
	}
	return to.Query()
}

func (w *Web) answer(rw http.ResponseWriter, r *http.Request) {
	at := r.Host + r.URL.Path
	w.mu.Lock()
	w.hits[at]++
	handler := w.serve[at]
	w.mu.Unlock()
	if handler != nil {
		handler(rw, r)
		return
	}
	w.first.ServeHTTP(rw, r)
}

// connect joins a client to the server, for the known hosts alone.
func (w *Web) connect(rw http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || err != nil || port != "443" || !slices.Contains(w.hosts, host) {
		w.t.Logf("the proxy was asked for %s %s", r.Method, r.Host)
		http.Error(rw, "no such host", http.StatusBadGateway)
		return
	}
	there, err := net.Dial("tcp", w.TLSAddress)
	if err != nil {
		http.Error(rw, "gone", http.StatusBadGateway)
		return
	}
	here, buffered, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = here.Close()
	}
	go pump(there, buffered.Reader, here)
	go pump(here, bufio.NewReader(there), there)
}

// pump copies one direction and ends both.
func pump(to net.Conn, from io.Reader, source net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = source.Close()
}

// authority writes CAFile and gives a certificate for the hosts.
func (w *Web) authority() tls.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rolecall test authority"}, DNSNames: w.hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.CAFile = filepath.Join(w.t.TempDir(), "authority.pem")
	if err := os.WriteFile(w.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
