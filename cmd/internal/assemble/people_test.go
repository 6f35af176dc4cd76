package assemble

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/idptest"
)

const (
	firstPassword  = "seven purple otters juggle"
	secondPassword = "nine quiet lanterns waltz"
)

// town is a Dev whose app notes has people of its own, and a mail server.
type town struct {
	world
	post *scripted.Postbox
	read int // letters that were read
}

func text(s string) config.Text { return config.Text{Value: s} }

func newTown(t *testing.T, change ...func(*config.Config)) *town {
	t.Helper()
	return newTownOf(t, change...)
}

func newTownOf(t testing.TB, change ...func(*config.Config)) *town {
	t.Helper()
	post, err := scripted.NewPostbox()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = post.Close() })
	x := &town{post: post}
	x.world = run(t, func(c *config.Config) {
		c.Providers = append(c.Providers, config.Provider{
			Name: text("people"), Type: text("directory"), Label: "Example", Registration: text("open"), Password: config.Password{MinLength: 12},
			Passkeys: config.Passkeys{RPID: text("localhost"), Origins: []config.Text{text("http://localhost:8480")}},
		})
		person := c.Grants[slices.IndexFunc(c.Grants, func(g config.Grant) bool { return g.Guests })]
		person.Name, person.Guests, person.Everyone, person.Providers = text("notes-people"), false, true, []config.Text{text("people"), text("staff")}
		c.Grants = append(c.Grants, person)
		app := &c.Apps[0]
		app.Providers, app.Grants = []config.Text{text("people"), text("staff")}, append(app.Grants, text("notes-people"))
		c.Mail = config.Mail{SMTP: text(post.Address), From: text("rolecall@example.com"), TLS: text("none")}
		for _, f := range change {
			f(c)
		}
	})
	return x
}

// phone is a registered device.
func (x *town) phone(t *testing.T) *scripted.Phone {
	t.Helper()
	p := scripted.NewPhone(x.URL, "notes")
	if answer, err := p.Register(t.Context()); err != nil || answer.Status != http.StatusCreated {
		t.Fatalf("register a device: %s, %v", answer, err)
	}
	return p
}

type ask map[string]any

// call sends a request of a phone and demands a status.
func call(t *testing.T, p *scripted.Phone, status int, method, path string, document any) scripted.Reply {
	t.Helper()
	answer, err := p.Call(t.Context(), method, path, p.Access, document)
	if err != nil || answer.Status != status {
		t.Fatalf("%s %s: %s, %v; want %d", method, path, answer, err, status)
	}
	return answer
}

// letter is the next one that comes.
func (x *town) letter(t *testing.T) scripted.Mail {
	t.Helper()
	m, err := x.post.Next(x.read)
	if err != nil {
		t.Fatal(err)
	}
	x.read++
	return m
}

// logIn logs somebody in and keeps the tokens.
func logIn(t *testing.T, p *scripted.Phone, status int, document any) scripted.Reply {
	t.Helper()
	answer := call(t, p, status, http.MethodPost, "/tvm/v1/login", document)
	if status == http.StatusOK {
		p.Device = scripted.Device{}
		if err := json.Unmarshal(answer.Body, &p.Device); err != nil {
			t.Fatal(err)
		}
		p.Access, p.Refresh = p.Device.AccessToken, p.Device.RefreshToken
	}
	return answer
}

// inhabit registers somebody and logs them in.
func (x *town) inhabit(t *testing.T, p *scripted.Phone, email string) {
	t.Helper()
	call(t, p, http.StatusAccepted, http.MethodPost, "/tvm/v1/users", ask{"app": "notes", "email": email, "password": firstPassword})
	call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/confirm", ask{"app": "notes", "email": email, "code": x.letter(t).Code()})
	logIn(t, p, http.StatusOK, ask{"email": email, "password": firstPassword})
}

func TestAGuestBecomesAPersonAndKeepsTheirData(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	p := x.phone(t)
	guest := p.Device.IdentityID
	if answer, err := p.Credentials(t.Context(), ""); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("a guest's credentials: %s, %v", answer, err)
	}
	before := p.Access
	x.inhabit(t, p, "Ann@example.com")
	if p.Device.IdentityID != guest || p.Device.Guest || !p.Device.LoggedIn || p.Device.Alias != "" {
		t.Errorf("after the login: %+v, guest %s", p.Device, guest)
	}
	after := p.Access
	p.Access = before
	call(t, p, http.StatusUnauthorized, http.MethodGet, "/tvm/v1/users/me", nil)
	p.Access = after
	me := call(t, p, http.StatusOK, http.MethodGet, "/tvm/v1/users/me", nil)
	if !strings.Contains(string(me.Body), `"email":"ann@example.com"`) {
		t.Errorf("me: %s", me)
	}
	if answer, err := p.Credentials(t.Context(), ""); err != nil || answer.Status != http.StatusOK {
		t.Errorf("a person's credentials: %s, %v", answer, err)
	}
	// The same person on another phone: the guest there becomes an alias of who they are.
	other := x.phone(t)
	theirs := other.Device.IdentityID
	logIn(t, other, http.StatusOK, ask{"app": "notes", "email": "ann@example.com", "password": firstPassword})
	if other.Device.IdentityID != guest || other.Device.Alias != theirs {
		t.Errorf("on another phone: %+v; want %s with the alias %s", other.Device, guest, theirs)
	}
	record := x.record(t)
	without(t, "the record", record, firstPassword)
	without(t, "the log", x.log.String(), firstPassword, p.Access)
	if !strings.Contains(record, `"event":"user.login","outcome":"granted"`) {
		t.Error("no login is recorded")
	}
}

func TestPasswordsAreResetChangedAndForgotten(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	p, other := x.phone(t), x.phone(t)
	x.inhabit(t, p, "ann@example.com")
	logIn(t, other, http.StatusOK, ask{"email": "ann@example.com", "password": firstPassword})
	call(t, p, http.StatusForbidden, http.MethodPut, "/tvm/v1/users/me/password", ask{"current": "wrong", "password": secondPassword})
	call(t, p, http.StatusOK, http.MethodPut, "/tvm/v1/users/me/password", ask{"current": firstPassword, "password": secondPassword})
	if m := x.letter(t); m.Subject != "Your password was changed" {
		t.Errorf("letter %+v", m)
	}
	call(t, p, http.StatusOK, http.MethodGet, "/tvm/v1/users/me", nil)
	call(t, other, http.StatusUnauthorized, http.MethodGet, "/tvm/v1/users/me", nil)
	if answer, err := other.Renew(t.Context()); err != nil || answer.Status != http.StatusBadRequest {
		t.Errorf("a refresh token of before: %s, %v", answer, err)
	}
	// A reset ends this phone, too.
	call(t, p, http.StatusAccepted, http.MethodPost, "/tvm/v1/users/reset", ask{"email": "ann@example.com"})
	code := x.letter(t).Code()
	call(t, p, http.StatusBadRequest, http.MethodPost, "/tvm/v1/users/reset/confirm", ask{"email": "ann@example.com", "code": "AAAA-AAAA", "password": firstPassword})
	call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/reset/confirm", ask{"email": "ann@example.com", "code": strings.ToLower(code), "password": firstPassword})
	call(t, p, http.StatusUnauthorized, http.MethodGet, "/tvm/v1/users/me", nil)
	// The device is known by its key; it is nobody's until somebody logs in.
	if answer, err := p.Register(t.Context()); err != nil || answer.Status != http.StatusOK || p.Device.LoggedIn || p.Device.Guest {
		t.Fatalf("register again: %s, %v", answer, err)
	}
	if answer, err := p.Credentials(t.Context(), ""); err != nil || answer.Status/100 != 4 {
		t.Errorf("credentials of nobody: %s, %v", answer, err)
	}
	logIn(t, p, http.StatusOK, ask{"email": "ann@example.com", "password": firstPassword})
	call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/logout", nil)
	call(t, p, http.StatusUnauthorized, http.MethodGet, "/tvm/v1/users/me", nil)
}

func TestASecondFactorAndAPasskeyOverTheWire(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	p := x.phone(t)
	x.inhabit(t, p, "ann@example.com")
	var made struct{ Secret, URI string }
	if err := json.Unmarshal(call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/totp", nil).Body, &made); err != nil || made.Secret == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	code, err := totp.GenerateCode(made.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var confirmed struct {
		Codes []string `json:"recovery_codes"`
	}
	if err := json.Unmarshal(call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/totp/confirm", ask{"code": code}).Body, &confirmed); err != nil || len(confirmed.Codes) != 10 {
		t.Fatalf("%+v, %v", confirmed, err)
	}
	refused := logIn(t, p, http.StatusUnauthorized, ask{"email": "ann@example.com", "password": firstPassword})
	if refused.Error() != "insufficient_user_authentication" || !strings.Contains(refused.Header.Get("WWW-Authenticate"), `acr_values="totp"`) {
		t.Errorf("without the code: %s", refused)
	}
	logIn(t, p, http.StatusUnauthorized, ask{"email": "ann@example.com", "password": firstPassword, "code": code})
	logIn(t, p, http.StatusOK, ask{"email": "ann@example.com", "password": firstPassword, "code": confirmed.Codes[0]})

	a := &idptest.Authenticator{Origin: "http://localhost:8480"}
	body, err := a.Create(call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/passkey/begin", nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	var key struct{ ID string }
	if err := json.Unmarshal(call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/passkey/finish", ask{"label": "phone", "credential": json.RawMessage(body)}).Body, &key); err != nil {
		t.Fatal(err)
	}
	other := x.phone(t)
	body, err = a.Get(call(t, other, http.StatusOK, http.MethodPost, "/tvm/v1/login/passkey/begin", ask{"app": "notes"}).Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := call(t, other, http.StatusOK, http.MethodPost, "/tvm/v1/login/passkey/finish", ask{"credential": json.RawMessage(body)})
	if !strings.Contains(string(answer.Body), p.Device.IdentityID) {
		t.Errorf("by passkey: %s", answer)
	}
	call(t, p, http.StatusOK, http.MethodDelete, "/tvm/v1/users/me/passkeys/"+key.ID, nil)
	call(t, p, http.StatusForbidden, http.MethodDelete, "/tvm/v1/users/me/passkeys/"+key.ID, nil)
	call(t, p, http.StatusOK, http.MethodDelete, "/tvm/v1/users/me/totp", nil)
}

func TestNobodyLearnsOverTheWireWhoIsThere(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.inhabit(t, x.phone(t), "ann@example.com")
	stranger := x.phone(t)
	same := func(path string, status int, more ask) {
		var answers []string
		for _, email := range []string{"ann@example.com", "nobody@example.com"} {
			document := ask{"email": email}
			for k, v := range more {
				document[k] = v
			}
			answer := call(t, stranger, status, http.MethodPost, path, document)
			var fields map[string]any
			if err := json.Unmarshal(answer.Body, &fields); err != nil {
				t.Fatal(err)
			}
			delete(fields, "request_id")
			answers = append(answers, answer.Header.Get("WWW-Authenticate")+" "+mustJSON(t, fields))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: %s for somebody who is there, %s for nobody", path, answers[0], answers[1])
		}
	}
	same("/tvm/v1/users", http.StatusAccepted, ask{"password": secondPassword})
	same("/tvm/v1/users", http.StatusBadRequest, ask{"password": "short"})
	same("/tvm/v1/users/confirm", http.StatusBadRequest, ask{"code": "AAAA-AAAA"})
	same("/tvm/v1/users/reset", http.StatusAccepted, nil)
	same("/tvm/v1/users/reset/confirm", http.StatusBadRequest, ask{"code": "AAAA-AAAA", "password": secondPassword})
	same("/tvm/v1/login", http.StatusUnauthorized, ask{"password": secondPassword})
	known := x.letter(t)
	if known.To != "ann@example.com" || known.Code() != "" {
		t.Errorf("who is there is told %+v", known)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnAccountIsExportedMovedAndDeleted(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	p := x.phone(t)
	x.inhabit(t, p, "ann@example.com")
	call(t, p, http.StatusAccepted, http.MethodPost, "/tvm/v1/users/me/email", ask{"email": "ann@new.example"})
	m := x.letter(t)
	call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/email/confirm", ask{"email": "ann@new.example", "code": m.Code()})
	if told := x.letter(t); m.To != "ann@new.example" || told.To != "ann@example.com" {
		t.Errorf("letters to %s and %s", m.To, told.To)
	}
	all := string(call(t, p, http.StatusOK, http.MethodGet, "/tvm/v1/users/me/export", nil).Body)
	for _, want := range []string{`"email":"ann@new.example"`, p.Device.DeviceID, `"event":"user.login"`, `"app":"notes"`} {
		if !strings.Contains(all, want) {
			t.Errorf("the export lacks %s: %s", want, all)
		}
	}
	call(t, p, http.StatusOK, http.MethodDelete, "/tvm/v1/users/me", nil)
	call(t, p, http.StatusUnauthorized, http.MethodGet, "/tvm/v1/users/me", nil)
	if answer, err := p.Register(t.Context()); err != nil || answer.Status != http.StatusForbidden {
		t.Errorf("the device of somebody who is gone: %s, %v", answer, err)
	}
	next := x.phone(t)
	logIn(t, next, http.StatusUnauthorized, ask{"email": "ann@new.example", "password": firstPassword})
}

func TestWhatAnOperatorDisablesIsDeadWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	p := x.phone(t)
	x.inhabit(t, p, "ann@example.com")
	if answer, err := p.Credentials(t.Context(), ""); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("%s, %v", answer, err)
	}
	users, err := OpenUsers(t.Context(), Options{Config: x.Config, Log: x.options.Log, Now: time.Now}, "", "root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Close() })
	if _, err := users.Disable(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	late := time.Now().Add(2 * time.Second)
	for {
		answer, err := p.Credentials(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status == http.StatusUnauthorized {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("after two seconds: %s", answer)
		}
	}
	if answer, err := p.Register(t.Context()); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("%s, %v", answer, err)
	}
	logIn(t, p, http.StatusUnauthorized, ask{"email": "ann@example.com", "password": firstPassword})
	if _, err := users.Enable(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	logIn(t, p, http.StatusOK, ask{"email": "ann@example.com", "password": firstPassword})
	who, code, err := users.Reset(t.Context(), "ann@example.com", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Mail(t.Context(), who, code); err != nil {
		t.Fatal(err)
	}
	if m := x.letter(t); !strings.Contains(m.Text, code.Reveal()) || !strings.Contains(m.Text, users.Address()) {
		t.Errorf("letter %+v", m)
	}
}

func TestPeopleOfTheDirectorySignInToThePortal(t *testing.T) {
	t.Parallel()
	x := newTown(t, func(c *config.Config) {
		c.Grants = append(c.Grants, config.Grant{
			Name: text("of-last-resort"), Groups: []config.Text{text("ops")}, Providers: []config.Text{text("people")}, Role: text("production/Admin"),
			Duration: time.Hour, MaxDuration: time.Hour, Mode: text("assume-role"),
		})
	})
	users, err := OpenUsers(t.Context(), Options{Config: x.Config, Log: x.options.Log, Now: time.Now}, "", "root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Close() })
	ann, err := users.Add(t.Context(), "ann@example.com", secret.New(firstPassword), []string{"ops"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Get(x.URL + "/directory/people/login?return_to=%2Fconsole%3Frole%3Dproduction%2FAdmin"); err != nil {
		t.Fatal(err)
	}
	form := b.Page.Forms()[0]
	if err := b.Submit(form, map[string]string{"email": "ann@example.com", "password": secondPassword}); err != nil || b.Page.Status != http.StatusForbidden {
		t.Fatalf("a wrong password: %d, %v", b.Page.Status, err)
	}
	if err := b.Submit(b.Page.Forms()[0], map[string]string{"email": "ann@example.com", "password": firstPassword}); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusOK || b.Page.URL.Path != "/console" || !strings.Contains(b.Page.Text, "production/Admin") {
		t.Fatalf("%d at %s", b.Page.Status, b.Page.URL)
	}
	order(t, b, x.URL, "production/Admin")
	if keysOn(b.Page) == "" {
		t.Errorf("no keys on %s", b.Page.URL)
	}
	x.secondFactor(t, b)
	if _, err := users.Disable(t.Context(), ann.Email); err != nil {
		t.Fatal(err)
	}
	if err := b.Get(x.URL + "/keys?role=production/Admin"); err != nil || b.Page.URL.Path != "/login" {
		t.Errorf("after they were disabled: %s, %v", b.Page.URL, err)
	}
}

var shownKey = regexp.MustCompile(`<code>([A-Z2-7]{32})</code>`)

// secondFactor turns one-time codes on in the portal, and signs in anew with one.
func (x *town) secondFactor(t *testing.T, b *scripted.Browser) {
	t.Helper()
	form := func(action string) scripted.Form {
		t.Helper()
		for _, f := range b.Page.Forms() {
			if strings.HasSuffix(f.Action, action) {
				return f
			}
		}
		t.Fatalf("no form %s at %s: %d\n%.2000s", action, b.Page.URL, b.Page.Status, b.Page.Text)
		return scripted.Form{}
	}
	if err := b.Get(x.URL + "/directory/people/codes"); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(form("/codes"), map[string]string{"do": "begin"}); err != nil {
		t.Fatal(err)
	}
	key := shownKey.FindStringSubmatch(b.Page.Text)
	if key == nil {
		t.Fatalf("no key at %s: %d\n%s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
	code := func(ahead time.Duration) string {
		code, err := totp.GenerateCode(key[1], time.Now().Add(ahead))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if err := b.Submit(form("/codes"), map[string]string{"code": code(0)}); err != nil || !strings.Contains(b.Page.Text, "recovery codes") {
		t.Fatalf("%v at %s:\n%s", err, b.Page.URL, b.Page.Text)
	}
	if err := b.Get(x.URL + "/directory/people/login?return_to=%2F"); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(form("/login"), map[string]string{"email": "ann@example.com", "password": firstPassword}); err != nil || b.Page.Status != http.StatusOK {
		t.Fatalf("%d, %v", b.Page.Status, err)
	}
	if err := b.Submit(form("/code"), map[string]string{"code": "000000"}); err != nil || b.Page.Status != http.StatusForbidden {
		t.Fatalf("a wrong code: %d, %v", b.Page.Status, err)
	}
	if err := b.Submit(form("/code"), map[string]string{"code": code(30 * time.Second)}); err != nil || b.Page.URL.Path != "/" || b.Page.Status != http.StatusOK {
		t.Fatalf("with a code: %d at %s, %v", b.Page.Status, b.Page.URL, err)
	}
}
