//go:build unix

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A pipe that nobody writes to must not hold up `check`, nor the start.
func TestAPipeThatNobodyWritesToIsReadAsEmpty(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	makePipe(t, pipe)
	ended := make(chan error, 1)
	go func() {
		_, err := Parse("rolecall.yaml", []byte(server+"providers: [{name: corp, type: oidc, issuer: \"https://op.example.com\", client_id: x, client_secret: \"${file:"+pipe+"}\"}]\n"), none)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "client_secret") {
			t.Errorf("an empty secret was taken: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("reading waits for a writer")
		if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			_ = f.Close()
		}
	}
}

func TestACertificateThatIsAPipeHoldsNothingUp(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	makePipe(t, pipe)
	ended := make(chan error, 1)
	go func() {
		_, err := Parse("rolecall.yaml", []byte("server: {url: https://sso.example.com, tls: {cert: "+pipe+", key: "+pipe+"}}\n"), none)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "server.tls") {
			t.Errorf("an empty certificate was taken: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("reading waits for a writer")
	}
}

func TestTrustingEverybodyAsAProxyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for cidr, warned := range map[string]bool{"0.0.0.0/0": true, "::/0": true, "10.0.0.0/8": false, "192.0.2.7/32": false} {
		c := parse(t, "server: {url: https://sso.example.com, trusted_proxies: [\""+cidr+"\"]}\n")
		if got := strings.Contains(c.Warnings.Error(), "trusts everybody"); got != warned {
			t.Errorf("%s: %v", cidr, c.Warnings)
		}
	}
}
