package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
)

// discoveryLife is how long a configuration document is used before it is read again.
const discoveryLife = time.Hour

// metadata is what we need of a provider's configuration document.
type metadata struct {
	authorize, token, userinfo, jwks string
	// style is how the client authenticates at the token endpoint.
	style oauth2.AuthStyle
	// issuerParam says that answers carry iss (RFC 9207).
	issuerParam bool
	// fetched is when the document came.
	fetched time.Time
}

// discoverer fetches the configuration document when it is first needed. What
// went wrong is not kept: the next request tries again.
type discoverer struct {
	issuer  string // whose document it must be
	at      string // where it is, without the well-known path
	public  bool   // there is no client secret
	private bool   // plain http on loopback is allowed
	fetch   *fetch.Client
	now     func() time.Time
	flight  singleflight.Group

	mu     sync.Mutex
	last   *metadata
	failed error // of the last try, for Health alone
}

// get gives the document. An old one serves while a new one cannot be fetched.
func (d *discoverer) get(ctx context.Context) (*metadata, error) {
	d.mu.Lock()
	last := d.last
	d.mu.Unlock()
	if last != nil && d.now().Sub(last.fetched) < discoveryLife {
		return last, nil
	}
	m, err := d.fresh(ctx)
	if err != nil && last != nil && ctx.Err() == nil {
		return last, nil
	}
	return m, err
}

// again reads the document anew.
func (d *discoverer) again(ctx context.Context) error {
	_, err := d.fresh(ctx)
	return err
}

// fresh loads the document once for all who wait.
func (d *discoverer) fresh(ctx context.Context) (*metadata, error) {
	done := d.flight.DoChan("", func() (any, error) {
		m, err := d.load(context.WithoutCancel(ctx))
		d.mu.Lock()
		defer d.mu.Unlock()
		d.failed = err
		return m, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("discovery: %w: %w", idp.ErrUnavailable, ctx.Err())
	case result := <-done:
		m, _ := result.Val.(*metadata)
		return m, result.Err
	}
}

func (d *discoverer) load(ctx context.Context) (*metadata, error) {
	body, _, err := d.fetch.Get(ctx, strings.TrimSuffix(d.at, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("discovery: %w: %w", idp.ErrUnavailable, err)
	}
	m, err := d.read(body)
	if err != nil {
		return nil, fmt.Errorf("discovery of %s: %w: %w", d.issuer, idp.ErrUnavailable, err)
	}
	m.fetched = d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = m
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
	m := &metadata{style: oauth2.AuthStyleInHeader}
	for _, endpoint := range []struct {
		name     string
		required bool
		into     *string
	}{
		{"authorization_endpoint", true, &m.authorize}, {"token_endpoint", true, &m.token},
		{"jwks_uri", true, &m.jwks}, {"userinfo_endpoint", false, &m.userinfo},
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
	methods, there := doc.get("token_endpoint_auth_methods_supported")
	basic := !there || slices.ContainsFunc(methods.list(), func(v value) bool { return v.text == "client_secret_basic" })
	if d.public || !basic {
		m.style = oauth2.AuthStyleInParams
	}
	param, _ := doc.get("authorization_response_iss_parameter_supported")
	m.issuerParam = param.kind == kindBool && param.text == "true"
	return m, nil
}

// jwks fetches the key set from where the document says.
func (d *discoverer) jwks(ctx context.Context) ([]byte, http.Header, error) {
	m, err := d.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	return d.fetch.Get(ctx, m.jwks)
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
