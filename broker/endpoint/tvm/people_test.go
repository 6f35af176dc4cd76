package tvm

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// fakePeople plays account.People: it says what it was asked.
type fakePeople struct{ *fake }

func (p fakePeople) heard(words ...string) error {
	p.people = strings.Join(words, " ")
	return p.err
}

func (p fakePeople) Register(_ context.Context, _ broker.Origin, _ broker.Caller, app, email string, password secret.String) error {
	return p.heard("register", app, email, password.Reveal())
}

func (p fakePeople) Confirm(_ context.Context, _ broker.Origin, _ broker.Caller, app, email, code string) error {
	return p.heard("confirm", app, email, code)
}

func (p fakePeople) AskReset(_ context.Context, _ broker.Origin, _ broker.Caller, app, email string) error {
	return p.heard("ask-reset", app, email)
}

func (p fakePeople) Reset(_ context.Context, _ broker.Origin, _ broker.Caller, app, email, code string, password secret.String) error {
	return p.heard("reset", app, email, code, password.Reveal())
}

func (p fakePeople) Login(_ context.Context, _ broker.Origin, _ broker.Caller, c account.Credentials) (idp.Login, error) {
	return idp.Login{}, p.heard("login", c.App, c.Email, c.Password.Reveal(), c.Code.Reveal(), c.Provider, c.Token.Reveal())
}

func (p fakePeople) BeginPasskeyLogin(_ context.Context, _ broker.Origin, _ broker.Caller, app string) (json.RawMessage, error) {
	return json.RawMessage(`{"publicKey":{"challenge":"AAAA","rpId":"example.com"}}`), p.heard("begin-passkey-login", app)
}

func (p fakePeople) PasskeyLogin(_ context.Context, _ broker.Origin, _ broker.Caller, credential json.RawMessage) (idp.Login, error) {
	return idp.Login{}, p.heard("passkey-login", string(credential))
}

func (p fakePeople) Logout(context.Context, broker.Origin, broker.Caller) error {
	return p.heard("logout")
}

func (p fakePeople) Me(context.Context, broker.Origin, broker.Caller) (account.Person, error) {
	return fakePerson(), p.heard("me")
}

func fakePerson() account.Person {
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	return account.Person{ID: "SUBJECT", Email: "ann@example.com", Groups: []string{}, Created: at, Changed: at, TOTP: true, Recovery: 9,
		Passkeys: []account.Passkey{{ID: "AAAA", Label: "phone", Created: at, Used: at}, {ID: "BBBB", Label: "key", Created: at}}}
}

func (p fakePeople) Export(context.Context, broker.Origin, broker.Caller) (account.Export, error) {
	at := fakePerson().Created
	return account.Export{Time: at, Provider: "people", Person: fakePerson(), Devices: map[string][]string{"notes": {deviceID}},
		Sessions: []account.ExportedSession{{ID: "s", Via: "tvm", App: "notes", Since: at, Ends: at}, {ID: "b", Via: "browser", Since: at, Ends: at}},
		Activity: []account.ExportedActivity{{Time: at, Event: "user.login", Outcome: "granted", Address: "192.0.2.1"}}, Whole: true}, p.heard("export")
}

func (p fakePeople) Delete(context.Context, broker.Origin, broker.Caller) error {
	return p.heard("delete")
}

func (p fakePeople) ChangePassword(_ context.Context, _ broker.Origin, _ broker.Caller, current, next secret.String) error {
	return p.heard("password", current.Reveal(), next.Reveal())
}

func (p fakePeople) AskEmail(_ context.Context, _ broker.Origin, _ broker.Caller, email string) error {
	return p.heard("ask-email", email)
}

func (p fakePeople) ConfirmEmail(_ context.Context, _ broker.Origin, _ broker.Caller, email, code string) error {
	return p.heard("email", email, code)
}

func (p fakePeople) BeginTOTP(context.Context, broker.Origin, broker.Caller) (account.Enrolment, error) {
	return account.Enrolment{Secret: "AAAA", URI: "otpauth://totp/Example:ann@example.com?secret=AAAA"}, p.heard("begin-totp")
}

func (p fakePeople) ConfirmTOTP(_ context.Context, _ broker.Origin, _ broker.Caller, code string) ([]string, error) {
	return []string{"ABCDEF-GHIJKL"}, p.heard("totp", code)
}

func (p fakePeople) RemoveTOTP(context.Context, broker.Origin, broker.Caller) error {
	return p.heard("remove-totp")
}

func (p fakePeople) BeginPasskey(context.Context, broker.Origin, broker.Caller) (json.RawMessage, error) {
	return json.RawMessage(`{"publicKey":{"challenge":"AAAA"}}`), p.heard("begin-passkey")
}

func (p fakePeople) AddPasskey(_ context.Context, _ broker.Origin, _ broker.Caller, label string, credential json.RawMessage) (account.Passkey, error) {
	return fakePerson().Passkeys[1], p.heard("passkey", label, string(credential))
}

func (p fakePeople) RemovePasskey(_ context.Context, _ broker.Origin, _ broker.Caller, id string) error {
	return p.heard("remove-passkey", id)
}

// peopleCall is a request of people and what the service must hear.
type peopleCall struct {
	exchange
	heard string
}

func peopleCalls() []peopleCall {
	to := func(method, path, body string, status int, heard string) peopleCall {
		return peopleCall{exchange{method: method, path: "/tvm/v1/" + path, body: body, status: status}, heard}
	}
	remove := to("DELETE", "users/me/passkeys/{passkey}", "", 200, "remove-passkey AAAA")
	remove.at = "/tvm/v1/users/me/passkeys/AAAA"
	return []peopleCall{
		to("POST", "users", `{"app":"notes","email":"a@x.org","password":"pw"}`, 202, "register notes a@x.org pw"),
		to("POST", "users/confirm", `{"app":"notes","email":"a@x.org","code":"C"}`, 200, "confirm notes a@x.org C"),
		to("POST", "users/reset", `{"email":"a@x.org"}`, 202, "ask-reset  a@x.org"),
		to("POST", "users/reset/confirm", `{"email":"a@x.org","code":"C","password":"pw"}`, 200, "reset  a@x.org C pw"),
		to("POST", "login", `{"email":"a@x.org","password":"pw","code":"123456"}`, 200, "login  a@x.org pw 123456  "),
		to("POST", "login", `{"app":"notes","provider":"google","token":"t.t.t"}`, 200, "login notes    google t.t.t"),
		to("POST", "login/passkey/begin", `{"app":"notes"}`, 200, "begin-passkey-login notes"),
		to("POST", "login/passkey/finish", `{"credential":{"rawId":"AAAA"}}`, 200, `passkey-login {"rawId":"AAAA"}`),
		to("POST", "logout", "", 200, "logout"),
		to("GET", "users/me", "", 200, "me"),
		to("DELETE", "users/me", "", 200, "delete"),
		to("GET", "users/me/export", "", 200, "export"),
		to("PUT", "users/me/password", `{"current":"old","password":"new"}`, 200, "password old new"),
		to("POST", "users/me/email", `{"email":"b@x.org"}`, 202, "ask-email b@x.org"),
		to("POST", "users/me/email/confirm", `{"email":"b@x.org","code":"C"}`, 200, "email b@x.org C"),
		to("POST", "users/me/totp", "", 200, "begin-totp"),
		to("POST", "users/me/totp/confirm", `{"code":"123456"}`, 200, "totp 123456"),
		to("DELETE", "users/me/totp", "", 200, "remove-totp"),
		to("POST", "users/me/passkey/begin", "", 200, "begin-passkey"),
		to("POST", "users/me/passkey/finish", `{"label":"phone","credential":{"rawId":"AAAA"}}`, 200, `passkey phone {"rawId":"AAAA"}`),
		remove,
	}
}

// peopleExchanges are those of people.json: each documented status of each route.
func peopleExchanges() []exchange {
	var all []exchange
	for _, c := range peopleCalls() {
		all = append(all, c.exchange)
		all = append(all, refused(c.exchange, 400, 401, 403, 429, 500, 503)...)
		if c.body != "" {
			large := c.exchange
			large.status, large.body = http.StatusRequestEntityTooLarge, "{"+strings.Repeat(" ", maxBody)+c.body[1:]
			all = append(all, large)
		}
	}
	return all
}

func TestWhatPeopleSayReachesTheService(t *testing.T) {
	t.Parallel()
	for _, c := range peopleCalls() {
		f := &fake{}
		at := c.at
		if at == "" {
			at = c.path
		}
		_, answer := ask(t, serve(t, f), c.method, at, c.body)
		if answer.StatusCode != c.status || f.people != c.heard || f.what != "people" {
			t.Errorf("%s %s: %d %s; heard %q as %q", c.method, at, answer.StatusCode, read(t, answer), f.people, f.what)
		}
		if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("DPoP-Nonce") != nonce {
			t.Errorf("%s %s: headers %v", c.method, at, answer.Header)
		}
		f = &fake{stranger: broker.Fail(broker.Unauthenticated, "invalid_token", "Ended.")}
		if _, answer := ask(t, serve(t, f), c.method, at, c.body); answer.StatusCode != http.StatusUnauthorized || f.people != "" {
			t.Errorf("%s %s of a stranger: %d, heard %q", c.method, at, answer.StatusCode, f.people)
		}
	}
}

func TestWhatIsNoLogin(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"email":"a@x.org","password":"pw","provider":"google","token":"t"}`, `{"provider":"google"}`, `{"token":"t"}`, `{"email":"a@x.org","token":"t"}`,
		`{"email":"a@x.org","password":"pw","password":"pw2"}`, `{"Email":"a@x.org","password":"pw"}`, `{"email":"a@x.org","password":"pw","admin":true}`, `[]`, `null x`,
	} {
		f := &fake{}
		if _, answer := ask(t, serve(t, f), "POST", "/tvm/v1/login", body); answer.StatusCode != http.StatusBadRequest || f.people != "" {
			t.Errorf("%s: %d, heard %q", body, answer.StatusCode, f.people)
		}
	}
}

func TestAStepUpSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	code := broker.Fail(broker.StepUp, "totp_required", "A code is needed.")
	code.ACR = "totp"
	fresh := broker.Fail(broker.StepUp, "login_too_old", "Log in again.")
	fresh.MaxAge = 10 * time.Minute
	for want, err := range map[string]error{`acr_values="totp"`: code, `max_age="600"`: fresh} {
		_, answer := ask(t, serve(t, &fake{err: err}), "DELETE", "/tvm/v1/users/me", "")
		if h := answer.Header.Get("WWW-Authenticate"); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(h, want) || !strings.Contains(h, `error="insufficient_user_authentication"`) {
			t.Errorf("%d %s, want %s", answer.StatusCode, h, want)
		}
	}
}
