package oidc

import (
	"net/http"
	"testing"

	"github.com/rolecall/rolecall/idp/idptest"
)

func TestHealthSaysHowFreshTheKeysAre(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	if h := p.Health(); !h.Read.IsZero() || h.Err != nil || h.Keys != 0 || h.From == "" {
		t.Errorf("before anybody asked: %+v", h)
	}
	if err := p.Examine(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := p.Health()
	if h.Read.IsZero() || h.Err != nil || h.Keys == 0 {
		t.Errorf("after it: %+v", h)
	}
	p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/.well-known/openid-configuration": func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "down", http.StatusServiceUnavailable)
	}}})
	if err := p.Examine(t.Context()); err == nil {
		t.Error("a provider that is down was well")
	}
	if again := p.Health(); again.Err == nil || again.Keys != h.Keys || !again.Read.Equal(h.Read) {
		t.Errorf("the last good keys: %+v", again)
	}
}
