package devaws

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	maxForm       = 64 << 10
	maxSignins    = 1024
	signinLife    = 15 * time.Minute
	rememberEnded = 24 * time.Hour // how long an ended console session still knows its way back
	cookieName    = "devaws_console"
)

// signin is a sign-in token, or the console session that it became.
type signin struct {
	session *session
	expires time.Time // of the token, or of the console session
	life    time.Duration
	issuer  string
}

// signins holds sign-in tokens and console sessions, each by its random name.
type signins struct {
	now func() time.Time

	mu       sync.Mutex
	tokens   map[string]signin
	consoles map[string]signin
}

func newSignins(now func() time.Time) *signins {
	return &signins{now: now, tokens: map[string]signin{}, consoles: map[string]signin{}}
}

// put keeps a sign-in under a new random name.
func (s *signins) put(in map[string]signin, what signin, past time.Duration) string {
	name := base64.RawURLEncoding.EncodeToString(random(48))
	s.mu.Lock()
	defer s.mu.Unlock()
	first := ""
	for key, old := range in {
		if s.now().After(old.expires.Add(past)) {
			delete(in, key)
		} else if first == "" || old.expires.Before(in[first].expires) {
			first = key
		}
	}
	if len(in) >= maxSignins {
		delete(in, first)
	}
	in[name] = what
	return name
}

// take gives a token's sign-in, once.
func (s *signins) take(token string) (signin, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.tokens[token]
	delete(s.tokens, token)
	return found, ok && s.now().Before(found.expires)
}

// console gives a console session; live is false when it has ended.
func (s *signins) console(name string) (found signin, known, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known = s.consoles[name]
	return found, known, known && s.now().Before(found.expires)
}

func (s *signins) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.consoles, name)
}

// federation answers getSigninToken and login.
func (a *AWS) federation(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.Method != http.MethodGet && r.Method != http.MethodPost || r.ParseForm() != nil {
		a.refuse(w, r, "the request is not a form")
		return
	}
	switch r.Form.Get("Action") {
	case "getSigninToken":
		a.getSigninToken(w, r)
	case "login":
		a.login(w, r)
	default:
		a.refuse(w, r, "the Action is neither getSigninToken nor login")
	}
}

// refuse answers as AWS does, a page without any reason, which the log has.
func (a *AWS) refuse(w http.ResponseWriter, r *http.Request, why string) {
	a.log.InfoContext(r.Context(), "federation refused", "reason", why)
	a.render(w, http.StatusBadRequest, "refused.html", nil)
}

func (a *AWS) getSigninToken(w http.ResponseWriter, r *http.Request) {
	var keys struct{ SessionID, SessionKey, SessionToken string }
	text := r.Form.Get("Session")
	if json.Unmarshal([]byte(text), &keys) != nil {
		a.refuse(w, r, "Session is not the JSON of credentials")
		return
	}
	stored, err := a.secret(r.Context(), keys.SessionID, keys.SessionToken)
	s, temporary := a.sessions.get(keys.SessionID)
	if err != nil || !temporary || !stored.Equal(secret.New(keys.SessionKey)) {
		a.refuse(w, r, "the credentials are not those of a live role session")
		return
	}
	token := signin{session: s, expires: a.now().Add(signinLife)}
	if r.Form.Has("SessionDuration") {
		seconds, err := strconv.Atoi(r.Form.Get("SessionDuration"))
		token.life = time.Duration(seconds) * time.Second
		if err != nil || token.life < iam.MinDuration || token.life > iam.MaxDuration {
			a.refuse(w, r, "SessionDuration is not 900 to 43200")
			return
		}
		if s.chained || s.user != nil {
			a.refuse(w, r, "SessionDuration with credentials of a chained role or a federated user")
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"SigninToken": a.signins.put(a.signins.tokens, token, 0)})
}

func (a *AWS) login(w http.ResponseWriter, r *http.Request) {
	destination, ok := a.destination(r.Form.Get("Destination"))
	if !ok {
		a.refuse(w, r, "the Destination is not a page of this console")
		return
	}
	console, ok := a.signins.take(r.Form.Get("SigninToken"))
	if !ok {
		a.refuse(w, r, "the SigninToken is unknown, used or older than 15 minutes")
		return
	}
	now := a.now()
	console.expires = console.session.Expires
	if console.life > 0 {
		console.expires = now.Add(console.life)
	}
	if !now.Before(console.expires) {
		a.refuse(w, r, "the credentials have expired")
		return
	}
	console.issuer = webAddress(r.Form.Get("Issuer"))
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: a.signins.put(a.signins.consoles, console, rememberEnded), Path: "/",
		HttpOnly: true, Secure: a.origin.Scheme == "https", SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, destination, http.StatusSeeOther)
}

// destination is the local part of a URL on this console.
func (a *AWS) destination(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != a.origin.Scheme || u.Host != a.origin.Host || u.User != nil || u.Opaque != "" {
		return "", false
	}
	if u.Path != "/console" && !strings.HasPrefix(u.Path, "/console/") {
		return "", false
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String(), true
}

// webAddress is text where it is an http or https URL that a page may link to.
func webAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(text) > 2048 {
		return ""
	}
	return u.String()
}
