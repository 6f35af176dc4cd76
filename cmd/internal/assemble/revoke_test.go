package assemble

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const nodesYAML = `
server: {url: "http://127.0.0.1:8400", listen: "127.0.0.1:0"}
store: %q
audit: {file: %q}
aws: {region: eu-west-1, endpoint: %q}
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}}
%saccounts: [{id: "111122223333", name: production}]
grants:
  - {name: admin, groups: [platform], role: production/Admin, duration: 1h}
  - {name: reader, groups: [platform], role: production/Reader, duration: 1h}
`

// twoNodes are daemons that share a store, as behind a load balancer.
func twoNodes(t *testing.T) [2]*Daemon { return twoNodesOf(t, "", "") }

// twoNodesOf have further providers and further sections.
func twoNodesOf(t *testing.T, providers, more string) [2]*Daemon {
	t.Helper()
	cloud := httptest.NewUnstartedServer(nil)
	url := "http://" + cloud.Listener.Addr().String()
	const user = "arn:aws:iam::999988887777:user/broker"
	made := devaws.Config{
		URL: url, Accounts: []devaws.Account{{ID: "111122223333"}, {ID: "999988887777"}},
		Users: []devaws.User{{ARN: user, AccessKeyID: "AKIABROKER0000000001", SecretAccessKey: secret.New("broker/secret")}},
	}
	for _, name := range []string{"Admin", "Reader"} {
		made.Roles = append(made.Roles, devaws.Role{ARN: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: name}, Trust: devaws.TrustPolicy("", user)})
	}
	handler, err := devaws.New(made)
	if err != nil {
		t.Fatal(err)
	}
	cloud.Config.Handler = handler
	cloud.Start()
	t.Cleanup(cloud.Close)
	dir := t.TempDir()
	var nodes [2]*Daemon
	for i := range nodes {
		text := fmt.Sprintf(nodesYAML, "sqlite:"+filepath.Join(dir, "rolecall.db"), filepath.Join(dir, fmt.Sprintf("audit-%d.jsonl", i)), url, providers) + more
		loaded, err := config.Parse("rolecall.yaml", []byte(text), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		own := credentials.NewStaticCredentialsProvider("AKIABROKER0000000001", "broker/secret", "")
		if nodes[i], err = New(t.Context(), Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: time.Now, AWS: own}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := nodes[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return nodes
}

func signedInAt(since time.Time) broker.Caller {
	c := modesCaller("u-1")
	c.Since = since
	return c
}

// ordered is the access key that a caller gets, or the code of the refusal.
func ordered(t *testing.T, d *Daemon, caller broker.Caller, role string) string {
	t.Helper()
	got, err := d.Broker().Vend(t.Context(), broker.Origin{RequestID: "r"}, caller, broker.Order{Role: role})
	if err != nil {
		return string(broker.CodeOf(err))
	}
	return got.Credentials.AccessKeyID
}

// revokeAndPoll revokes beside the nodes, and lets them ask as they do each second.
func revokeAndPoll(t *testing.T, nodes [2]*Daemon, order operate.Order) Revoked {
	t.Helper()
	done, err := Revoke(t.Context(), nodes[0].options, RevokeOptions{Order: order, Operator: "root"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if err := n.revoked.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return done
}

func TestARevokedPersonIsDeadOnEveryNodeCacheIncluded(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	before := signedInAt(time.Now().Add(-time.Minute))
	var cached [2]string
	for i, n := range nodes {
		cached[i] = ordered(t, n, before, "production/Admin")
		if again := ordered(t, n, before, "production/Admin"); again != cached[i] {
			t.Fatalf("node %d did not cache: %s, %s", i, cached[i], again)
		}
	}
	revokeAndPoll(t, nodes, operate.Order{Kind: revocation.User, Target: "corp=u-1"})
	after := signedInAt(time.Now().Add(time.Second))
	for i, n := range nodes {
		if got := ordered(t, n, before, "production/Admin"); got != "unauthenticated" {
			t.Errorf("node %d still gives %s", i, got)
		}
		if got := ordered(t, n, after, "production/Admin"); len(got) != 20 || got == cached[i] {
			t.Errorf("node %d gives %s to a new sign-in of the same session id; cached was %s", i, got, cached[i])
		}
		other := modesCaller("u-2")
		other.Identity.Username = "bob"
		if got := ordered(t, n, other, "production/Admin"); len(got) != 20 {
			t.Errorf("node %d: somebody else gets %s", i, got)
		}
	}
	revokeAndPoll(t, nodes, operate.Order{Kind: revocation.User, Target: "alice", Until: time.Now().Add(time.Hour)})
	if got := ordered(t, nodes[1], signedInAt(time.Now().Add(time.Minute)), "production/Admin"); got != "access_denied" {
		t.Errorf("before the time is over: %s", got)
	}
}

func TestARevokedGrantGivesNothingThatWasKept(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	who := signedInAt(time.Now())
	admin, reader := ordered(t, nodes[0], who, "production/Admin"), ordered(t, nodes[0], who, "production/Reader")
	done := revokeAndPoll(t, nodes, operate.Order{Kind: revocation.Grant, Target: "admin"})
	if got := ordered(t, nodes[0], who, "production/Admin"); len(got) != 20 || got == admin {
		t.Errorf("%s after %s", got, admin)
	}
	if got := ordered(t, nodes[0], who, "production/Reader"); got != reader {
		t.Errorf("another grant's: %s after %s", got, reader)
	}
	if len(done.Deny.Roles) != 1 || len(done.Deny.SourceIdentities) != 0 || !done.Last.Equal(done.At.Add(time.Hour)) {
		t.Errorf("%+v", done)
	}
	revokeAndPoll(t, nodes, operate.Order{Kind: revocation.Grant, Target: "admin", Until: time.Now().Add(time.Hour)})
	for i, n := range nodes {
		if got := ordered(t, n, who, "production/Admin"); got != "access_denied" {
			t.Errorf("node %d gives %s", i, got)
		}
	}
}

func TestARevokedSessionEndsAtTheNextRead(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	sessions := session.NewSessions(session.Config{Store: nodes[0].store, Now: time.Now})
	login := idp.Login{Identity: modesCaller("u-1").Identity}
	var tokens, ids []string
	for range 2 {
		token, made, err := sessions.Create(t.Context(), session.New{Login: login, Via: "browser"})
		if err != nil {
			t.Fatal(err)
		}
		tokens, ids = append(tokens, token), append(ids, made.ID)
	}
	done, err := Revoke(t.Context(), nodes[0].options, RevokeOptions{Order: operate.Order{Kind: revocation.Session, Target: ids[0]}, Operator: "root"})
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Deny.SourceIdentities) != 1 || done.Deny.SourceIdentities[0] != "corp=u-1" || len(done.Deny.Roles) != 2 {
		t.Errorf("%+v", done.Deny)
	}
	for i, want := range []broker.Code{broker.Unauthenticated, ""} {
		_, err := nodes[1].Broker().Session(t.Context(), broker.Origin{}, tokens[i])
		if err == nil && want != "" || err != nil && broker.CodeOf(err) != want {
			t.Errorf("session %d: %v", i, err)
		}
	}
	// By the user name that is in the session: the other one ends too.
	if _, err := Revoke(t.Context(), nodes[0].options, RevokeOptions{Order: operate.Order{Kind: revocation.User, Target: "alice"}, Operator: "root"}); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[1].Broker().Session(t.Context(), broker.Origin{}, tokens[1]); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("%v", err)
	}
}
