package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// bin is the folder of the binaries under test, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(runWithBinaries(m))
}

func runWithBinaries(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rolecall-e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := scripted.Build(dir, "../../rolecalld", "../../rolecall"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	return m.Run()
}

// world is one `rolecalld dev --json`.
type world struct {
	URL          string `json:"url"`
	STSEndpoint  string `json:"sts_endpoint"`
	SAMLProvider string `json:"saml_provider"`
	OIDCProvider string `json:"oidc_provider"`
	People       []struct {
		Username string   `json:"username"`
		Password string   `json:"password"`
		Groups   []string `json:"groups"`
	} `json:"people"`
	Accounts []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"accounts"`

	data string
}

func (w world) person(t testing.TB, name string) scripted.Person {
	t.Helper()
	for _, p := range w.People {
		if p.Username == name {
			return scripted.Person{Name: p.Username, Password: p.Password}
		}
	}
	t.Fatalf("dev has no %s", name)
	return scripted.Person{}
}

// startWorld runs the daemon on free ports until the test ends, and fails the
// test if it does not end cleanly.
func startWorld(t testing.TB, more ...string) world {
	t.Helper()
	w := world{data: t.TempDir()}
	cmd := exec.Command(filepath.Join(bin, "rolecalld"), append([]string{"dev", "--json", "--listen", "127.0.0.1:0", "--data", w.data}, more...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := scripted.Start(t, cmd)
	ready := make(chan error, 1)
	go func() { ready <- json.NewDecoder(out).Decode(&w) }() // ends with the line or with the process
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case err := <-ready:
		if err != nil {
			t.Fatalf("rolecalld dev --json: %v; its log:\n%s", err, log)
		}
	case <-ctx.Done():
		t.Fatalf("rolecalld dev was not ready within 30 s; its log:\n%s", log)
	}
	return w
}
