package saml_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// remote is a metadata_url that can be told what to answer.
type remote struct {
	mu     sync.Mutex
	body   []byte
	err    error
	asked  int
	waited chan struct{} // if set, an answer waits for it
}

func (r *remote) Get(ctx context.Context, _ string) ([]byte, http.Header, error) {
	r.mu.Lock()
	r.asked++
	wait := r.waited
	r.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body, nil, r.err
}

func (r *remote) set(body []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.body, r.err = body, err
}

func (r *remote) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func byURL(t *testing.T, i *idptest.SAMLIdP, r *remote, edit func(*saml.Config)) *saml.Provider {
	t.Helper()
	return provider(t, i, func(c *saml.Config) {
		c.Provider.MetadataFile = config.Text{}
		c.Provider.MetadataURL = config.Text{Value: "https://idp.example.com/metadata"}
		c.Fetch, c.Now = r, time.Now
		if edit != nil {
			edit(c)
		}
	})
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestMetadataIsFetchedByTheFirstWhoNeedsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := idptest.NewSAMLIdP(t)
		r := &remote{body: i.Metadata(), waited: make(chan struct{})}
		p := byURL(t, i, r, nil)
		if r.count() != 0 {
			t.Fatal("New opened a connection")
		}
		gone, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for n := range 20 {
			ctx := t.Context()
			if n == 0 {
				ctx = gone
			}
			wg.Go(func() {
				_, _, err := p.Begin(ctx, idp.Want{Handle: "h"})
				if (err != nil) != (n == 0) {
					t.Errorf("caller %d: %v", n, err)
				}
			})
		}
		synctest.Wait()
		cancel() // one who gives up does not end the fetch of the others
		synctest.Wait()
		close(r.waited)
		wg.Wait()
		if r.count() != 1 {
			t.Errorf("%d fetches for 20 sign-ins", r.count())
		}
	})
}

func TestWithoutMetadataTheProviderIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := idptest.NewSAMLIdP(t)
		r := &remote{err: errors.New("no route")}
		p := byURL(t, i, r, nil)
		for range 50 {
			_, _, err := p.Begin(t.Context(), idp.Want{})
			if !errors.Is(err, idp.ErrUnavailable) || !strings.Contains(err.Error(), "no route") {
				t.Fatal(err)
			}
			if _, err = p.Finish(t.Context(), []byte(`{"id":"x"}`), post(i.Post(good()))); !errors.Is(err, idp.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if r.count() != 1 {
			t.Errorf("%d fetches in one moment", r.count())
		}
		r.set(i.Metadata(), nil)
		time.Sleep(11 * time.Second)
		if _, _, err := p.Begin(t.Context(), idp.Want{}); err != nil {
			t.Fatal(err)
		}
		if _, err := byURL(t, i, &remote{}, nil).Inspect(i.Response(good()), saml.Inspection{}); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("inspection without metadata: %v", err)
		}
	})
}

func TestTheLastGoodMetadataStaysUntilItExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := idptest.NewSAMLIdP(t)
		until := time.Now().Add(12 * time.Hour).UTC().Format(time.RFC3339)
		good := edited(t, i, `ID="_metadata"`, `validUntil="`+until+`" cacheDuration="PT1H"`)
		r := &remote{body: good}
		var log lockedLog
		p := byURL(t, i, r, func(c *saml.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.Run(ctx)
		begin := func() error { _, _, err := p.Begin(t.Context(), idp.Want{}); return err }
		synctest.Wait()
		for _, bad := range []struct {
			body []byte
			err  error
		}{{nil, errors.New("down")}, {[]byte("<html/>"), nil}, {edited(t, i, i.EntityID, "https://evil.example.com"), nil}, {edited(t, i, `ID="_metadata"`, `validUntil="1999-01-01T00:00:00Z"`), nil}} {
			r.set(bad.body, bad.err)
			before := r.count()
			time.Sleep(2 * time.Hour)
			if r.count() == before {
				t.Error("no refresh was tried in two hours")
			}
			if err := begin(); err != nil {
				t.Fatalf("the last good copy is gone after %q, %v: %v", bad.body, bad.err, err)
			}
		}
		if !strings.Contains(log.String(), "last good copy") {
			t.Error("a failed refresh is not logged")
		}
		time.Sleep(5 * time.Hour)
		if err := begin(); !errors.Is(err, idp.ErrUnavailable) {
			t.Fatalf("expired metadata is still trusted: %v", err)
		}
		r.set(i.Metadata(), nil)
		time.Sleep(time.Minute)
		if err := begin(); err != nil {
			t.Fatal(err)
		}
		stop()
		synctest.Wait()
	})
}

func TestANewKeyOfTheProviderIsFetchedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := idptest.NewSAMLIdP(t)
		r := &remote{body: i.Metadata()}
		p := byURL(t, i, r, nil)
		if _, _, err := p.Begin(t.Context(), idp.Want{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		i.Keys = []idptest.SAMLKey{rsaKey(t, 2048)}
		r.set(i.Metadata(), nil)
		finish := func(key idptest.SAMLKey) error {
			answer := good()
			answer.At, answer.Key = time.Now(), key
			_, err := p.Finish(t.Context(), []byte(`{"id":"`+requestID+`"}`), post(i.Post(answer)))
			return err
		}
		if err := finish(i.Keys[0]); err != nil {
			t.Errorf("signed with the new key: %v", err)
		}
		for range 50 {
			if err := finish(rsaKeyOnce(t)); reasonOf(err) != "signature" {
				t.Fatalf("signed by a stranger: %v", err)
			}
		}
		if r.count() != 2 {
			t.Errorf("%d fetches; forged responses must not cause one each", r.count())
		}
	})
}

var strangerKey = sync.OnceValue(func() *idptest.SAMLKey { return &idptest.SAMLKey{} })

// rsaKeyOnce is one stranger for all.
func rsaKeyOnce(t *testing.T) idptest.SAMLKey {
	k := strangerKey()
	if k.Signer == nil {
		*k = rsaKey(t, 2048)
	}
	return *k
}

func TestExpiredMetadataOfAFileIsRefusedAndWarnedAbout(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	dir := t.TempDir()
	p := provider(t, i, func(c *saml.Config) {
		c.Provider.MetadataFile.Value = dir + "/m.xml"
		writeFile(t, dir+"/m.xml", edited(t, i, `ID="_metadata"`, `validUntil="2026-11-24T09:00:00Z"`))
	})
	if _, _, err := p.Begin(t.Context(), idp.Want{}); !errors.Is(err, idp.ErrUnavailable) {
		t.Error(err)
	}
	if w := p.Warnings(); len(w) != 1 || !strings.Contains(w[0].Message, "valid until") {
		t.Errorf("warnings %v", w)
	}
}
