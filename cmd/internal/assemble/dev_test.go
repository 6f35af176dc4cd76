package assemble

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
)

func quiet(listen, data string) DevOptions {
	return DevOptions{Listen: listen, Data: data, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func noEnv(string) (string, bool) { return "", false }

// It has made-up people and no TLS.
func TestDevListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{
		"0.0.0.0:0", ":8400", "[::]:0", "192.0.2.1:0", "10.0.0.1:8400", "[::ffff:10.0.0.1]:0", "localhost:0", "example.com:0",
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", "", "127.0.0.1:0:0", "[fe80::1%lo]:0",
	} {
		data := filepath.Join(t.TempDir(), "state")
		d, err := NewDev(t.Context(), quiet(listen, data))
		if !errors.Is(err, ErrListen) || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("%q: %v", listen, err)
		}
		if d != nil {
			t.Errorf("%q: something runs", listen)
		}
		if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: state was made before the address was judged: %v", listen, err)
		}
	}
}

func TestDevTakesEveryLoopbackAddress(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1:0", "127.0.0.2:0", "[::1]:0"} {
		d, err := NewDev(t.Context(), quiet(listen, t.TempDir()))
		if err != nil {
			t.Errorf("%s: %v", listen, err)
			continue
		}
		host, _, _ := net.SplitHostPort(listen)
		for _, address := range []string{d.URL, d.IDP, d.AWS} {
			if !strings.HasPrefix(address, "http://"+net.JoinHostPort(host, "")) {
				t.Errorf("%s: serves %s", listen, address)
			}
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: close: %v", listen, err)
		}
	}
}

func TestAPortThatIsTakenIsSaidAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, err = NewDev(t.Context(), quiet(taken.Addr().String(), ""))
	if err == nil || errors.Is(err, ErrListen) || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWhereTheNextPortsAreTakenFreeOnesServe(t *testing.T) {
	t.Parallel()
	for range 20 { // until a port before a taken one is free
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		next := taken.Addr().(*net.TCPAddr).Port
		d, err := NewDev(t.Context(), quiet("127.0.0.1:"+strconv.Itoa(next-1), t.TempDir()))
		if err != nil {
			_ = taken.Close()
			continue
		}
		if d.URL != "http://127.0.0.1:"+strconv.Itoa(next-1) || strings.HasSuffix(d.IDP, ":"+strconv.Itoa(next)) || d.IDP == d.AWS {
			t.Errorf("serves %s, %s, %s beside %d", d.URL, d.IDP, d.AWS, next)
		}
		if err := errors.Join(d.Close(), taken.Close()); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("no free port before a taken one was found")
}

func TestATemporaryFolderGoesAndAnyOtherStays(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	d, err := NewDev(t.Context(), quiet("127.0.0.1:0", ""))
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadDir(temp)
	if err != nil || len(made) != 1 || !d.Temporary {
		t.Fatalf("%v %v, temporary %t", made, err, d.Temporary)
	}
	if info, err := made[0].Info(); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into the folder: %v %v", info.Mode(), err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	data := filepath.Join(t.TempDir(), "deep", "state")
	d, err = NewDev(t.Context(), quiet("127.0.0.1:0", data))
	if err != nil {
		t.Fatal(err)
	}
	if d.Temporary {
		t.Error("a folder that was named counts as temporary")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rolecall.db", "rolecall.key", "audit.jsonl"} {
		if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into the folder: %v %v", info, err)
	}
}

func TestClosingTwiceIsNoError(t *testing.T) {
	t.Parallel()
	d, err := NewDev(t.Context(), quiet("127.0.0.1:0", t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := d.daemon.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryStartHasItsOwnPasswords(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 3 {
		for _, p := range devPeople() {
			word := p.Password.Reveal()
			if len(word) < 16 || seen[word] {
				t.Errorf("%s has the password %q", p.Username, word)
			}
			seen[word] = true
		}
	}
}

func TestTheLineOfJSONIsWhatScriptsRead(t *testing.T) {
	t.Parallel()
	d, err := NewDev(t.Context(), quiet("127.0.0.1:0", t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	line, err := d.JSON()
	if err != nil || bytes.ContainsAny(line, "\n") {
		t.Fatalf("%s %v", line, err)
	}
	var got struct {
		URL          string `json:"url"`
		STSEndpoint  string `json:"sts_endpoint"`
		SAMLProvider string `json:"saml_provider"`
		OIDCProvider string `json:"oidc_provider"`
		People       []struct {
			Username string   `json:"username"`
			Password string   `json:"password"`
			Groups   []string `json:"groups"`
		} `json:"people"`
		Accounts []map[string]string `json:"accounts"`
	}
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.URL != d.URL || got.STSEndpoint != d.AWS || got.SAMLProvider != "corp" || got.OIDCProvider != "staff" || len(got.Accounts) != 2 || len(got.People) != 3 {
		t.Errorf("%+v", got)
	}
	for _, p := range got.People {
		if p.Groups == nil || p.Password == "" {
			t.Errorf("%s: groups %v", p.Username, p.Groups)
		}
	}
}

// `rolecalld dev --print-config > rolecall.yaml` is where people start from.
func TestThePrintedConfigurationIsValidAndServeRunsItWithoutANetwork(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	if err := PrintDevConfig(&text, ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rolecall.yaml")
	c, err := config.Parse(file, text.Bytes(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	if warnings, err := Check(options); err != nil || len(warnings) > 0 {
		t.Errorf("check says %v, %v", warnings, err)
	}
	d, err := New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for path, want := range map[string]int{"/readyz": 200, "/login": 200, "/": 303, "/api/v1/roles": 401, "/.well-known/openid-configuration": 200} {
		if w := visit(d, c.Server.URL.Value+path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	for _, beside := range []string{"rolecall.db", "rolecall.key", "audit.jsonl"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), beside)); err != nil {
			t.Errorf("not beside the configuration: %v", err)
		}
	}
}

func TestAWholeWorldServesAfterItsFirstSecond(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	for _, provider := range []string{"corp", "staff"} {
		b := w.signIn(t, provider)
		order(t, b, w.URL, "production/Admin")
		if keysOn(b.Page) == "" || b.Page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: no keys, or keys that a cache keeps: %d", provider, b.Page.Status)
		}
	}
	if n := strings.Count(w.record(t), `"event":"credentials","outcome":"granted"`); n == 0 {
		t.Error("no order is in the record")
	}
	without(t, "the log", w.log.String(), w.People[0].Password.Reveal())
	if got := status(t, w.URL+"/login", "attacker.example"); got != http.StatusMisdirectedRequest {
		t.Errorf("another host is answered with %d", got)
	}
}
