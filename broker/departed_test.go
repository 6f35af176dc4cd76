package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// departures knows logout tokens by their text.
type departures map[string]idp.Departure

func (d departures) VerifyLogout(_ context.Context, raw string) (idp.Departure, error) {
	gone, ok := d[raw]
	if !ok {
		return idp.Departure{}, idp.Reject("signature", "a token of nobody")
	}
	gone.Once = idp.Once{Key: "logout " + raw, Until: time.Now().Add(time.Hour)}
	return gone, nil
}

// live makes a session at ci and gives its cookie.
func (b *bench) live(t *testing.T, subject, sid string) string {
	t.Helper()
	token, _, err := b.sessions.Create(t.Context(), session.New{Via: "browser", Login: idp.Login{
		Identity: idp.Identity{Provider: "ci", Subject: subject, Username: subject},
		Upstream: idp.Upstream{NameID: subject, SessionIndex: sid, Sid: sid},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAProvidersWordEndsSessionsAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		gone idp.Departure
		left []string
	}{
		"of one sid":            {idp.Departure{NameID: "alice", Sessions: []string{"s-1"}}, []string{"alice s-2", "bob s-3"}},
		"of a sid alone":        {idp.Departure{Sessions: []string{"s-2"}}, []string{"alice s-1", "bob s-3"}},
		"of a person":           {idp.Departure{NameID: "alice"}, []string{"bob s-3"}},
		"of another's sid":      {idp.Departure{NameID: "bob", Sessions: []string{"s-1"}}, []string{"alice s-1", "alice s-2", "bob s-3"}},
		"of a sid that is none": {idp.Departure{Sessions: []string{"s-9"}}, []string{"alice s-1", "alice s-2", "bob s-3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOf(t, yaml+forPrograms)
			b.departures["token"] = test.gone
			cookies := map[string]string{"alice s-1": b.live(t, "alice", "s-1"), "alice s-2": b.live(t, "alice", "s-2"), "bob s-3": b.live(t, "bob", "s-3")}
			req := broker.DepartedRequest{Origin: origin, Provider: "ci", Token: secret.New("token")}
			if err := b.Departed(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			left := map[string]bool{}
			for _, who := range test.left {
				left[who] = true
			}
			for who, cookie := range cookies {
				if _, err := b.Session(t.Context(), origin, cookie); (err == nil) != left[who] {
					t.Errorf("%s: %v, want left %v", who, err, left[who])
				}
			}
			later := b.live(t, "alice", "s-1")
			refused(t, b.Departed(t.Context(), req), broker.InvalidRequest, "replay")
			if _, err := b.Session(t.Context(), origin, later); err != nil {
				t.Errorf("a replay ended a later session: %v", err)
			}
			if r := b.recorded(t, "logout.provider"); len(r) != 2 || r[0]["outcome"] != "granted" || r[1]["reason"] != "replay" {
				t.Errorf("recorded %v", r)
			}
		})
	}
}

func TestWordsOfNobodyEndNothing(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	cookie := b.live(t, "alice", "s-1")
	for provider, reason := range map[string]string{"ci": "signature", "corp": "unknown_provider", "nobody": "unknown_provider"} {
		refused(t, b.Departed(t.Context(), broker.DepartedRequest{Origin: origin, Provider: provider, Token: secret.New("forged")}), broker.InvalidRequest, reason)
	}
	if _, err := b.Session(t.Context(), origin, cookie); err != nil {
		t.Error(err)
	}
}
