package assemble

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// guestGrant is the grant of the app's guests.
func guestGrant(c *config.Config) *config.Grant {
	for i := range c.Grants {
		if c.Grants[i].Name.Value == "notes-guest" {
			return &c.Grants[i]
		}
	}
	panic("dev.yaml has no grant for guests")
}

// whoIs asks AWS whose an answer's credentials are.
func (w world) whoIs(t *testing.T, answer scripted.Reply) string {
	t.Helper()
	var keys struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	if err := json.Unmarshal(answer.Body, &keys); err != nil {
		t.Fatal(err)
	}
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(w.AWS), Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken)})
	who, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(who.Arn)
}

func TestADeviceIsServedInEveryMode(t *testing.T) {
	t.Parallel()
	for mode, arn := range map[string]string{
		"assume-role": "assumed-role/NotesGuest/", "web-identity": "assumed-role/NotesGuest/", "saml": "assumed-role/NotesGuest/", "federation-token": "federated-user/",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := run(t, func(c *config.Config) {
				guestGrant(c).Mode = config.Text{Value: mode}
				for i := range c.Accounts {
					c.Accounts[i].SAMLProvider = config.Text{Value: devSAML(c.Accounts[i].ID.Value, "rolecall")}
				}
			})
			p := w.phone(t)
			answer := want(t, 200)(p.Credentials(t.Context(), ""))
			if got := w.whoIs(t, answer); !strings.HasSuffix(got, arn+p.Device.IdentityID) {
				t.Errorf("AWS knows it as %s, want %s%s", got, arn, p.Device.IdentityID)
			}
			record := w.record(t)
			for _, text := range []string{`"identity_id":"` + p.Device.IdentityID + `"`, `"device_id":"` + p.Device.DeviceID + `"`, `"app":"notes"`} {
				if !strings.Contains(record, text) {
					t.Errorf("the record lacks the tag %s", text)
				}
			}
		})
	}
}

// identityOf and askOf are a guest as policy sees it.
func identityOf(p *scripted.Phone) idp.Identity {
	return idp.Identity{ID: p.Device.IdentityID, Provider: "device", Subject: p.Device.DeviceID, Username: p.Device.IdentityID}
}

func askOf(p *scripted.Phone) policy.Ask {
	return policy.Ask{App: p.App, Device: p.Device.DeviceID, Guest: true, Via: "tvm", Time: time.Now()}
}

// Of two guests each has a session policy with its own prefix, and no other.
func TestNoGuestReachesAnothersPrefix(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	a, b := w.phone(t), w.phone(t)
	for _, p := range []*scripted.Phone{a, b} {
		own, other := p.Device.IdentityID, a.Device.IdentityID
		if p == a {
			other = b.Device.IdentityID
		}
		want(t, 200)(p.Credentials(t.Context(), ""))
		decision := w.daemon.current.Load().policy.Decide(identityOf(p), askOf(p))
		if len(decision.Granted) != 1 {
			t.Fatalf("%+v", decision)
		}
		sent := decision.Granted[0].Policy
		if !strings.Contains(sent, "arn:aws:s3:::notes-data/"+own+"/*") || strings.Contains(sent, other) || strings.Contains(sent, "{{") {
			t.Errorf("the session policy of %s: %s", own, sent)
		}
	}
	if x, y := want(t, 200)(a.Credentials(t.Context(), "")), want(t, 200)(b.Credentials(t.Context(), "")); string(x.Body) == string(y.Body) {
		t.Error("two guests share credentials")
	}
}

// An order that the cache serves writes nothing to the store, and neither does a
// registration of a key that is known need a device more.
func TestAnOrderFromTheCacheWritesNothing(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	want(t, 200)(p.Credentials(t.Context(), ""))
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.options.Data, "rolecall.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // data_version is of a connection
	version := func() (n int) {
		if err := db.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	quiet := false
	for range 20 { // the daemon has its own to write: signing keys at the start, the sweep
		before := version()
		want(t, 200)(p.Credentials(t.Context(), ""))
		quiet = quiet || version() == before
	}
	if !quiet {
		t.Error("each order wrote to the store")
	}
	before := version()
	want(t, 200)(p.Register(t.Context()))
	if version() == before {
		t.Error("a write is not seen, so that this test shows nothing")
	}
}

// The example of the guide is a configuration without a fault.
func TestTheExampleOfTheGuideForAppsIsValid(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/mobile-apps.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	const before = `server: {url: "http://127.0.0.1:8400", listen: "127.0.0.1:8400"}
providers:
  - {name: google, type: oidc, issuer: "https://accounts.google.com", client_id: x}
accounts: [{id: "111122223333", name: production}]
`
	c, err := config.Parse("rolecall.yaml", []byte(before+example), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Policy(c); err != nil || len(c.Warnings) > 0 {
		t.Errorf("%v, warnings %v", err, c.Warnings)
	}
}
