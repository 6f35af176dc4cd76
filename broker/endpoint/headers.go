package endpoint

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// policy is the Content-Security-Policy of every answer. Nothing inline, nothing
// from elsewhere; forms go home or to the origins that the page names.
func policy(formActions ...string) string {
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"form-action " + strings.Join(append([]string{"'self'"}, formActions...), " ") +
		"; frame-ancestors 'none'; base-uri 'none'"
}

// AllowFormAction lets the forms of the page about to be written lead to the
// origins of targets as well, directly or by a redirect: browsers check
// form-action on redirects too, every hop of them. A host may begin with "*.". A
// scheme of an app, which has a dot, is allowed as a whole; any other target that is not
// an http(s) URL allows nothing. CSP's grammar has no IPv6
// addresses (CSP3 section 2.3.1, host-char), and Chromium matches none: for
// http://[::1]:PORT the port alone is named.
func AllowFormAction(w http.ResponseWriter, targets ...string) {
	var origins []string
	for _, target := range targets {
		u, err := url.Parse(target)
		if err == nil && strings.Contains(u.Scheme, ".") { // an app's own (RFC 8252 section 7.1)
			origins = append(origins, u.Scheme+":")
			continue
		}
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.ContainsAny(u.Host, " ;,'\"") {
			continue
		}
		host := u.Host
		if strings.Contains(u.Hostname(), ":") {
			host = "*:" + cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		}
		origins = append(origins, u.Scheme+"://"+host)
	}
	w.Header().Set("Content-Security-Policy", policy(origins...))
}

// NoStore marks an answer that is made for one person.
func NoStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

func secureHeaders(h http.Header, https bool) {
	h.Set("Content-Security-Policy", policy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if https {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}
