package oidc

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

const discoveryPath = "/.well-known/openid-configuration"

// serveDiscovery lets a handler answer for the document.
func (p party) serveDiscovery(h http.HandlerFunc) {
	p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{discoveryPath: h}})
}

// eventually polls.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for tick := time.Tick(5 * time.Millisecond); !done(); {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: never", what)
		case <-tick:
		}
	}
}

func TestDiscoveryIsKeptAndServesThroughAnOutage(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.begin(idp.Want{})
	p.begin(idp.Want{})
	if got := p.op.Hits(discoveryPath); got != 1 {
		t.Errorf("%d fetches", got)
	}
	var asked atomic.Int32
	stuck := make(chan struct{})
	p.serveDiscovery(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-stuck
		http.Error(w, "canary", 500)
	})
	p.clock.add(discoveryLife)
	for range 3 { // nobody waits for a provider that is slow
		p.begin(idp.Want{})
	}
	eventually(t, "a fetch in the background", func() bool { return asked.Load() == 1 })
	close(stuck)
	eventually(t, "the end of that fetch", func() bool {
		p.discover.mu.Lock()
		defer p.discover.mu.Unlock()
		return p.discover.failure != nil
	})
	p.begin(idp.Want{})
	if got := asked.Load(); got != 1 {
		t.Errorf("asked again at once: %d fetches", got)
	}
	p.clock.add(outageLimit)
	_, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
	unavailable(t, err)
}

func TestANewDocumentIsUsedOnceItHasCome(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.begin(idp.Want{})
	p.op.Behave(idptest.Behaviour{Discovery: func(d map[string]any) { d["token_endpoint"] = p.op.Issuer + "/moved" }})
	p.clock.add(discoveryLife)
	p.begin(idp.Want{})
	eventually(t, "the new document", func() bool {
		m, err := p.discover.get(t.Context())
		return err == nil && m.token == p.op.Issuer+"/moved"
	})
}

func TestSignInsThatBeginAtOnceCauseOneFetch(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { p.begin(idp.Want{}) })
	}
	wait.Wait()
	if got := p.op.Hits(discoveryPath); got != 1 {
		t.Errorf("%d fetches", got)
	}
}

func TestAFloodWhileDiscoveryFailsIsOneFetchASecond(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.serveDiscovery(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusBadGateway) })
	for range 20 {
		_, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
		unavailable(t, err)
	}
	if got := p.op.Hits(discoveryPath); got != 1 {
		t.Errorf("%d fetches", got)
	}
	p.clock.add(retryPause)
	_, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
	unavailable(t, err)
	if got := p.op.Hits(discoveryPath); got != 2 {
		t.Errorf("%d fetches after the pause", got)
	}
}

func TestASlowDiscoveryEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	release := make(chan struct{})
	defer close(release)
	p.serveDiscovery(func(http.ResponseWriter, *http.Request) { <-release })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := p.Begin(ctx, idp.Want{Handle: "h"})
	unavailable(t, err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestDiscoveryThatIsTooLargeOrLeadsAway(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for range 300 {
				if _, err := w.Write(make([]byte, 8<<10)); err != nil {
					return
				}
			}
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/canary", http.StatusFound)
		},
		"nothing":      func(http.ResponseWriter, *http.Request) {},
		"no object":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`["canary"]`)) },
		"a broken end": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"issuer":"canary`)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.serveDiscovery(h)
			_, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
			unavailable(t, err)
		})
	}
}
