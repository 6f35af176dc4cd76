package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

// A whole world on loopback is asked what its providers say.
func TestCheckOnlineAsksTheProviders(t *testing.T) {
	t.Parallel()
	quiet := (&daemon{stderr: &bytes.Buffer{}}).logger(12)
	world, err := assemble.NewDev(t.Context(), assemble.DevOptions{Listen: "127.0.0.1:0", Log: quiet, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- world.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	var text bytes.Buffer
	if err := assemble.PrintDevConfig(&text, ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rolecall.yaml")
	check := func(idp string) (code int, out, errs string) {
		config := strings.ReplaceAll(text.String(), "http://127.0.0.1:8401", idp)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		d := &daemon{getenv: os.LookupEnv, stdout: &stdout, stderr: &stderr, now: time.Now}
		code = d.run(t.Context(), []string{"check", "--online", "--config", file})
		return code, stdout.String(), stderr.String()
	}
	code, out, errs := check(world.IDP)
	if code != 0 || !strings.Contains(out, "corp: signing certificate") || !strings.Contains(out, "staff: answers") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = check("http://127.0.0.1:1")
	if code != 1 || !strings.Contains(errs, "corp: ") || !strings.Contains(errs, "staff: ") {
		t.Errorf("with nobody there: exit %d\n%s%s", code, out, errs)
	}
}
