package saml_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestHealthSaysHowFreshTheMetadataIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := idptest.NewSAMLIdP(t)
		r := &remote{body: i.Metadata()}
		p := byURL(t, i, r, nil)
		if h := p.Health(); !h.Read.IsZero() || h.Err != nil || h.Keys != 0 || h.From != "https://idp.example.com/metadata" {
			t.Errorf("before anybody asked: %+v", h)
		}
		if r.count() != 0 {
			t.Error("to look at it fetched something")
		}
		if err := p.Examine(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := time.Now()
		if h := p.Health(); !h.Read.Equal(first) || h.Err != nil || h.Keys == 0 || len(h.Certificates) != h.Keys {
			t.Errorf("after it: %+v", h)
		}
		time.Sleep(time.Hour)
		r.set(nil, errors.New("connection refused"))
		if err := p.Examine(t.Context()); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("a provider that is down: %v", err)
		}
		if h := p.Health(); !h.Read.Equal(first) || h.Err == nil || h.Keys == 0 {
			t.Errorf("the last good copy: %+v", h)
		}
	})
}

func TestHealthOfAFileNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, nil)
	if err := p.Examine(t.Context()); err != nil {
		t.Error(err)
	}
	if h := p.Health(); h.Read.IsZero() || len(h.Certificates) == 0 || h.From == "" {
		t.Errorf("%+v", h)
	}
}
