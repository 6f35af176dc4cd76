package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// The broker's own principal in the made-up AWS.
const (
	brokerUser   = "arn:aws:iam::999988887777:user/rolecall"
	brokerKeyID  = "AKIAROLECALLTESTKEY0"
	brokerSecret = "forTestsOnly/forTestsOnly/forTestsOnly00"
)

// startAWS is the stand-in for AWS, in this process.
func startAWS(t testing.TB) string {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	made := devaws.Config{
		URL:      server.URL,
		Accounts: []devaws.Account{{ID: "999988887777", Name: "broker"}, {ID: "111122223333", Name: "production"}},
		Users:    []devaws.User{{ARN: brokerUser, AccessKeyID: brokerKeyID, SecretAccessKey: secret.New(brokerSecret)}},
	}
	for _, name := range []string{"Admin", "Developer", "Quoted", "Accented"} {
		role, err := iam.ParseRoleARN("arn:aws:iam::111122223333:role/" + name)
		if err != nil {
			t.Fatal(err)
		}
		made.Roles = append(made.Roles, devaws.Role{ARN: role, Trust: devaws.TrustPolicy("", brokerUser)})
	}
	aws, err := devaws.New(made)
	if err != nil {
		t.Fatal(err)
	}
	handler = aws
	return server.URL
}

// daemon is one `rolecalld serve`.
type daemon struct {
	url, data, file, aws string
}

const configuration = `
server:
  url: %[1]s
  listen: %[2]q
aws:
  endpoint: %[3]s
providers:
%[4]s
accounts:
  - {id: "111122223333", name: production}
grants:
  - {name: admins, groups: [aws-admins], role: production/Admin}
  - {name: developers, groups: [developers], role: production/Developer}
  - {name: quoted, groups: ['Team, "Quoted" & Co'], role: production/Quoted}
  - {name: accented, groups: [Führung], role: production/Accented}
`

// configure writes a configuration with these providers.
func configure(t testing.TB, providers string) daemon {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d := daemon{url: "http://" + address, data: t.TempDir(), aws: startAWS(t)}
	d.file = filepath.Join(d.data, "rolecall.yaml")
	text := fmt.Sprintf(configuration, d.url, address, d.aws, providers)
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// command is rolecalld with nothing of the surroundings but the broker's keys.
func (d daemon) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "rolecalld"), args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.data, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + brokerKeyID, "AWS_SECRET_ACCESS_KEY=" + brokerSecret, "OP_SECRET=broker-secret",
	}
	return cmd
}

// run starts `rolecalld serve` until the test ends and waits until it is ready.
func (d daemon) run(t testing.TB) *scripted.Log {
	t.Helper()
	log := scripted.Start(t, d.command("serve", "--config", d.file))
	until(t, quick, 30*time.Second, "rolecalld serve", answers(d.url+"/readyz"))
	return log
}

// serve configures and runs.
func serve(t testing.TB, providers string) daemon {
	t.Helper()
	d := configure(t, providers)
	d.run(t)
	return d
}

func browser(t testing.TB) *scripted.Browser {
	t.Helper()
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func person(name string) scripted.Person { return scripted.Person{Name: name, Password: name + "-pw"} }

// signIn gives a browser in which somebody has signed in and sees the portal.
func (d daemon) signIn(t testing.TB, provider, name string) *scripted.Browser {
	t.Helper()
	b := browser(t)
	if err := b.SignIn(d.url+"/", provider, person(name)); err != nil {
		t.Fatal(err)
	}
	d.atHome(t, b)
	return b
}

func (d daemon) atHome(t testing.TB, b *scripted.Browser) {
	t.Helper()
	if b.Page.Status != http.StatusOK || b.Page.URL.String() != d.url+"/" {
		t.Fatalf("the browser is not in the portal but at %s (%d)\nthe record:\n%s\nthe page:\n%.3000s", b.Page.URL, b.Page.Status, d.record(t), b.Page.Text)
	}
}

// refused checks that the browser shows a refusal for that reason, which the
// record has too, and that nobody is signed in. It gives the record's detail.
func (d daemon) refused(t testing.TB, b *scripted.Browser, status int, reason string) string {
	t.Helper()
	if b.Page.Status != status || !strings.Contains(b.Page.Text, "<code>"+reason+"</code>") || b.Page.Header.Get("X-Request-Id") == "" {
		t.Errorf("the page at %s: %d, want %d and the reason %s\nthe record:\n%s\n%.2500s", b.Page.URL, b.Page.Status, status, reason, d.record(t), b.Page.Text)
	}
	var last event
	if all := d.events(t); len(all) > 0 {
		last = all[len(all)-1]
	}
	if last.Reason != reason || last.RequestID != b.Page.Header.Get("X-Request-Id") {
		t.Errorf("the record does not end with a refusal for %s:\n%s", reason, d.record(t))
	}
	if code, _ := d.identity(t, b); code != http.StatusUnauthorized {
		t.Errorf("after the refusal the browser's cookie is answered with %d, want 401", code)
	}
	return last.Detail
}

// identity asks who the browser's session is of.
func (d daemon) identity(t testing.TB, b *scripted.Browser) (int, idp.Identity) {
	t.Helper()
	resp, err := b.Client.Get(d.url + "/api/v1/identity")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var who idp.Identity
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&who); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, who
}

// event is a line of the audit file.
type event struct {
	Event     string `json:"event"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Username  string `json:"username"`
}

func (d daemon) record(t testing.TB) string {
	t.Helper()
	text := scripted.ReadRecord(t, filepath.Join(d.data, "audit.jsonl"))
	return text
}

func (d daemon) events(t testing.TB) []event {
	t.Helper()
	var all []event
	for scan := bufio.NewScanner(strings.NewReader(d.record(t))); scan.Scan(); {
		var e event
		if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// press opens a page and presses its button that posts to an address of ours.
func (d daemon) press(t testing.TB, b *scripted.Browser, path, action string) {
	t.Helper()
	if err := b.Get(d.url + path); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Page.Forms() {
		if f.Method == "post" && strings.HasPrefix(f.Action, action) {
			if err := b.Submit(f, nil); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no form posts to %s at %s (%d):\n%.2500s", action, b.Page.URL, b.Page.Status, b.Page.Text)
}
