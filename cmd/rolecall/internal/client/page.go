package client

import (
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/style.css
var pageCSS []byte

// page is what the browser shows at the end. Nothing of the request is in it, and
// it loads nothing: the listener is gone a moment later.
type page struct {
	status                  int
	head, then, state, sign string
}

const tick, cross = "M5 8.3l2.2 2.2L11 6.2", "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8"

var (
	signedInPage   = page{http.StatusOK, "You are signed in", "Close this page and go back to your terminal.", "good", tick}
	signedOutPage  = page{http.StatusOK, "You are not signed in", "Your terminal says why.", "bad", cross}
	notWaitingPage = page{http.StatusBadRequest, "This is not the sign-in that rolecall waits for", "Go back to your terminal and start again.", "bad", cross}
)

func (p page) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src data:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
	w.WriteHeader(p.status)
	_, _ = strings.NewReplacer("{{head}}", p.head, "{{then}}", p.then, "{{state}}", p.state, "{{sign}}", p.sign,
		"{{style}}", base64.StdEncoding.EncodeToString(pageCSS)).WriteString(w, pageHTML)
}
