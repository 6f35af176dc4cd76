package assemble

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/idptest"
)

// Machines bring tokens: their provider signs nobody in, takes no logout, and can be
// looked at by administrators all the same.
func TestAProviderOfMachinesJudgesTokensOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "rolecall.yaml")
	const text = `server: {url: https://sso.example.com, trusted_proxies: [10.0.0.0/8]}
providers:
  - {name: cluster, type: oidc, preset: kubernetes, issuer: "https://kubernetes.default.svc.cluster.local", jwks_file: keys.json}
  - {name: staff, type: oidc, preset: okta, issuer: "https://example.okta.com", client_id: rolecall, jwks_file: keys.json}
`
	for name, data := range map[string][]byte{"rolecall.yaml": []byte(text), "keys.json": idptest.StartOP(t, time.Now).JWKS()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGeneration(Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now}, false, throwawayKeys, nil)
	if err != nil {
		t.Fatal(err)
	}
	machines, people := g.upstreams[0], g.upstreams[1]
	if machines.Redirector != nil || machines.BackChannel != nil || machines.Verifier == nil {
		t.Errorf("of machines: %+v", machines.Provider)
	}
	if people.Redirector == nil || people.BackChannel == nil || people.Verifier == nil {
		t.Errorf("of people: %+v", people.Provider)
	}
	for _, u := range g.upstreams {
		if examined, ok := u.examined(); !ok || examined.Examine(t.Context()) != nil {
			t.Errorf("%s cannot be looked at", u.Name)
		}
	}
}
