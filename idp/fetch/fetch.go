// Package fetch is the one outbound HTTP client to identity providers, and it is
// bounded: 5 s and 1 MB a request, https only, no redirects, no proxy from the
// environment, and no address that is not public, judged at dial time on the
// resolved address, so that a name cannot be rebound between check and use.
//
// AllowPrivate is for providers inside the house: it opens loopback, private and
// carrier-grade NAT addresses, and plain http on loopback only. Link-local and
// cloud metadata addresses stay shut.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Defaults of Config.
const (
	DefaultTimeout  = 5 * time.Second
	DefaultMaxBytes = 1 << 20
)

// ErrTooLarge says that an answer was longer than Config.MaxBytes.
var ErrTooLarge = errors.New("answer is too large")

// Config bounds a Client. The zero value is the strictest.
type Config struct {
	// Proxy is the URL of an HTTP proxy; empty is none. Names are then resolved by
	// the proxy, and only addresses written in a URL are judged here.
	Proxy string
	// CAFiles are PEM files of authorities trusted beside the system's.
	CAFiles []string
	// AllowPrivate opens loopback and private addresses, and http on loopback.
	AllowPrivate bool
	// Timeout bounds one request, its body included. Default DefaultTimeout.
	Timeout time.Duration
	// MaxBytes bounds a body after decompression. Default DefaultMaxBytes.
	MaxBytes int64
	// Observe hears of every request: what For said that it is for, and its status, 0
	// where there was no answer. nil is nobody.
	Observe func(what string, status int)
}

type whatKey struct{}

// For says what the requests under a context are for, in one word for Config.Observe.
func For(ctx context.Context, what string) context.Context {
	return context.WithValue(ctx, whatKey{}, what)
}

// Client fetches documents of identity providers.
type Client struct {
	http *http.Client
}

// StatusError is an answer other than 200.
type StatusError struct{ Code int }

// Error names the status and nothing of the body.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the answer is HTTP status %d", e.Code)
}

// New makes a Client. It reads the CA files and opens no connection.
func New(c Config) (*Client, error) {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	roots, err := authorities(c.CAFiles)
	if err != nil {
		return nil, err
	}
	guard := &guard{private: c.AllowPrivate, max: c.MaxBytes, observe: c.Observe}
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 15 * time.Second}
	transport := &http.Transport{
		DialContext:            guard.dial(dialer),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    c.Timeout,
		ResponseHeaderTimeout:  c.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
	}
	if c.Proxy != "" {
		if err := guard.useProxy(transport, dialer, c.Proxy); err != nil {
			return nil, err
		}
	}
	guard.next = transport
	return &Client{http: &http.Client{
		Transport:     guard,
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// HTTPClient gives the bounded client itself, for libraries that bring their own
// requests. It does not follow redirects.
func (c *Client) HTTPClient() *http.Client { return c.http }

// Get fetches a document. An answer other than 200 is a *StatusError; a body over
// the bound is ErrTooLarge. No error holds the query or anything of the body.
func (c *Client) Get(ctx context.Context, address string) (body []byte, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, errors.New("fetch: the address is not a URL")
	}
	shown := req.URL.Scheme + "://" + req.URL.Host + req.URL.EscapedPath()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch %s: %w", shown, bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("fetch %s: %w", shown, &StatusError{Code: resp.StatusCode})
	}
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch %s: %w", shown, bare(err))
	}
	return body, resp.Header, nil
}

// bare takes the URL, query included, off an error of net/http.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		if wrapped.Timeout() {
			return fmt.Errorf("no answer in time: %w", wrapped.Err)
		}
		return wrapped.Err
	}
	return err
}

// guard is the transport that judges URLs, addresses and sizes.
type guard struct {
	private bool
	max     int64
	next    http.RoundTripper
	observe func(what string, status int)
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.roundTrip(req)
	if g.observe != nil {
		what, _ := req.Context().Value(whatKey{}).(string)
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		g.observe(what, status)
	}
	return resp, err
}

func (g *guard) roundTrip(req *http.Request) (*http.Response, error) {
	if err := g.judge(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > g.max {
		resp.Body.Close()
		return nil, ErrTooLarge
	}
	resp.Body = &bounded{body: resp.Body, left: g.max}
	return resp, nil
}

// judge refuses a URL before anything is resolved.
func (g *guard) judge(u *url.URL) error {
	if u.User != nil {
		return errors.New("a user name in the URL is not allowed")
	}
	host := u.Hostname()
	switch {
	case host == "":
		return errors.New("the URL has no host")
	case u.Scheme == "https":
	case u.Scheme == "http" && g.private && isLoopbackName(host):
	case u.Scheme == "http" && isLoopbackName(host):
		return errors.New("plain http needs allow_private")
	case u.Scheme == "http":
		return errors.New("plain http is allowed on a loopback address only; use https")
	default:
		return fmt.Errorf("scheme %q is not allowed; use https", u.Scheme)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return judgeAddr(addr, g.private)
	}
	return nil
}

// dial makes the dial function whose Control hook sees each resolved address.
func (g *guard) dial(base *net.Dialer) func(context.Context, string, string) (net.Conn, error) {
	open, local := *base, *base
	open.Control = func(_, address string, _ syscall.RawConn) error {
		addr, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("address %s: %w", address, err)
		}
		return judgeAddr(addr.Addr(), g.private)
	}
	local.Control = func(_, address string, _ syscall.RawConn) error {
		addr, err := netip.ParseAddrPort(address)
		if err != nil || !addr.Addr().Unmap().IsLoopback() || !g.private {
			return fmt.Errorf("address %s is not allowed for a loopback name", address)
		}
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err == nil && isLoopbackName(host) {
			return local.DialContext(ctx, network, address)
		}
		return open.DialContext(ctx, network, address)
	}
}

// useProxy sends everything but allowed loopback through a proxy, whose own
// address is the operator's word and is not judged.
func (g *guard) useProxy(t *http.Transport, base *net.Dialer, text string) error {
	proxy, err := url.Parse(text)
	if err != nil || proxy.Host == "" || (proxy.Scheme != "http" && proxy.Scheme != "https") {
		return errors.New("fetch: the proxy is not an http or https URL")
	}
	at := proxy.Host
	if proxy.Port() == "" {
		at = net.JoinHostPort(proxy.Hostname(), map[string]string{"http": "80", "https": "443"}[proxy.Scheme])
	}
	judged, direct := t.DialContext, *base
	t.Proxy = func(req *http.Request) (*url.URL, error) {
		if isLoopbackName(req.URL.Hostname()) {
			return nil, nil
		}
		return proxy, nil
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == at {
			return direct.DialContext(ctx, network, address)
		}
		return judged(ctx, network, address)
	}
	return nil
}

// bounded is a body that fails beyond its limit instead of ending early.
type bounded struct {
	body io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n + int(b.left), ErrTooLarge
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }

// authorities is the system's pool with the files added; nil without files.
func authorities(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, name := range files {
		pem, err := ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authorities: %s holds no PEM certificate", name)
		}
	}
	return pool, nil
}
