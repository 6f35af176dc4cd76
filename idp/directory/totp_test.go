package directory_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/directory"

	"errors"
)

// enrol gives a person a second factor and its secret and recovery codes. The code
// of this period is spent.
func (w *world) enrol(t *testing.T, id string) (key string, recovery []string) {
	t.Helper()
	made, err := w.BeginTOTP(t.Context(), id)
	must(t, err)
	recovery, err = w.ConfirmTOTP(t.Context(), id, w.code(t, made.Secret, 0))
	must(t, err)
	return made.Secret, recovery
}

func (w *world) code(t *testing.T, key string, ahead time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(key, w.now().Add(ahead))
	must(t, err)
	return code
}

func TestASecondFactorIsSetUpByACodeOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	_, err := w.ConfirmTOTP(t.Context(), ann.ID, "123456")
	wantError(t, "before it began", err, directory.ErrNoTOTP)
	made, err := w.BeginTOTP(t.Context(), ann.ID)
	must(t, err)
	if !strings.HasPrefix(made.URI, "otpauth://totp/Example:ann@example.com?") || !strings.Contains(made.URI, "secret="+made.Secret) {
		t.Errorf("got %s", made.URI)
	}
	_, err = w.ConfirmTOTP(t.Context(), ann.ID, "000000")
	wantError(t, "a wrong code", err, directory.ErrWrong)
	_, err = w.CheckCode(t.Context(), ann.ID, w.code(t, made.Secret, 0))
	wantError(t, "a factor that is not in force", err, directory.ErrWrong)
	if login, err := w.VerifyPassword(t.Context(), ann.Email, secret.New(good)); err != nil || login.Identity.MFA() {
		t.Errorf("a factor that is not in force asks at the login: %+v, %v", login, err)
	}
	recovery, err := w.ConfirmTOTP(t.Context(), ann.ID, w.code(t, made.Secret, 0))
	must(t, err)
	if len(recovery) != 10 || recovery[0] == recovery[1] {
		t.Errorf("recovery codes %v", recovery)
	}
	_, err = w.BeginTOTP(t.Context(), ann.ID)
	wantError(t, "a second one over the first", err, directory.ErrTaken)
}

func TestACodeCountsOnceAndForAMinuteAndAHalf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	key, _ := w.enrol(t, ann.ID)
	for _, c := range []struct {
		name  string
		pass  time.Duration
		ahead time.Duration
		right bool
	}{
		{"the code of the enrolment", 0, 0, false},
		{"a phone that is half a minute ahead", 0, 30 * time.Second, true},
		{"the same again", 0, 30 * time.Second, false},
		{"an earlier one after it", 0, 0, false},
		{"a phone that is a minute ahead", time.Minute, time.Minute, false},
		{"now", 0, 0, true},
		{"the last one, half a minute late", time.Minute, -30 * time.Second, true},
		{"a minute late", time.Minute, -time.Minute, false},
	} {
		w.pass(c.pass)
		if _, err := w.CheckCode(t.Context(), ann.ID, w.code(t, key, c.ahead)); (err == nil) != c.right {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestOfManyWhoUseOneCodeOneComesIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	key, recovery := w.enrol(t, ann.ID)
	w.pass(time.Minute)
	for _, code := range []string{w.code(t, key, 0), recovery[3]} {
		var in atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if _, err := w.CheckCode(t.Context(), ann.ID, code); err == nil {
					in.Add(1)
				}
			})
		}
		group.Wait()
		if in.Load() != 1 {
			t.Errorf("%d came in by one code", in.Load())
		}
	}
}

func TestARecoveryCodeWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	_, recovery := w.enrol(t, ann.ID)
	typed := strings.ToLower(strings.ReplaceAll(recovery[0], "-", " "))
	p, err := w.CheckCode(t.Context(), ann.ID, typed)
	must(t, err)
	if p.Recovery != 9 {
		t.Errorf("%d are left", p.Recovery)
	}
	_, err = w.CheckCode(t.Context(), ann.ID, recovery[0])
	wantError(t, "again", err, directory.ErrWrong)
	for _, wrong := range []string{"", "-", "AAAAAA-AAAAAA", recovery[1][:6], strings.Repeat("A", 5000)} {
		_, err = w.CheckCode(t.Context(), ann.ID, wrong)
		wantError(t, wrong, err, directory.ErrWrong)
	}
	_, err = w.RemoveTOTP(t.Context(), ann.ID)
	must(t, err)
	_, err = w.CheckCode(t.Context(), ann.ID, recovery[1])
	wantError(t, "after the factor was removed", err, directory.ErrWrong)
}

func TestThePortalAsksForTheSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	login, err := w.VerifyPassword(t.Context(), ann.Email, secret.New(good))
	must(t, err)
	if who := login.Identity; who.Provider != "people" || who.Subject != ann.ID || who.Username != "ann@example.com" || who.MFA() || who.Methods[0] != "pwd" || !who.AuthenticatedAt.Equal(w.now()) {
		t.Errorf("got %+v", who)
	}
	key, _ := w.enrol(t, ann.ID)
	w.pass(time.Minute)
	_, err = w.VerifyPassword(t.Context(), ann.Email, secret.New(other))
	if r, ok := errors.AsType[*idp.Rejection](err); !ok || r.Reason != "wrong-credentials" {
		t.Errorf("a wrong password: %v", err)
	}
	_, err = w.VerifyPassword(t.Context(), ann.Email, secret.New(good))
	asked, ok := errors.AsType[*idp.Challenge](err)
	if !ok || asked.Kind != "totp" || asked.Identity.Subject != ann.ID {
		t.Fatalf("got %v", err)
	}
	_, err = w.AnswerChallenge(t.Context(), asked.Data, secret.New("000000"))
	if r, ok := errors.AsType[*idp.Rejection](err); !ok || r.Reason != "wrong-credentials" {
		t.Errorf("a wrong code: %v", err)
	}
	login, err = w.AnswerChallenge(t.Context(), asked.Data, secret.New(w.code(t, key, 0)))
	must(t, err)
	if !login.Identity.MFA() {
		t.Errorf("methods %v", login.Identity.Methods)
	}
	w.pass(5 * time.Minute)
	if _, err = w.AnswerChallenge(t.Context(), asked.Data, secret.New(w.code(t, key, 0))); err == nil {
		t.Error("a challenge of five minutes ago")
	}
	if _, err = w.AnswerChallenge(t.Context(), []byte("{"), secret.New("1")); err == nil {
		t.Error("a broken challenge")
	}
}

func TestTheLastDevicesOfAPersonAreKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	for i := range 25 {
		must(t, w.Remember(t.Context(), ann.ID, string(rune('a'+i))))
	}
	for holder, want := range map[string]bool{"a": false, "e": false, "f": true, "y": true, "z": false, "": false} {
		if got, err := w.Knows(t.Context(), "ANN@example.com", holder); err != nil || got != want {
			t.Errorf("%q: %t, %v", holder, got, err)
		}
	}
	if got, err := w.Knows(t.Context(), "bob@example.com", "y"); err != nil || got {
		t.Errorf("of somebody who is not here: %t, %v", got, err)
	}
}
