package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestRotationUnderLoadIsOneFetch(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	old, fresh := p.op.Key(), idptest.NewOPKey(t, jose.ES256)
	if err := p.bearer(old); err != nil {
		t.Fatal(err)
	}
	p.op.SetKeys(fresh, old)
	token, former := p.op.Sign(fresh, p.op.Claims(), nil), p.op.Sign(old, p.op.Claims(), nil)
	var wait sync.WaitGroup
	for range 50 {
		for _, raw := range []string{token, former} {
			wait.Go(func() {
				if _, err := p.Verify(t.Context(), raw); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	p.fetches(t, 2)
}

func TestFloodUnderLoadDoesNotDisturbHonestTokens(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	honest := p.op.Sign(p.op.Key(), p.op.Claims(), nil)
	forger := idptest.NewOPKey(t, jose.ES256)
	var wait sync.WaitGroup
	for range 50 {
		forger.ID = idptest.NewOPKey(t, jose.RS256).ID
		bad := p.op.Sign(forger, p.op.Claims(), nil)
		wait.Go(func() {
			_, err := p.Verify(t.Context(), bad)
			refused(t, err, "unknown-key")
		})
		wait.Go(func() {
			if _, err := p.Verify(t.Context(), honest); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := p.op.Hits("/jwks"); got > 3 {
		t.Errorf("%d fetches", got)
	}
}

func TestUnknownKidsAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newKeySet(nil, 0, c.now, nil)
	for i := range 10 * maxUnknown {
		s.notFound(strings.Repeat("k", i%200))
	}
	if len(s.unknown) > maxUnknown {
		t.Errorf("%d kids are remembered", len(s.unknown))
	}
}

func TestFetchesForUnknownKidsAreEarnedByTime(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newKeySet(nil, 0, c.now, nil)
	take := func(n int) (taken int) {
		for range n {
			if s.takeAsk() {
				taken++
			}
		}
		return taken
	}
	for _, step := range []struct {
		wait time.Duration
		want int
	}{
		{0, askBurst}, {0, 0}, {askEvery - time.Second, 0}, {time.Second, 1}, {0, 0}, {100 * askEvery, askBurst}, {askEvery / 2, 0}, {askEvery / 2, 1},
	} {
		c.add(step.wait)
		if got := take(10); got != step.want {
			t.Errorf("after %v more: %d fetches, want %d", step.wait, got, step.want)
		}
	}
}

func TestPendingBytesSurviveTheStore(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	address, data := p.begin(idp.Want{Handle: "handle-1", ACR: []string{"silver"}, MaxAge: time.Hour})
	var keep pending
	if err := json.Unmarshal(data, &keep); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if keep.Nonce != u.Query().Get("nonce") || keep.Issuer != p.op.Issuer || keep.MaxAge != 3600 || !slices.Equal(keep.ACR, []string{"silver"}) {
		t.Errorf("kept %+v", keep)
	}
	if strings.Contains(address, keep.Verifier) {
		t.Error("the verifier goes through the browser")
	}
	// Another provider value, as after a restart, finishes what this one began.
	later := provider(t, p.op, p.clock, nil)
	p.op.Behave(idptest.Behaviour{Claims: func(c map[string]any) { c["acr"] = "silver" }})
	if _, err := later.Finish(t.Context(), data, answer(p.op.Visit(address))); err != nil {
		t.Error(err)
	}
}

func TestReportIsTheDocumentOfInspect(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for name, c := range map[string]struct {
		token string
		keys  []string
	}{
		"accepted": {p.op.Sign(p.op.Key(), p.op.Claims(), nil), []string{"identity", "steps"}},
		"refused":  {"x.y.z", []string{"detail", "findings", "reason", "steps"}},
	} {
		report, err := p.Inspect(t.Context(), Inspection{Token: c.token})
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		document := map[string]json.RawMessage{}
		if err := json.Unmarshal(data, &document); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for key := range document {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if !slices.Equal(keys, c.keys) || name == "refused" && string(document["findings"]) != "[]" {
			t.Errorf("%s: %s", name, data)
		}
	}
}

func TestInspectOfAnUnreachableProviderIsNoVerdict(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/jwks": func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "canary", http.StatusBadGateway)
	}}})
	report, err := p.Inspect(t.Context(), Inspection{Token: p.op.Sign(p.op.Key(), p.op.Claims(), nil)})
	unavailable(t, err)
	if report.Identity != nil || report.Reason != "" {
		t.Errorf("%+v", report)
	}
}

func TestAlgorithmsOfTheConfigurationCountNotThoseOfDiscovery(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *config.Provider) { c.Algorithms = []config.Text{text("ES256")} })
	_, err := p.signIn(idp.Want{}) // the provider offers RS256, none and HS256, and signs with RS256
	refused(t, err, "algorithm")
	p.op.SetKeys(idptest.NewOPKey(t, jose.ES256))
	p.clock.add(time.Hour)
	if _, err := p.signIn(idp.Want{}); err != nil {
		t.Error(err)
	}
}
