package saml

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
)

// How often metadata_url is fetched.
const (
	refreshMost  = 24 * time.Hour   // the longest that cacheDuration can ask for
	refreshUsual = time.Hour        // where the metadata does not say
	refreshLeast = 5 * time.Minute  // the shortest
	retryFirst   = 30 * time.Second // after a failure, doubling up to refreshUsual
	retryLazy    = 10 * time.Second // a sign-in does not ask more often than this
	fetchMost    = 15 * time.Second
	alarmEvery   = 24 * time.Hour // a certificate that runs out is said so often
)

// source keeps the last good metadata. The pointer is swapped whole, so that a
// sign-in sees one state.
type source struct {
	Config
	pinned *x509.Certificate
	flight singleflight.Group

	mu      sync.Mutex
	current *Metadata
	good    time.Time // when current was fetched
	tried   time.Time // when a fetch last ended
	failed  error

	alarmed time.Time // when certificates that run out were last said; of run alone
}

// newSource reads metadata_file, or keeps metadata_url for later.
func newSource(c Config, faults *config.Faults) *source {
	s := &source{Config: c}
	p := c.Provider
	if p.MetadataCert.Value != "" {
		var err error
		if s.pinned, err = readCertificate(p.MetadataCert.Value); err != nil {
			faults.Add(p.MetadataCert.Pos, "metadata_cert: %v", err)
		}
	}
	switch {
	case p.MetadataFile.Value != "" && p.MetadataURL.Value != "":
		faults.Add(p.MetadataFile.Pos, "metadata_file: metadata_url is set too; keep one of them")
	case p.MetadataFile.Value != "":
		m, err := s.readFile()
		if err != nil {
			faults.Add(p.MetadataFile.Pos, "metadata_file: %v", err)
			return s
		}
		s.current, s.good = m, c.Now()
	case p.MetadataURL.Value == "":
		faults.Add(p.Pos, "a provider of type saml needs metadata_url or metadata_file")
	case c.Fetch == nil:
		faults.Add(p.MetadataURL.Pos, "metadata_url: there is nothing to fetch it with")
	}
	return s
}

// readFile reads metadata_file.
func (s *source) readFile() (*Metadata, error) {
	info, err := os.Stat(s.Provider.MetadataFile.Value)
	if err != nil {
		return nil, err
	}
	if info.Size() > int64(metadataLimits.bytes) {
		return nil, fmt.Errorf("%s has %d bytes; the limit is %d", s.Provider.MetadataFile.Value, info.Size(), metadataLimits.bytes)
	}
	document, err := fetch.ReadFile(s.Provider.MetadataFile.Value)
	if err != nil {
		return nil, err
	}
	return ParseMetadata(document, s.Provider.EntityID.Value, s.pinned, s.Now())
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := fetch.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// expired reports whether the metadata may no longer be trusted.
func (m *Metadata) expired(now time.Time) bool {
	return !m.ValidUntil.IsZero() && !now.Before(m.ValidUntil)
}

// kept is the last good metadata, expired or not, or nil.
func (s *source) kept() *Metadata {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *source) remote() bool { return s.Provider.MetadataURL.Value != "" }

// get gives metadata to sign in with; it fetches only when there is none.
func (s *source) get(ctx context.Context) (*Metadata, error) {
	s.mu.Lock()
	m, tried, failed := s.current, s.tried, s.failed
	s.mu.Unlock()
	now := s.Now()
	switch {
	case m != nil && !m.expired(now):
		return m, nil
	case !s.remote():
		return nil, unavailable(errExpired(m))
	case failed != nil && now.Sub(tried) < retryLazy:
		return nil, unavailable(failed)
	}
	m, err := s.fetch(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	return m, nil
}

func errExpired(m *Metadata) error {
	return fmt.Errorf("the metadata was valid until %s; it must be replaced", stamp(m.ValidUntil))
}

func unavailable(err error) error {
	return fmt.Errorf("saml: the provider's metadata: %w", errors.Join(idp.ErrUnavailable, err))
}

// fetch gets metadata_url once for all who wait. The fetch outlives a caller who
// gives up.
func (s *source) fetch(ctx context.Context) (*Metadata, error) {
	result := s.flight.DoChan("", func() (any, error) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchMost)
		defer cancel()
		m, err := s.download(bounded)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tried, s.failed = s.Now(), err
		if err == nil {
			s.current, s.good = m, s.tried
		}
		return m, err
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		m, _ := r.Val.(*Metadata)
		return m, r.Err
	}
}

func (s *source) download(ctx context.Context) (*Metadata, error) {
	document, _, err := s.Fetch.Get(ctx, s.Provider.MetadataURL.Value)
	if err != nil {
		return nil, err
	}
	m, err := ParseMetadata(document, s.Provider.EntityID.Value, s.pinned, s.Now())
	switch {
	case err != nil:
		return nil, err
	case m.expired(s.Now()):
		return nil, fmt.Errorf("the metadata that was fetched was valid until %s", stamp(m.ValidUntil))
	}
	if old := s.kept(); old != nil && old.EntityID != m.EntityID {
		return nil, fmt.Errorf("the metadata now speaks of %q and not of %q; set entity_id or restart if that is right", shorten(m.EntityID), shorten(old.EntityID))
	}
	return m, nil
}

// rolled fetches metadata that may hold a new key, at most once a minute. It is
// nil if nothing changed.
func (s *source) rolled(ctx context.Context, old *Metadata) *Metadata {
	s.mu.Lock()
	recent := s.Now().Sub(s.tried) < time.Minute
	s.mu.Unlock()
	if !s.remote() || recent {
		return nil
	}
	m, err := s.fetch(ctx)
	if err != nil || slices.EqualFunc(m.certs, old.certs, (*x509.Certificate).Equal) {
		return nil
	}
	s.Log.InfoContext(ctx, "saml: the provider has new signing certificates", "provider", s.Provider.Name.Value, "certificates", len(m.certs))
	return m
}

// run refreshes until ctx ends, keeping the last good copy.
func (s *source) run(ctx context.Context) {
	if !s.remote() {
		s.watch(ctx)
		return
	}
	retry := retryFirst
	for {
		wait := retry
		m, err := s.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait, retry = s.next(m), retryFirst
			s.alarm(ctx, m)
		} else {
			retry = min(2*retry, refreshUsual)
			said := "saml: metadata was not refreshed; the last good copy stays in use"
			if s.kept() == nil {
				said = "saml: metadata could not be fetched; nobody can sign in by this provider until it is"
			}
			s.Log.WarnContext(ctx, said, "provider", s.Provider.Name.Value, "error", err, "again_in", wait.String())
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// watch says once a day which certificates of metadata_file run out.
func (s *source) watch(ctx context.Context) {
	for ok := true; ok; ok = pause(ctx, alarmEvery) {
		if m := s.kept(); m != nil {
			s.alarm(ctx, m)
		}
	}
}

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// next is when to refresh: as the metadata asks, within bounds, and well before
// it expires.
func (s *source) next(m *Metadata) time.Duration {
	wait := refreshUsual
	if m.CacheDuration > 0 {
		wait = min(m.CacheDuration, refreshMost)
	}
	if !m.ValidUntil.IsZero() {
		wait = min(wait, m.ValidUntil.Sub(s.Now())/2)
	}
	return max(wait, refreshLeast)
}

// alarm says, once a day, before a certificate runs out: at 30, 7 and 1 days it
// gets louder.
func (s *source) alarm(ctx context.Context, m *Metadata) {
	if now := s.Now(); s.alarmed.IsZero() || now.Sub(s.alarmed) >= alarmEvery {
		s.alarmed = now
	} else {
		return
	}
	for _, cert := range m.certs {
		left := cert.NotAfter.Sub(s.Now())
		log := s.Log.InfoContext
		switch {
		case left > 30*24*time.Hour:
			continue
		case left < 24*time.Hour:
			log = s.Log.ErrorContext
		case left < 7*24*time.Hour:
			log = s.Log.WarnContext
		}
		log(ctx, "saml: a signing certificate of the provider runs out", "provider", s.Provider.Name.Value, "subject", cert.Subject.String(), "not_after", cert.NotAfter)
	}
}
