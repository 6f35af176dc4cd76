package broker_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// leaver is a provider's side of single logout.
type leaver struct {
	gone       idp.Departure
	none       bool
	begun      idp.Upstream
	handle     string
	err, reply error
	answered   idp.Departure
}

func (l *leaver) BeginLogout(_ context.Context, up idp.Upstream, handle string) (idp.Redirect, []byte, error) {
	if l.none {
		return idp.Redirect{}, nil, idp.ErrNoLogout
	}
	l.begun, l.handle = up, handle
	return idp.Redirect{URL: "https://idp.example.com/slo"}, []byte("leaving"), l.err
}

func (l *leaver) FinishLogout(_ context.Context, pending []byte, _ idp.Answer) error {
	if string(pending) != "leaving" {
		return errors.New("not my pending logout")
	}
	return l.err
}

func (l *leaver) Departed(context.Context, idp.Answer) (idp.Departure, error) { return l.gone, l.err }

func (l *leaver) LeaveDeparture(_ context.Context, d idp.Departure) (idp.Redirect, error) {
	l.answered = d
	return idp.Redirect{URL: "https://idp.example.com/slo/done"}, l.reply
}

// at makes a session of the provider "leaving", which the bench's Logouter plays.
func (b *bench) at(t *testing.T, subject, nameID, index string) string {
	t.Helper()
	token, _, err := b.sessions.Create(t.Context(), session.New{Via: "browser", Login: idp.Login{
		Identity: idp.Identity{Provider: "leaving", Subject: subject, Username: subject},
		Upstream: idp.Upstream{NameID: nameID, SessionIndex: index, IDToken: secret.New("canary-id-token")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (b *bench) leave(t *testing.T, relay, browser string, returned bool) (broker.Left, error) {
	t.Helper()
	return b.Leave(t.Context(), broker.LeaveRequest{Origin: origin, Provider: "leaving", Type: "saml", Browser: browser, Returned: returned,
		Answer: idp.Answer{Query: url.Values{"RelayState": {relay}}}})
}

func TestSigningOutGoesOnToTheProviderAndBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.at(t, "alice", "name-of-alice", "_i")
	left, err := b.SignOut(t.Context(), origin, token, "")
	if err != nil || left.To == nil || left.To.URL != "https://idp.example.com/slo" || !session.IsHandle(left.Browser) {
		t.Fatalf("%+v %v", left, err)
	}
	if _, err := b.Session(t.Context(), origin, token); err == nil {
		t.Error("the session waits for the provider")
	}
	if up := b.leaver.begun; up.NameID != "name-of-alice" || up.SessionIndex != "_i" || up.IDToken.Reveal() != "canary-id-token" {
		t.Errorf("the provider is told of %+v", b.leaver.begun)
	}
	_, err = b.leave(t, b.leaver.handle, session.NewHandle(), true)
	refused(t, err, broker.InvalidRequest, "no_pending_logout")
	if back, err := b.leave(t, b.leaver.handle, left.Browser, true); err != nil || back.To != nil {
		t.Errorf("%+v %v", back, err)
	}
	_, err = b.leave(t, b.leaver.handle, left.Browser, true)
	refused(t, err, broker.InvalidRequest, "no_pending_logout")

	handle, browser := b.begin(t, "") // a pending sign-in is no pending logout
	_, err = b.leave(t, handle, browser, true)
	refused(t, err, broker.InvalidRequest, "no_pending_logout")

	left, err = b.SignOut(t.Context(), origin, b.at(t, "alice", "a", ""), left.Browser)
	if err != nil {
		t.Fatal(err)
	}
	b.leaver.err = idp.Reject("in-response-to", "another's")
	_, err = b.leave(t, b.leaver.handle, left.Browser, true)
	refused(t, err, broker.AccessDenied, "in-response-to")
}

func TestSigningOutHereNeedsNoProvider(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, edit := range map[string]func(){
		"it takes no logout": func() { b.leaver.none = true },
		"it is not there":    func() { b.leaver.none, b.leaver.err = false, idp.ErrUnavailable },
	} {
		edit()
		token := b.at(t, "alice", "a", "")
		if left, err := b.SignOut(t.Context(), origin, token, ""); err != nil || left.To != nil {
			t.Errorf("%s: %+v %v", name, left, err)
		}
		if _, err := b.Session(t.Context(), origin, token); err == nil {
			t.Errorf("%s: the session lives", name)
		}
	}
}

// The provider hears that it failed, not that all is well.
func TestALogoutThatCannotBeDoneIsAnsweredAsAFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(t, "alice", "n-1", "_1")
	b.leaver.gone = idp.Departure{NameID: "n-1", Once: idp.Once{Key: "logout:_x", Until: b.clock.Now().Add(time.Hour)}}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := b.leave(t, "theirs", "", false)
	if err != nil || left.To == nil || !b.leaver.answered.Failed {
		t.Errorf("%+v %v, answered %+v", left, err, b.leaver.answered)
	}
	if r := b.recorded(t, "logout.provider"); len(r) != 1 || r[0]["outcome"] != "failed" || r[0]["reason"] != "store" {
		t.Errorf("recorded %v", r)
	}
}

func TestALogoutAtTheProviderEndsTheSessionsItMeans(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sessions []string
		left     map[string]bool
	}{
		"one session": {[]string{"_1"}, map[string]bool{"alice 2": true, "bob": true}},
		"all of them": {nil, map[string]bool{"bob": true}},
	} {
		b := newBench(t)
		cookies := map[string]string{"alice 1": b.at(t, "alice", "n-1", "_1"), "alice 2": b.at(t, "alice", "n-1", "_2"), "bob": b.at(t, "n-1", "n-2", "_1")}
		b.leaver.gone = idp.Departure{NameID: "n-1", Sessions: test.sessions, Once: idp.Once{Key: "logout:_x", Until: b.clock.Now().Add(time.Hour)}}
		left, err := b.leave(t, "theirs", "", false)
		if err != nil || left.To == nil || left.To.URL != "https://idp.example.com/slo/done" {
			t.Fatalf("%s: %+v %v", name, left, err)
		}
		for who, cookie := range cookies {
			if _, err := b.Session(t.Context(), origin, cookie); (err == nil) != test.left[who] {
				t.Errorf("%s: %s: %v", name, who, err)
			}
		}
		later := b.at(t, "alice", "n-1", "_1")
		_, err = b.leave(t, "theirs", "", false)
		refused(t, err, broker.InvalidRequest, "replay")
		if _, err := b.Session(t.Context(), origin, later); err != nil {
			t.Errorf("%s: a replay ended a later session: %v", name, err)
		}
		if r := b.recorded(t, "logout.provider"); len(r) != 2 || r[0]["outcome"] != "granted" || r[0]["subject"] != "n-1" || r[1]["reason"] != "replay" {
			t.Errorf("%s: recorded %v", name, r)
		}
	}
}

func TestAForgedLogoutEndsNoSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.at(t, "alice", "n-1", "_1")
	b.leaver.gone, b.leaver.err = idp.Departure{NameID: "n-1"}, idp.Reject("signature", "by a stranger")
	_, err := b.leave(t, "", "", false)
	refused(t, err, broker.AccessDenied, "signature")
	for _, provider := range []string{"corp", "ci", "nobody"} {
		_, err := b.Leave(t.Context(), broker.LeaveRequest{Origin: origin, Provider: provider, Type: "saml"})
		refused(t, err, broker.InvalidRequest, "unknown_provider")
	}
	if _, err := b.Session(t.Context(), origin, token); err != nil {
		t.Error(err)
	}
	if r := b.recorded(t, "logout.provider"); len(r) != 4 || r[0]["outcome"] != "refused" || r[0]["reason"] != "signature" {
		t.Errorf("recorded %v", r)
	}
	b.leaver.err, b.leaver.reply = nil, errors.New("no address to answer at")
	b.leaver.gone.Once = idp.Once{Key: "logout:_y", Until: b.clock.Now()}
	if left, err := b.leave(t, "", "", false); err != nil || left.To != nil {
		t.Errorf("a provider that cannot be answered: %+v %v", left, err)
	}
	if _, err := b.Session(t.Context(), origin, token); err == nil {
		t.Error("the session lives because the provider cannot be answered")
	}
}
