package devaws

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

//go:embed pages assets
var files embed.FS

var templates = template.Must(template.ParseFS(files, "pages/*.html"))

const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func (a *AWS) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("/federation", a.federation)
	mux.HandleFunc("GET /console", a.console)
	mux.HandleFunc("GET /console/", a.console)
	mux.HandleFunc("POST /console/signout", a.signOut)
	mux.Handle("GET /assets/devaws.css", http.FileServerFS(files))
	return mux
}

// ServeHTTP implements http.Handler. A Host other than the origin's is refused:
// a page elsewhere could otherwise reach it by DNS rebinding.
func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	if !strings.EqualFold(r.Host, a.origin.Host) {
		http.Error(w, "This is "+a.origin.String()+"; the request was for another host.", http.StatusMisdirectedRequest)
		return
	}
	if r.URL.Path == "/" && strings.HasPrefix(r.Header.Get("X-Amz-Target"), organizationsTarget) {
		a.organizations(w, r)
		return
	}
	if r.URL.Path == "/" && (r.Method == http.MethodPost || strings.Contains(r.URL.RawQuery, "Action=")) {
		a.sts(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/s3/") {
		a.s3(w, r)
		return
	}
	a.pages.ServeHTTP(w, r)
}

func (a *AWS) render(w http.ResponseWriter, status int, page string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, page, data); err != nil {
		a.log.Error("draw a page", "page", page, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

func (a *AWS) index(w http.ResponseWriter, _ *http.Request) {
	a.render(w, http.StatusOK, "index.html", struct{ Origin string }{a.origin.String()})
}

// consolePage is who is signed in.
type consolePage struct {
	Service, Region   string
	Account           Account
	Role, RoleName    string
	SessionName, ARN  string
	SourceIdentity    string
	Tags              []consoleTag
	Expires, ISO      string
	Left              string
	Issuer, IssuerSay string
}

type consoleTag struct {
	iam.Tag
	Transitive bool
}

var slug = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (a *AWS) console(w http.ResponseWriter, r *http.Request) {
	var found signin
	known, live := false, false
	if cookie, err := r.Cookie(cookieName); err == nil {
		found, known, live = a.signins.console(cookie.Value)
	}
	if !live {
		a.render(w, http.StatusUnauthorized, "signedout.html", struct {
			Expired           bool
			Issuer, IssuerSay string
		}{known, found.issuer, hostOf(found.issuer)})
		return
	}
	s := found.session
	page := consolePage{
		Service: "home", Region: r.URL.Query().Get("region"),
		Account:     a.accounts[s.AccountID],
		SessionName: s.name, ARN: s.AssumedRoleARN, SourceIdentity: s.sourceIdentity,
		Expires: found.expires.UTC().Format("2 January 2006, 15:04:05 UTC"), ISO: found.expires.UTC().Format(time.RFC3339),
		Left:   found.expires.Sub(a.now()).Truncate(time.Second).String(),
		Issuer: found.issuer, IssuerSay: hostOf(found.issuer),
	}
	if s.role != nil {
		page.Role, page.RoleName = s.role.ARN.String(), s.role.ARN.Name
	} else {
		page.Role, page.RoleName = s.AssumedRoleARN, "federated user"
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/console"), "/"), "/")
	if slug.MatchString(service) && service != "console" {
		page.Service = service
	}
	if !slug.MatchString(page.Region) {
		page.Region = ""
	}
	for _, t := range s.tags {
		page.Tags = append(page.Tags, consoleTag{t, s.passesOn(t.Key)})
	}
	a.render(w, http.StatusOK, "console.html", page)
}

func (s *session) passesOn(key string) bool {
	for _, t := range s.transitive {
		if strings.EqualFold(t, key) {
			return true
		}
	}
	return false
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// signOut ends the console session. The cookie is SameSite=Lax, so that no other
// site's form carries it.
func (a *AWS) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		a.signins.end(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/console/", http.StatusSeeOther)
}
