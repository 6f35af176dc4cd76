package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
)

// discoveryLife is how long a configuration document is used before it is read again.
const discoveryLife = time.Hour

// metadata is what we need of a provider's configuration document.
type metadata struct {
	authorize, token, userinfo, jwks string
	// push takes authorization requests (RFC 9126), endSession people who sign out;
	// both may be missing.
	push, endSession string
	pushRequired     bool
	// authMethods are the ways in which a client may prove itself, authAlgorithms
	// those of private_key_jwt; nil is not said.
	authMethods, authAlgorithms []string
	// issuerParam says that answers carry iss (RFC 9207).
	issuerParam bool
	// fetched is when the document came.
	fetched time.Time
}

// discoverer fetches the configuration document when it is first needed.
type discoverer struct {
	issuer  string // whose document it must be
	at      string // where it is, without the well-known path
	private bool   // plain http on loopback is allowed
	fetch   *fetch.Client
	now     func() time.Time
	log     *slog.Logger
	flight  singleflight.Group

	mu      sync.Mutex
	last    *metadata
	retry   time.Time // no fetch before this, after a failure
	failure error     // of the last fetch
}

// get gives the document. One that is old serves while a new one is fetched, and
// through an outage: nobody waits for it. Only the first is waited for.
func (d *discoverer) get(ctx context.Context) (*metadata, error) {
	d.mu.Lock()
	now, last, retry, failure := d.now(), d.last, d.retry, d.failure
	d.mu.Unlock()
	usable := last != nil && now.Before(last.fetched.Add(outageLimit))
	switch {
	case usable && now.Before(last.fetched.Add(discoveryLife)):
		return last, nil
	case now.Before(retry) && !usable:
		return nil, failure
	case now.Before(retry):
		return last, nil
	}
	done := d.start(ctx)
	if usable {
		return last, nil
	}
	return wait(ctx, done)
}

// again reads the document anew, and waits for it.
func (d *discoverer) again(ctx context.Context) error {
	_, err := wait(ctx, d.start(ctx))
	return err
}

// start lets one fetch run for all who wait; it outlives the request that began it.
func (d *discoverer) start(ctx context.Context) <-chan singleflight.Result {
	return d.flight.DoChan("", func() (any, error) { return d.load(context.WithoutCancel(ctx)) })
}

func wait(ctx context.Context, done <-chan singleflight.Result) (*metadata, error) {
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("discovery: %w: %w", idp.ErrUnavailable, ctx.Err())
	case result := <-done:
		m, _ := result.Val.(*metadata)
		return m, result.Err
	}
}

func (d *discoverer) load(ctx context.Context) (*metadata, error) {
	m, err := d.ask(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if err != nil {
		d.log.WarnContext(ctx, "oidc: the provider's discovery document cannot be used", "error", err)
		d.failure, d.retry = err, now.Add(retryPause)
		return nil, err
	}
	m.fetched = now
	d.last, d.failure, d.retry = m, nil, time.Time{}
	return m, nil
}

func (d *discoverer) ask(ctx context.Context) (*metadata, error) {
	body, _, err := d.fetch.Get(fetch.For(ctx, "discovery"), strings.TrimSuffix(d.at, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("discovery: %w: %w", idp.ErrUnavailable, err)
	}
	m, err := d.read(body)
	if err != nil {
		return nil, fmt.Errorf("discovery of %s: %w: %w", d.issuer, idp.ErrUnavailable, err)
	}
	return m, nil
}

// read judges a document: it must be the configured issuer's own.
func (d *discoverer) read(body []byte) (*metadata, error) {
	doc, err := readObject(body)
	if err != nil {
		return nil, err
	}
	if issuer, _ := doc.get("issuer"); issuer.kind != kindText || issuer.text != d.issuer {
		return nil, fmt.Errorf("the document is that of issuer %.128q", issuer.text)
	}
	m := &metadata{}
	for _, endpoint := range []struct {
		name     string
		required bool
		into     *string
	}{
		{"authorization_endpoint", true, &m.authorize}, {"token_endpoint", true, &m.token},
		{"jwks_uri", true, &m.jwks}, {"userinfo_endpoint", false, &m.userinfo},
		{"pushed_authorization_request_endpoint", false, &m.push}, {"end_session_endpoint", false, &m.endSession},
	} {
		v, there := doc.get(endpoint.name)
		if !there && !endpoint.required {
			continue
		}
		if err := judgeURL(v.text, d.private); err != nil {
			return nil, fmt.Errorf("%s %w", endpoint.name, err)
		}
		*endpoint.into = v.text
	}
	m.authMethods = doc.texts("token_endpoint_auth_methods_supported")
	m.authAlgorithms = doc.texts("token_endpoint_auth_signing_alg_values_supported")
	m.issuerParam = doc.says("authorization_response_iss_parameter_supported")
	m.pushRequired = doc.says("require_pushed_authorization_requests")
	return m, nil
}

// says reports whether a member is there and true.
func (o object) says(name string) bool {
	v, _ := o.get(name)
	return v.kind == kindBool && v.text == "true"
}

// texts lists the texts of a member; nil where it is not there.
func (o object) texts(name string) []string {
	v, there := o.get(name)
	if !there || v.kind != kindList {
		return nil
	}
	list := []string{}
	for _, item := range v.list() {
		if item.kind == kindText {
			list = append(list, item.text)
		}
	}
	return list
}

// jwks fetches the key set from where the document says.
func (d *discoverer) jwks(ctx context.Context) ([]byte, http.Header, error) {
	m, err := d.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	return d.fetch.Get(fetch.For(ctx, "keys"), m.jwks)
}

// judgeURL accepts an absolute https URL, and http on loopback where allowed.
// Addresses are judged when they are dialled.
func judgeURL(text string, private bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.Contains(text, "#"):
		return errors.New("is not an absolute URL without user and fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && private && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return errors.New("is plain http; allow_private would allow that on loopback")
	}
	return errors.New("must use https")
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
