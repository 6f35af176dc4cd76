package token_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/token"
	"github.com/rolecall/rolecall/broker/oauth"
)

// came is what the endpoint makes of requests: it answers every one.
type came struct {
	exchanges []broker.ExchangeRequest
	evidences []oauth.ExchangeRequest
	forms     []oauth.TokenRequest
}

func (c *came) Authorize(context.Context, broker.Origin, url.Values, *broker.Caller) (oauth.Next, error) {
	return oauth.Next{}, nil
}

func (c *came) Decide(context.Context, broker.Origin, url.Values, *broker.Caller, bool) (oauth.Next, error) {
	return oauth.Next{}, nil
}

func (c *came) Token(_ context.Context, _ broker.Origin, req oauth.TokenRequest) (oauth.Issued, error) {
	c.forms = append(c.forms, req)
	return oauth.Issued{}, nil
}

func (c *came) Revoke(_ context.Context, _ broker.Origin, req oauth.TokenRequest) error {
	c.forms = append(c.forms, req)
	return nil
}

func (c *came) Exchange(_ context.Context, _ broker.Origin, req oauth.ExchangeRequest) (oauth.Issued, error) {
	c.evidences = append(c.evidences, req)
	return oauth.Issued{}, nil
}

func (c *came) StartDevice(_ context.Context, _ broker.Origin, req oauth.TokenRequest) (oauth.DeviceStarted, error) {
	c.forms = append(c.forms, req)
	return oauth.DeviceStarted{}, nil
}

func (c *came) Introspect(_ context.Context, _ broker.Origin, req oauth.TokenRequest) (oauth.Introspection, error) {
	c.forms = append(c.forms, req)
	return oauth.Introspection{}, nil
}

// exchanger takes orders of credentials, beside the service of the same name.
type exchanger struct{ *came }

func (e exchanger) Exchange(_ context.Context, req broker.ExchangeRequest) (broker.Vended, error) {
	e.exchanges = append(e.exchanges, req)
	return broker.Vended{}, nil
}

const ourName = "https://sso.example.com"

// post sends octets to a path as a browser or program would.
func (c *came) post(t *testing.T, path, kind, body string) *httptest.ResponseRecorder {
	t.Helper()
	edge := endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "https", Host: "sso.example.com"}, Problems: pages{}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, token.Endpoint{Service: c, Extensions: c, Exchanger: exchanger{c}, Audiences: []string{ourName}, Pages: pages{}, Now: time.Now})
	r := httptest.NewRequest(http.MethodPost, ourName+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	edge.ServeHTTP(w, r)
	return w
}

// FuzzExchangeForm: whoever asks for less never gets more. What is passed on is what
// the form says, once and whole; what is not understood is refused.
func FuzzExchangeForm(f *testing.F) {
	const form = "application/x-www-form-urlencoded"
	base := "grant_type=" + url.QueryEscape(exchangeGrant) + "&subject_token=good&subject_token_type=" + url.QueryEscape(idTokenType)
	for _, more := range []string{
		"", "&requested_token_type=" + url.QueryEscape(credentialsType) + "&resource=production%2FAdmin&duration=900&policy=%7B%7D",
		"&actor_token=x", "&subject_token=again", "&audience=https%3A%2F%2Fsso.example.com", "&audience=https%3A%2F%2Fevil.example.com", "&resource=production%2FAdmin",
		"&subject_token_type=urn:ietf:params:oauth:token-type:saml2", "&policy=a&policy=b", ";subject_token=evil", "&subject_token%00=x", "&%", "&requested_token_type=x",
	} {
		f.Add(form, base+more)
	}
	f.Add("application/json", `{"grant_type":"`+exchangeGrant+`"}`)
	f.Add(form+"; charset=utf-7", base)
	f.Fuzz(func(t *testing.T, kind, body string) {
		c := &came{}
		w := c.post(t, "/oauth2/token", kind, body)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
		if len(c.exchanges)+len(c.evidences)+len(c.forms) > 1 {
			t.Fatalf("one request is %d", len(c.exchanges)+len(c.evidences)+len(c.forms))
		}
		sent, _ := url.ParseQuery(body)
		for _, got := range c.evidences {
			judgeEvidence(t, sent, got.Evidence)
			if sent.Get("resource")+sent.Get("duration")+sent.Get("policy") != "" {
				t.Errorf("a whole access token for a narrower wish: %q", body)
			}
		}
		for _, got := range c.exchanges {
			judgeEvidence(t, sent, got.Evidence)
			if got.Order != (broker.Order{Role: sent.Get("resource"), Duration: sent.Get("duration"), Policy: sent.Get("policy")}) || sent.Get("requested_token_type") != credentialsType {
				t.Errorf("ordered %+v for %q", got.Order, body)
			}
			for _, name := range []string{"resource", "duration", "policy"} {
				if len(sent[name]) > 1 {
					t.Errorf("one of several %s: %q", name, body)
				}
			}
		}
	})
}

func judgeEvidence(t *testing.T, sent url.Values, got broker.Evidence) {
	t.Helper()
	kind := sent.Get("subject_token_type")
	switch {
	case !slices.Equal(sent["subject_token"], []string{got.Token.Reveal()}), got.Token.IsZero():
		t.Errorf("evidence %q of %v", got.Token.Reveal(), sent)
	case got.SAML != strings.HasSuffix(kind, ":saml2"), strings.HasSuffix(kind, ":access_token"), strings.HasSuffix(kind, ":refresh_token"):
		t.Errorf("evidence of type %q is SAML: %t", kind, got.SAML)
	case sent.Has("actor_token"), sent.Get("audience") != "" && sent.Get("audience") != ourName:
		t.Errorf("accepted %v", sent)
	}
}

// FuzzPostedForms: the other endpoints take their parameters from a form in the body
// and nowhere else, and answer JSON, whatever is sent.
func FuzzPostedForms(f *testing.F) {
	paths := []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/device_authorization"}
	for i := range paths {
		for _, body := range []string{
			"client_id=rolecall-cli&token=rcr_x", "client_id=rolecall-cli&scope=openid", "token=a&token=b", "", "%zz", "=&=&&&", "grant_type=refresh_token&refresh_token=%00",
		} {
			f.Add(i, "application/x-www-form-urlencoded", body, "token=from-the-address")
		}
		f.Add(i, "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=token\r\n\r\na\r\n--x--", "")
	}
	f.Fuzz(func(t *testing.T, path int, kind, body, query string) {
		at := paths[uint(path)%uint(len(paths))] //nolint:gosec // any path will do
		c := &came{}
		if query = (&url.URL{Path: query}).EscapedPath(); query != "" {
			at += "?" + query
		}
		w := c.post(t, at, kind, body)
		if w.Code >= 500 || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
		sent, _ := url.ParseQuery(body)
		for _, got := range c.forms {
			if got.Form.Encode() != sent.Encode() {
				t.Errorf("the form %v of the body %q and the address %q", got.Form, body, at)
			}
		}
	})
}
