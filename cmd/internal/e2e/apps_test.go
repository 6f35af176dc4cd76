package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the store beside the daemon

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// mortal is a `rolecalld dev` that a test kills and starts again on the same data.
type mortal struct {
	URL  string `json:"url"`
	data string
	cmd  *exec.Cmd
}

// start starts it on a free port, or on the one it had.
func (m *mortal) start(t *testing.T) {
	t.Helper()
	listen := "127.0.0.1:0"
	if m.URL != "" {
		listen = strings.TrimPrefix(m.URL, "http://")
	}
	m.cmd = exec.Command(filepath.Join(bin, "rolecalld"), "dev", "--json", "--listen", listen, "--data", m.data)
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(out).Decode(m); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
}

// kill is SIGKILL: nothing is said, nothing is finished.
func (m *mortal) kill(t *testing.T) {
	t.Helper()
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = m.cmd.Wait() // says that it was killed
}

// devices counts those in the store, which the daemon writes meanwhile.
func devices(t *testing.T, db *sql.DB) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM app_devices").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever is killed between the registration and its answer has registered: the
// same key asks again, and is the same device from then on.
func TestADeviceSurvivesAKillBeforeItsAnswer(t *testing.T) {
	m := &mortal{data: t.TempDir()}
	m.start(t)
	t.Cleanup(func() { m.kill(t) })
	db, err := sql.Open("sqlite", "file:"+filepath.Join(m.data, "rolecall.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for range 20 {
		phone := scripted.NewPhone(m.URL, "notes")
		answered := register(t, m, db, phone)
		m.start(t)
		again, err := phone.Register(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if again.Status != http.StatusOK && (again.Status != http.StatusCreated || answered) {
			t.Fatalf("after the kill: %s", again)
		}
		first := phone.Device
		if r, err := phone.Credentials(t.Context(), ""); err != nil || r.Status != http.StatusOK {
			t.Fatalf("credentials after the kill: %s %v", r, err)
		}
		if r, err := phone.Register(t.Context()); err != nil || r.Status != http.StatusOK || phone.Device.DeviceID != first.DeviceID || phone.Device.IdentityID != first.IdentityID {
			t.Fatalf("once more: %s %v; was %+v", r, err, first)
		}
		if again.Status == http.StatusOK && !answered {
			return // it was written, and the answer was lost
		}
	}
	t.Fatal("the daemon was never killed between the write and the answer")
}

// register sends a registration, kills the daemon as soon as the store has it, and
// reports whether an answer came all the same.
func register(t *testing.T, m *mortal, db *sql.DB, phone *scripted.Phone) (answered bool) {
	t.Helper()
	if _, err := phone.Send(t.Context(), http.MethodGet, "/tvm/v1/openapi.json", "", nil, nil); err != nil { // for the nonce
		t.Fatal(err)
	}
	phone.Client.CloseIdleConnections()
	proof, err := phone.Prove(http.MethodPost, "/tvm/v1/devices", "")
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := devices(t, db)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const body = `{"app":"notes"}`
	request := "POST /tvm/v1/devices HTTP/1.1\r\nHost: " + address.Host + "\r\nDPoP: " + proof + "\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + body
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for devices(t, db) == before {
		if ctx.Err() != nil {
			t.Fatal("the store never had the device")
		}
	}
	m.kill(t)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(conn)
	if err != nil && len(got) == 0 && errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return len(got) > 0
}
