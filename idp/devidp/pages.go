package devidp

import (
	"bytes"
	"embed"
	"net/http"
	"net/url"
	"path"
	"strings"
)

//go:embed pages/*.html assets/*
var files embed.FS

// loginView, postView, homeView and faultView are what the pages show.
type loginView struct {
	Asked, For, Username, Fault string
	People                      []Person
}

type postView struct {
	Action, For string
	Fields      []field
}

type field struct{ Name, Value string }

type homeView struct {
	URL      string
	People   []Person
	SignedIn *Person
}

type faultView struct{ Title, Advice string }

// form shows the sign-in form. Chromium follows form-action through redirects,
// so the page names the origin that the person goes on to.
func (p *IDP) form(w http.ResponseWriter, status int, view loginView, origin string) {
	p.render(w, status, "login.html", origin, view)
}

// fail shows what went wrong.
func (p *IDP) fail(w http.ResponseWriter, status int, title, advice string) {
	p.render(w, status, "fault.html", "", faultView{Title: title, Advice: advice})
}

// render writes a page under a policy without inline script or style.
func (p *IDP) render(w http.ResponseWriter, status int, name, origin string, view any) {
	var page bytes.Buffer
	if err := p.pages.ExecuteTemplate(&page, name, view); err != nil {
		p.config.Log.Error("devidp: page", "name", name, "error", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", strings.TrimSpace("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "+
		"base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+origin))
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// asset serves the style sheet and the one script.
func (p *IDP) asset(w http.ResponseWriter, r *http.Request) {
	body, err := files.ReadFile("assets/" + path.Base(r.PathValue("name")))
	if err != nil {
		p.fail(w, http.StatusNotFound, "There is nothing at this address", "")
		return
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
	w.Header().Set("Content-Type", kinds[path.Ext(r.PathValue("name"))])
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(body)
}

// originOf is scheme and host of an address that was validated before.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
