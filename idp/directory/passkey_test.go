package directory_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/directory"
	"github.com/rolecall/rolecall/idp/idptest"
)

func authenticator() *idptest.Authenticator {
	return &idptest.Authenticator{Origin: "https://sso.example.com"}
}

// passkey gives a person one.
func (w *world) passkey(t *testing.T, id string) *idptest.Authenticator {
	t.Helper()
	a := authenticator()
	options, err := w.BeginPasskey(t.Context(), id, phone)
	must(t, err)
	body, err := a.Create(options)
	must(t, err)
	made, err := w.FinishPasskey(t.Context(), id, phone, " Ann's\x00 phone ", body)
	must(t, err)
	if made.Label != "Ann's phone" || made.ID == "" {
		t.Fatalf("made %+v", made)
	}
	return a
}

func TestAPasskeySignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.add(t, "ann@example.com")
	w.add(t, "bob@example.com")
	a := w.passkey(t, ann.ID)
	options, err := w.BeginLogin(t.Context(), phone)
	must(t, err)
	if bytes.Contains(options, []byte(ann.ID)) || bytes.Contains(options, []byte("allowCredentials")) {
		t.Errorf("the options name somebody: %s", options)
	}
	body, err := a.Get(options)
	must(t, err)
	login, err := w.LoginByPasskey(t.Context(), phone, body)
	must(t, err)
	if login.Identity.Subject != ann.ID || !login.Identity.MFA() || strings.Join(login.Identity.Methods, ",") != "hwk,user,mfa" {
		t.Errorf("got %+v", login.Identity)
	}
	_, err = w.FinishLogin(t.Context(), phone, body)
	wantError(t, "the same answer again", err, directory.ErrWrong)
	p, err := w.ByID(t.Context(), ann.ID)
	must(t, err)
	if len(p.Passkeys) != 1 || !p.Passkeys[0].Used.Equal(w.now()) {
		t.Errorf("kept %+v", p.Passkeys)
	}
}

func TestWhatAPasskeyMustNotDo(t *testing.T) {
	t.Parallel()
	type attempt struct {
		w       *world
		a       *idptest.Authenticator
		ann     directory.Person
		options []byte
		holder  string
	}
	for name, spoil := range map[string]func(t *testing.T, x *attempt){
		"sign for another site":              func(_ *testing.T, x *attempt) { x.a.Origin = "https://evil.example" },
		"sign for a subdomain":               func(_ *testing.T, x *attempt) { x.a.Origin = "https://x.sso.example.com" },
		"sign for another relying party":     func(_ *testing.T, x *attempt) { x.a.RPID = "example.com" },
		"sign without that it was unlocked":  func(_ *testing.T, x *attempt) { x.a.NoUserVerification = true },
		"sign a challenge of its own":        func(_ *testing.T, x *attempt) { x.a.Challenge = strings.Repeat("A", 43) },
		"come late":                          func(_ *testing.T, x *attempt) { x.w.pass(5 * time.Minute) },
		"answer what another device asked":   func(_ *testing.T, x *attempt) { x.holder = "device-2" },
		"sign with a counter that went back": func(_ *testing.T, x *attempt) { x.a.Counter = 0 },
		"sign for somebody who is disabled": func(t *testing.T, x *attempt) {
			t.Helper()
			_, err := x.w.Disable(t.Context(), x.ann.ID, true)
			must(t, err)
		},
		"sign for somebody who is gone": func(t *testing.T, x *attempt) { t.Helper(); must(t, x.w.Delete(t.Context(), x.ann.ID)) },
		"sign after it was removed": func(t *testing.T, x *attempt) {
			t.Helper()
			p, err := x.w.ByID(t.Context(), x.ann.ID)
			must(t, err)
			must(t, x.w.RemovePasskey(t.Context(), x.ann.ID, p.Passkeys[0].ID))
		},
		"answer the challenge of a registration": func(t *testing.T, x *attempt) {
			t.Helper()
			var err error
			x.options, err = x.w.BeginPasskey(t.Context(), x.ann.ID, phone)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := &attempt{w: w, ann: w.add(t, "ann@example.com"), holder: phone}
			x.a = w.passkey(t, x.ann.ID)
			x.a.Counter = 7
			first, err := w.BeginLogin(t.Context(), phone)
			must(t, err)
			body, err := x.a.Get(first)
			must(t, err)
			_, err = w.FinishLogin(t.Context(), phone, body)
			must(t, err)
			x.options, err = w.BeginLogin(t.Context(), phone)
			must(t, err)
			spoil(t, x)
			body, err = x.a.Get(x.options)
			must(t, err)
			if p, err := w.FinishLogin(t.Context(), x.holder, body); err == nil {
				t.Errorf("it came in: %+v", p)
			} else if _, ok := errors.AsType[*idp.Rejection](err); !ok && !errors.Is(err, directory.ErrWrong) {
				t.Errorf("not a refusal: %v", err)
			}
		})
	}
}

func TestAPasskeyIsMadeByWhoAskedAndOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann, bob := w.add(t, "ann@example.com"), w.add(t, "bob@example.com")
	options, err := w.BeginPasskey(t.Context(), ann.ID, phone)
	must(t, err)
	body, err := authenticator().Create(options)
	must(t, err)
	if _, err = w.FinishPasskey(t.Context(), bob.ID, phone, "", body); err == nil {
		t.Error("bob took the passkey that was made for ann")
	}
	_, err = w.FinishPasskey(t.Context(), ann.ID, phone, "", body)
	wantError(t, "a challenge that was used", err, directory.ErrWrong)
	wantError(t, "to remove one that is not there", w.RemovePasskey(t.Context(), ann.ID, "AAAA"), directory.ErrNotFound)
	w.passkey(t, ann.ID)
	_, err = w.RemoveFactors(t.Context(), ann.ID)
	must(t, err)
	if p, err := w.ByID(t.Context(), ann.ID); err != nil || len(p.Passkeys) > 0 {
		t.Errorf("left: %+v, %v", p, err)
	}
}

func TestAPasskeyOfAnAppOfOurs(t *testing.T) {
	t.Parallel()
	const app = "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	w := newWorld(t, func(p *config.Provider) {
		p.Passkeys = config.Passkeys{RPID: config.Text{Value: "example.com"}, Origins: []config.Text{{Value: app}, {Value: "https://app.example.com"}}}
	})
	ann := w.add(t, "ann@example.com")
	for origin, want := range map[string]bool{app: true, "https://app.example.com": true, "https://sso.example.com": true, "android:apk-key-hash:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": false, "https://other.example.com": false} {
		a := &idptest.Authenticator{Origin: origin}
		options, err := w.BeginPasskey(t.Context(), ann.ID, phone)
		must(t, err)
		body, err := a.Create(options)
		must(t, err)
		if _, err := w.FinishPasskey(t.Context(), ann.ID, phone, "", body); (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestAtAnAddressThereAreNoPasskeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, err := directory.New(directory.Config{Provider: provider(), URL: "http://127.0.0.1:8400", Store: w.store, Sealer: w.sealer, Now: w.now})
	must(t, err)
	_, err = d.BeginLogin(t.Context(), phone)
	wantError(t, "an address", err, directory.ErrNoPasskeys)
	d, err = directory.New(directory.Config{Provider: provider(), URL: "http://localhost:8400", Store: w.store, Sealer: w.sealer, Now: w.now})
	must(t, err)
	_, err = d.BeginLogin(t.Context(), phone)
	must(t, err)
}

func FuzzPasskeyBodies(f *testing.F) {
	a := authenticator()
	created, err := a.Create([]byte(`{"publicKey":{"challenge":"AAAA","rp":{"id":"sso.example.com"},"user":{"id":"AAAA"}}}`))
	if err != nil {
		f.Fatal(err)
	}
	got, err := a.Get([]byte(`{"publicKey":{"challenge":"AAAA","rpId":"sso.example.com"}}`))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{created, got, nil, []byte("{}"), []byte(`{"id":"","rawId":"","type":"public-key","response":{}}`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if n := directory.ParsePasskeyBodies(body); n > 2 {
			t.Errorf("%d", n)
		}
	})
}
