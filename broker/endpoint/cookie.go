package endpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config/secret"
)

// stateLife is how long a browser may take at its identity provider.
const stateLife = 10 * time.Minute

// Cookies names, reads and writes the two cookies of the broker. On https they
// carry the __Host- prefix (RFC 6265bis section 4.1.3.2); on loopback http they cannot.
type Cookies struct {
	// HTTPS is whether browsers reach the broker by https.
	HTTPS bool
}

func (c Cookies) name(base string) string {
	if c.HTTPS {
		return "__Host-" + base
	}
	return base
}

// Session is the session cookie's value, "" without one.
func (c Cookies) Session(r *http.Request) string { return value(r, c.name("rolecall_session")) }

// SetSession gives the browser a session until expires. SameSite is Lax: Strict
// would not be sent on the way back from an identity provider.
func (c Cookies) SetSession(w http.ResponseWriter, token secret.String, expires time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name("rolecall_session"), Value: token.Reveal(), Path: "/",
		Expires: expires, HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}

// entered is the request as if it had come with the session that it made, for a page
// that answers it: its forms carry the token of that session.
func (c Cookies) entered(r *http.Request, token secret.String) *http.Request {
	with := r.Clone(r.Context())
	with.Header.Del("Cookie")
	for _, cookie := range r.Cookies() {
		if cookie.Name != c.name("rolecall_session") {
			with.AddCookie(cookie)
		}
	}
	with.AddCookie(&http.Cookie{Name: c.name("rolecall_session"), Value: token.Reveal()})
	return with
}

// ClearSession makes the browser forget its session.
func (c Cookies) ClearSession(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name("rolecall_session"), Path: "/", MaxAge: -1,
		HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}

// State is the value that binds pending sign-ins to this browser, "" without one.
func (c Cookies) State(r *http.Request) string { return value(r, c.name("rolecall_state")) }

// SetState binds pending sign-ins to this browser. An identity provider answers
// by a cross-site POST, which carries SameSite=None cookies only; on loopback
// http, where None is impossible, Lax does because everything is one site.
func (c Cookies) SetState(w http.ResponseWriter, state string) {
	cookie := &http.Cookie{
		Name: c.name("rolecall_state"), Value: state, Path: "/",
		MaxAge: int(stateLife.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if c.HTTPS {
		cookie.Secure, cookie.SameSite = true, http.SameSiteNoneMode
	}
	http.SetCookie(w, cookie)
}

// value refuses a cookie that is there twice: somebody planted one of them.
func value(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 || len(found[0].Value) > 256 {
		return ""
	}
	return found[0].Value
}

// CSRF is the token that forms of this browser session carry in the field
// "csrf". It is derived from the session's secret, so that any node can check it.
func (c Cookies) CSRF(r *http.Request) string {
	session := c.Session(r)
	if session == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(session))
	mac.Write([]byte("rolecall csrf 1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// CheckCSRF refuses a POST that did not come from a page of ours.
func (c Cookies) CheckCSRF(r *http.Request) error {
	want := c.CSRF(r)
	if want != "" && SameSite(r) && hmac.Equal([]byte(want), []byte(r.PostFormValue("csrf"))) {
		return nil
	}
	return broker.Fail(broker.AccessDenied, "csrf",
		"This form has expired or came from another page. Go back, load the page again and repeat.")
}

// SameSite reports whether the browser says that the request comes from our own
// pages or from the address bar. Clients that are no browsers say nothing.
func SameSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return false
}
