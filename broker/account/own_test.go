package account_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/idptest"
)

// tokens gives the caller a family of tokens under its session's id.
func (x *town) tokens(t *testing.T, c broker.Caller, id string) {
	t.Helper()
	must(t, x.world.tokens.Begin(t.Context(), session.Family{
		ID: id, Client: c.App, Via: "tvm", Identity: c.Identity, Since: x.now(), Until: x.now().Add(12 * time.Hour),
	}, session.Pair{Access: session.NewHandle(), Refresh: session.NewHandle()}))
}

func (x *town) live(t *testing.T, subject string) (ids []string) {
	t.Helper()
	_, families, err := x.sessions.Live(t.Context(), "people", subject, 100)
	must(t, err)
	for _, f := range families {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestAResetEndsEverythingAndAChangeAllElse(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, _ := at("phone", 1)
	x.tokens(t, ann, ann.Session)
	x.tokens(t, ann, "laptop")
	subject := ann.Identity.Subject
	wantReason(t, "a change without the current password", x.ChangePassword(t.Context(), o, ann, secret.New(otherPassword), secret.New(otherPassword)), "access_denied wrong_credentials")
	wantReason(t, "a change to a weak one", x.ChangePassword(t.Context(), o, ann, secret.New(goodPassword), secret.New("short")), "invalid_request weak_password")
	if got := x.live(t, subject); len(got) != 2 {
		t.Fatalf("live %v", got)
	}
	must(t, x.ChangePassword(t.Context(), o, ann, secret.New(goodPassword), secret.New(otherPassword)))
	if got := x.live(t, subject); !slices.Equal(got, []string{ann.Session}) || !slices.Contains(x.forgotten, "laptop") {
		t.Errorf("after a change: %v, forgotten %v", got, x.forgotten)
	}
	if l := x.letters[len(x.letters)-1]; l.To != "ann@example.com" || l.Subject != "Your password was changed" {
		t.Errorf("letter %+v", l)
	}
	must(t, x.AskReset(t.Context(), o, ann, "", "ann@example.com"))
	must(t, x.Reset(t.Context(), o, ann, "", "ann@example.com", x.lastCode(t), secret.New(goodPassword)))
	if got := x.live(t, subject); len(got) > 0 {
		t.Errorf("after a reset: %v", got)
	}
}

func TestWhatChangesTheLoginNeedsAFreshOne(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, _ := at("phone", 1)
	x.pass(10*time.Minute + time.Second)
	_, totpErr := x.BeginTOTP(t.Context(), o, ann)
	_, confirmErr := x.ConfirmTOTP(t.Context(), o, ann, "000000")
	_, passkeyErr := x.BeginPasskey(t.Context(), o, ann)
	_, addErr := x.AddPasskey(t.Context(), o, ann, "", json.RawMessage(`{}`))
	_, exportErr := x.Export(t.Context(), o, ann)
	for name, err := range map[string]error{
		"begin codes": totpErr, "confirm codes": confirmErr, "begin a passkey": passkeyErr, "add a passkey": addErr, "export": exportErr,
		"remove codes": x.RemoveTOTP(t.Context(), o, ann), "remove a passkey": x.RemovePasskey(t.Context(), o, ann, "x"),
		"another address": x.AskEmail(t.Context(), o, ann, "new@example.com"), "confirm it": x.ConfirmEmail(t.Context(), o, ann, "new@example.com", "A"),
		"delete": x.Delete(t.Context(), o, ann),
	} {
		wantReason(t, name, err, "step_up login_too_old")
		if broker.Shown(err).MaxAge != 10*time.Minute {
			t.Errorf("%s: max_age %s", name, broker.Shown(err).MaxAge)
		}
	}
	if _, err := x.Me(t.Context(), o, ann); err != nil {
		t.Errorf("to read one's own entry: %v", err)
	}
}

func TestASecondFactorIsAskedForAtTheLogin(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, _ := at("phone", 1)
	made, err := x.BeginTOTP(t.Context(), o, ann)
	must(t, err)
	code := func() string {
		x.pass(30 * time.Second)
		code, err := totp.GenerateCode(made.Secret, x.now())
		must(t, err)
		return code
	}
	_, err = x.ConfirmTOTP(t.Context(), o, ann, "000000")
	wantReason(t, "a wrong code", err, "invalid_request wrong_code")
	recovery, err := x.ConfirmTOTP(t.Context(), o, ann, code())
	must(t, err)
	_, err = x.BeginTOTP(t.Context(), o, ann)
	wantReason(t, "a second one over it", err, "invalid_request already_there")
	_, err = x.login(t, "phone", 1, "ann@example.com", otherPassword, "")
	wantReason(t, "a wrong password", err, "unauthenticated wrong_credentials")
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	wantReason(t, "without the code", err, "step_up totp_required")
	if broker.Shown(err).ACR != "totp" {
		t.Errorf("it does not name what is missing: %+v", broker.Shown(err))
	}
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "000000")
	wantReason(t, "with a wrong code", err, "unauthenticated wrong_credentials")
	login, err := x.login(t, "phone", 1, "ann@example.com", goodPassword, code())
	must(t, err)
	if !login.Identity.MFA() || !slices.Contains(login.Identity.Methods, "otp") {
		t.Errorf("methods %v", login.Identity.Methods)
	}
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, recovery[0])
	must(t, err)
	for i := range 40 { // somebody who knows the password guesses codes
		_, err = x.login(t, "stranger", 50+i, "ann@example.com", goodPassword, "000000")
	}
	wantReason(t, "the fortieth guess of a code", err, "rate_limited rate_limited")
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, code())
	must(t, err)
	must(t, x.RemoveTOTP(t.Context(), o, ann))
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	must(t, err)
}

func TestAPasskeyIsAddedAndLogsIn(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, guest := at("phone", 1)
	a := &idptest.Authenticator{Origin: "https://sso.example.com"}
	options, err := x.BeginPasskey(t.Context(), o, ann)
	must(t, err)
	body, err := a.Create(options)
	must(t, err)
	made, err := x.AddPasskey(t.Context(), o, ann, "phone", body)
	must(t, err)
	get := func(c broker.Caller) json.RawMessage {
		options, err := x.BeginPasskeyLogin(t.Context(), o, c, "notes")
		must(t, err)
		body, err := a.Get(options)
		must(t, err)
		return body
	}
	body = get(guest)
	login, err := x.PasskeyLogin(t.Context(), o, guest, body)
	must(t, err)
	if login.Identity.Subject != ann.Identity.Subject || !login.Identity.MFA() {
		t.Errorf("got %+v", login.Identity)
	}
	_, err = x.PasskeyLogin(t.Context(), o, guest, body)
	wantReason(t, "the same again", err, "unauthenticated wrong_credentials")
	_, err = x.PasskeyLogin(t.Context(), o, guest, json.RawMessage(`{"id":1}`))
	wantReason(t, "no passkey's answer", err, "unauthenticated passkey")
	o2, other := at("tablet", 2)
	_, err = x.PasskeyLogin(t.Context(), o2, other, get(guest))
	wantReason(t, "what another device asked for", err, "unauthenticated wrong_credentials")
	wantReason(t, "to remove one that is not there", x.RemovePasskey(t.Context(), o, ann, "AAAA"), "access_denied not_found")
	must(t, x.RemovePasskey(t.Context(), o, ann, made.ID))
	_, err = x.PasskeyLogin(t.Context(), o, guest, get(guest))
	if err == nil {
		t.Error("a passkey that was removed logs in")
	}
}

func TestAnAddressIsChangedAndTheOldOneIsTold(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, _ := at("phone", 1)
	must(t, x.AskEmail(t.Context(), o, ann, "ann@new.example"))
	if l := x.letters[len(x.letters)-1]; l.To != "ann@new.example" {
		t.Errorf("letter %+v", l)
	}
	code := x.lastCode(t)
	wantReason(t, "a wrong code", x.ConfirmEmail(t.Context(), o, ann, "ann@new.example", "AAAAAAAA"), "invalid_request wrong_code")
	must(t, x.ConfirmEmail(t.Context(), o, ann, "ann@new.example", code))
	if l := x.letters[len(x.letters)-1]; l.To != "ann@example.com" || l.Subject != "Your address was changed" {
		t.Errorf("letter %+v", l)
	}
	after := x.in(t, "phone", "ann@new.example", goodPassword)
	if after.Identity.Subject != ann.Identity.Subject {
		t.Error("another subject")
	}
}

func TestEverythingIsExportedAndThenDeleted(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	bob := x.inhabit(t, "bobs", "bob@example.com")
	o, _ := at("phone", 1)
	x.tokens(t, ann, ann.Session)
	x.tokens(t, bob, bob.Session)
	x.devices[ann.Identity.Subject] = []string{"phone", "laptop"}
	all, err := x.Export(t.Context(), o, ann)
	must(t, err)
	document, err := json.Marshal(all)
	must(t, err)
	if all.Person.Email != "ann@example.com" || !slices.Equal(all.Devices["notes"], []string{"phone", "laptop"}) || len(all.Sessions) != 1 || len(all.Activity) < 2 || !all.Whole {
		t.Errorf("exported %s", document)
	}
	for _, never := range []string{"argon2", "bob@", "sealed", goodPassword} {
		if strings.Contains(string(document), never) {
			t.Errorf("the export holds %q: %s", never, document)
		}
	}
	must(t, x.Delete(t.Context(), o, ann))
	_, err = x.login(t, "phone", 1, "ann@example.com", goodPassword, "")
	wantReason(t, "a login afterwards", err, "unauthenticated wrong_credentials")
	if got := x.live(t, ann.Identity.Subject); len(got) > 0 || !slices.Equal(x.revoked, []string{"phone", "laptop"}) {
		t.Errorf("left: tokens %v; revoked devices %v", got, x.revoked)
	}
	if got := x.live(t, bob.Identity.Subject); len(got) != 1 {
		t.Errorf("bob has %v", got)
	}
	again := x.inhabit(t, "phone", "ann@example.com")
	if again.Identity.Subject == ann.Identity.Subject {
		t.Error("the subject came back")
	}
}

func TestALogoutEndsTheTokensOfThisDevice(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	ann := x.inhabit(t, "phone", "ann@example.com")
	o, _ := at("phone", 1)
	x.tokens(t, ann, ann.Session)
	x.tokens(t, ann, "laptop")
	must(t, x.Logout(t.Context(), o, ann))
	if got := x.live(t, ann.Identity.Subject); !slices.Equal(got, []string{"laptop"}) {
		t.Errorf("left %v", got)
	}
}
