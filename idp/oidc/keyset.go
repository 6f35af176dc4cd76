package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rolecall/rolecall/idp"
)

// How often the provider's keys are asked for.
const (
	defaultMaxAge = 10 * time.Minute // keys are fetched again after this at the latest
	minAge        = time.Minute      // and not before this, whatever Cache-Control says
	outageLimit   = 24 * time.Hour   // keys of an unreachable provider are believed this long
	retryPause    = time.Second      // between failures
	askEvery      = 30 * time.Second // one fetch for unknown kids
	askBurst      = 2                // saved up at most
	maxUnknown    = 64               // unknown kids that are remembered
)

// errTooSoon keeps unknown kids from becoming fetches.
var errTooSoon = errors.New("the key set was asked for unknown keys too often")

// keySet holds the provider's keys: fetched once for all who wait, again before
// they are too old, and for an unknown kid at once but as a trickle.
type keySet struct {
	source func(context.Context) ([]byte, http.Header, error)
	rule   keyRule
	maxAge time.Duration
	now    func() time.Time
	log    *slog.Logger
	flight singleflight.Group

	mu      sync.Mutex
	keys    ring
	fetched time.Time // when keys came
	stale   time.Time // when they are too old
	retry   time.Time // no fetch before this, after a failure
	failure error     // of the last fetch
	asks    int       // fetches for unknown kids that are still free
	refill  time.Time
	unknown map[string]time.Time
}

func newKeySet(source func(context.Context) ([]byte, http.Header, error), maxAge time.Duration, now func() time.Time, log *slog.Logger) *keySet {
	if maxAge <= 0 {
		maxAge = defaultMaxAge
	}
	return &keySet{source: source, maxAge: maxAge, now: now, log: log, asks: askBurst, refill: now(), unknown: map[string]time.Time{}}
}

// find gives the keys that may have signed a token with this kid and algorithm.
// An error that wraps idp.ErrUnavailable says that the provider could not be
// asked, a *idp.Rejection that it has no such key.
func (s *keySet) find(ctx context.Context, kid, alg string) ([]publicKey, error) {
	keys, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if found := keys.match(kid, alg); len(found) > 0 {
		return found, nil
	}
	missing := idp.Reject("unknown-key", "the provider has no key %q for %s", kid, alg)
	if !s.maySeek(kid) {
		return nil, missing
	}
	newer, err := s.fetch(ctx, keys)
	if errors.Is(err, errTooSoon) {
		missing.Cause = err
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if found := newer.match(kid, alg); len(found) > 0 {
		return found, nil
	}
	s.notFound(kid)
	return nil, missing
}

// current gives keys that are not too old. It fetches in the background when they
// are about to be, and keeps using the old ones through an outage.
func (s *keySet) current(ctx context.Context) (ring, error) {
	s.mu.Lock()
	now, keys, fetched, stale, retry, failure := s.now(), s.keys, s.fetched, s.stale, s.retry, s.failure
	s.mu.Unlock()
	usable := keys != nil && now.Before(fetched.Add(outageLimit))
	switch {
	case now.Before(stale.Add(-stale.Sub(fetched) / 4)):
		return keys, nil
	case now.Before(retry) && usable:
		return keys, nil
	case now.Before(retry):
		return nil, failure
	case now.Before(stale):
		s.start(ctx, keys, false)
		return keys, nil
	}
	newer, err := s.wait(ctx, s.start(ctx, keys, false))
	if err != nil && usable {
		return keys, nil
	}
	if errors.Is(err, errTooSoon) { // joined a fetch for an unknown kid
		err = fmt.Errorf("keys: %w: %w", idp.ErrUnavailable, err)
	}
	return newer, err
}

// fetch asks the provider for a key that the ring seen does not hold.
func (s *keySet) fetch(ctx context.Context, seen ring) (ring, error) {
	return s.wait(ctx, s.start(ctx, seen, true))
}

// start lets one fetch run for all who wait. It outlives the request that began
// it; its time is bounded by the client.
func (s *keySet) start(ctx context.Context, seen ring, unknown bool) <-chan singleflight.Result {
	return s.flight.DoChan("", func() (any, error) {
		s.mu.Lock()
		switch {
		case s.keys != nil && (seen == nil || &s.keys[0] != &seen[0]): // somebody else was quicker
			defer s.mu.Unlock()
			return s.keys, nil
		case unknown && !s.takeAsk():
			defer s.mu.Unlock()
			return nil, errTooSoon
		}
		s.mu.Unlock()
		return s.load(context.WithoutCancel(ctx))
	})
}

func (s *keySet) wait(ctx context.Context, done <-chan singleflight.Result) (ring, error) {
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("keys: %w: %w", idp.ErrUnavailable, ctx.Err())
	case result := <-done:
		keys, _ := result.Val.(ring)
		return keys, result.Err
	}
}

// load fetches and reads the set; what cannot be read leaves the old keys.
func (s *keySet) load(ctx context.Context) (ring, error) {
	body, header, err := s.source(ctx)
	var keys ring
	if err == nil {
		keys, err = readRing(body, s.rule)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err != nil {
		s.log.WarnContext(ctx, "oidc: the provider's keys cannot be fetched", "error", err)
		s.failure, s.retry = fmt.Errorf("keys: %w: %w", idp.ErrUnavailable, err), now.Add(retryPause)
		return nil, s.failure
	}
	s.keys, s.fetched, s.stale, s.failure, s.retry = keys, now, now.Add(lifetime(header, s.maxAge)), nil, time.Time{}
	clear(s.unknown)
	return keys, nil
}

// takeAsk spends one of the fetches that unknown kids may cause. Called locked.
func (s *keySet) takeAsk() bool {
	now := s.now()
	if earned := int(now.Sub(s.refill) / askEvery); earned > 0 {
		s.asks, s.refill = min(askBurst, s.asks+earned), s.refill.Add(time.Duration(earned)*askEvery)
	}
	if s.asks == 0 {
		return false
	}
	s.asks--
	return true
}

// maySeek is false for a kid that was asked for in vain a moment ago.
func (s *keySet) maySeek(kid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.now().Before(s.unknown[kid])
}

func (s *keySet) notFound(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unknown) >= maxUnknown {
		clear(s.unknown)
	}
	s.unknown[kid] = s.now().Add(askEvery)
}

// verify finds the key of a token and checks its signature.
func (s *keySet) verify(ctx context.Context, token jws) error {
	keys, err := s.find(ctx, token.kid, token.alg)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if verifySignature(key.key, token.alg, token.input, token.signature) {
			return nil
		}
	}
	return idp.Reject("signature", "the signature is not that of the provider's key %q", token.kid)
}

// lifetime is Cache-Control's max-age, between minAge and the bound.
func lifetime(header http.Header, bound time.Duration) time.Duration {
	for part := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		seconds, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 31)
		switch {
		case strings.EqualFold(name, "no-store"), strings.EqualFold(name, "no-cache"):
			return min(minAge, bound)
		case strings.EqualFold(name, "max-age") && err == nil:
			return min(max(time.Duration(seconds)*time.Second, minAge), bound)
		}
	}
	return bound
}
