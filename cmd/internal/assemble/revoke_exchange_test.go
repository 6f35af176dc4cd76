package assemble

import (
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// exchangeNodes are two nodes that take tokens of an OpenID provider.
func exchangeNodes(t *testing.T) ([2]*Daemon, *idptest.OP) {
	t.Helper()
	op := idptest.StartOP(t, time.Now)
	nodes := twoNodesOf(t, "  - {name: ci, type: oidc, issuer: \""+op.Issuer+"\", client_id: rolecall, allow_private: true, groups: {claim: groups}}\n",
		"  - {name: programs, providers: [ci], groups: [platform], role: production/Admin}\nadmins: {providers: [corp], users: [ops]}\n")
	return nodes, op
}

// tokenOf is of somebody at the provider, made so long ago.
func tokenOf(op *idptest.OP, subject string, ago time.Duration) string {
	claims := op.Claims()
	claims["sub"], claims["iat"] = subject, time.Now().Add(-ago).Unix()
	return op.Sign(op.Key(), claims, nil)
}

// exchanged is the access key that a token gives, or the code of the refusal.
func exchanged(t *testing.T, d *Daemon, token string) string {
	t.Helper()
	got, err := d.Broker().Exchange(t.Context(), broker.ExchangeRequest{
		Origin: broker.Origin{RequestID: "r"}, Evidence: broker.Evidence{Token: secret.New(token)}, Order: broker.Order{Role: "production/Admin"},
	})
	if err != nil {
		return string(broker.CodeOf(err)) + " " + broker.Shown(err).Reason
	}
	return got.Credentials.AccessKeyID
}

func TestTokensOfBeforeARevocationAreRefusedAtExchangeAndNewerOnesWork(t *testing.T) {
	t.Parallel()
	nodes, op := exchangeNodes(t)
	old, bobs, cached := tokenOf(op, "alice", 2*time.Minute), tokenOf(op, "bob", 2*time.Minute), ""
	for i, n := range nodes {
		if cached = exchanged(t, n, old); len(cached) != 20 {
			t.Fatalf("node %d, before: %s", i, cached)
		}
	}
	revokeAndPoll(t, nodes, operate.Order{Kind: revocation.User, Target: "ci=alice"})
	late := tokenOf(op, "alice", time.Minute) // never seen, but made before
	for i, n := range nodes {
		for name, evidence := range map[string]string{"seen before": old, "never seen": late} {
			if got := exchanged(t, n, evidence); got != "unauthenticated revoked" {
				t.Errorf("node %d, a token %s: %s", i, name, got)
			}
			if _, err := n.Broker().Admit(t.Context(), broker.Origin{RequestID: "r"}, broker.Evidence{Token: secret.New(evidence)}); broker.CodeOf(err) != broker.Unauthenticated {
				t.Errorf("node %d, a token %s for a token of ours: %v", i, name, err)
			}
		}
		if got := exchanged(t, n, bobs); len(got) != 20 {
			t.Errorf("node %d, somebody else: %s", i, got)
		}
	}
	until := time.Now().Truncate(time.Second).Add(time.Second + 50*time.Millisecond)
	for time.Now().Before(until) { // tokens say when in whole seconds
		time.Sleep(10 * time.Millisecond)
	}
	fresh := tokenOf(op, "alice", 0)
	for i, n := range nodes {
		if got := exchanged(t, n, fresh); len(got) != 20 || got == cached {
			t.Errorf("node %d, a token of after: %s", i, got)
		}
	}
	revokeAndPoll(t, nodes, operate.Order{Kind: revocation.User, Target: "ci=alice", Until: time.Now().Add(time.Hour)})
	if got := exchanged(t, nodes[1], tokenOf(op, "alice", -time.Minute)); got != "access_denied revoked" {
		t.Errorf("before the time is over: %s", got)
	}
}

func TestTheAdministrationsRevocationIsKnownToEveryNode(t *testing.T) {
	t.Parallel()
	nodes, op := exchangeNodes(t)
	sessions := session.NewSessions(session.Config{Store: nodes[0].store, Now: time.Now})
	person := idp.Identity{Provider: "ci", Subject: "alice", Username: "subject-1", Groups: []string{"platform"}}
	cookie, made, err := sessions.Create(t.Context(), session.New{Login: idp.Login{Identity: person}, Via: "browser"})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := nodes[1].Broker().Session(t.Context(), broker.Origin{RequestID: "r"}, cookie)
	if err != nil {
		t.Fatal(err)
	}
	old := tokenOf(op, "alice", time.Minute)
	if a, b := ordered(t, nodes[1], caller, "production/Admin"), exchanged(t, nodes[1], old); len(a) != 20 || len(b) != 20 {
		t.Fatalf("before: %s, %s", a, b)
	}
	ops := broker.Caller{Via: broker.ViaBrowser, Identity: idp.Identity{Provider: "corp", Subject: "o-1", Username: "ops"}}
	if err := nodes[0].current.Load().desk.End(t.Context(), broker.Origin{RequestID: "r"}, ops, made.ID, true, "left the company"); err != nil {
		t.Fatal(err)
	}
	if got := exchanged(t, nodes[0], old); got != "unauthenticated revoked" { // its own node knows at once
		t.Errorf("on the node of the administrator: %s", got)
	}
	if err := nodes[1].revoked.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The caller was let in before; what is cached for it must be dead all the same.
	if got := ordered(t, nodes[1], caller, "production/Admin"); got != "unauthenticated" {
		t.Errorf("an order of the session elsewhere: %s", got)
	}
	if got := exchanged(t, nodes[1], old); got != "unauthenticated revoked" {
		t.Errorf("a token of before elsewhere: %s", got)
	}
}
