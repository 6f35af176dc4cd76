package oidc

import (
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp/idptest"
)

func TestALogoutTokenNamesWhoHasLeft(t *testing.T) {
	t.Parallel()
	op := idptest.StartOP(t, time.Now)
	key := idptest.NewOPKey(t, jose.ES256)
	op.SetKeys(key)
	p, err := New(Config{Provider: section(op), URL: "https://broker.example", Fetch: client(t, 30*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	typed := map[string]any{"typ": "logout+jwt"}
	event := map[string]any{logoutEvent: map[string]any{}}
	now := time.Now().Unix()
	with := func(change map[string]any, without ...string) map[string]any {
		claims := map[string]any{
			"iss": op.Issuer, "aud": op.ClientID, "iat": now, "exp": now + 120, "jti": "j-1", "events": event, "sub": "alice", "sid": "s-1",
		}
		maps.Copy(claims, change)
		for _, name := range without {
			delete(claims, name)
		}
		return claims
	}
	for name, claims := range map[string]map[string]any{
		"both":          with(nil),
		"a person only": with(nil, "sid"),
		"a session":     with(nil, "sub"),
	} {
		gone, err := p.VerifyLogout(t.Context(), op.Sign(key, claims, typed))
		if err != nil || gone.Once.Key == "" || !gone.Once.Until.After(time.Now().Add(2*time.Minute)) {
			t.Errorf("%s: %+v, %v", name, gone, err)
		}
		if _, there := claims["sub"]; there != (gone.NameID == "alice") {
			t.Errorf("%s: %+v", name, gone)
		}
		if _, there := claims["sid"]; there != (len(gone.Sessions) == 1 && gone.Sessions[0] == "s-1") {
			t.Errorf("%s: %+v", name, gone)
		}
	}
	for name, test := range map[string]struct {
		claims, header map[string]any
		reason         string
	}{
		"an ID token's typ":        {with(nil), map[string]any{"typ": "JWT"}, "typ"},
		"no typ":                   {with(nil), nil, "typ"},
		"no events":                {with(nil, "events"), typed, "events"},
		"another event":            {with(map[string]any{"events": map[string]any{"https://example.com/x": map[string]any{}}}), typed, "events"},
		"an event that is text":    {with(map[string]any{"events": map[string]any{logoutEvent: "{}"}}), typed, "events"},
		"events as a list":         {with(map[string]any{"events": []any{logoutEvent}}), typed, "events"},
		"a nonce":                  {with(map[string]any{"nonce": "n"}), typed, "nonce"},
		"no jti":                   {with(nil, "jti"), typed, "malformed"},
		"nobody":                   {with(nil, "sub", "sid"), typed, "subject"},
		"another audience":         {with(map[string]any{"aud": "somebody"}), typed, "audience"},
		"another issuer":           {with(map[string]any{"iss": "https://evil.example.com"}), typed, "issuer"},
		"no exp":                   {with(nil, "exp"), typed, "expired"},
		"no iat":                   {with(nil, "iat"), typed, "issued-at"},
		"a life of an hour":        {with(map[string]any{"exp": now + 3600}), typed, "lifetime"},
		"expired":                  {with(map[string]any{"iat": now - 600, "exp": now - 500}), typed, "expired"},
		"of the future":            {with(map[string]any{"iat": now + 600, "exp": now + 700}), typed, "issued-at"},
		"a subject with line ends": {with(map[string]any{"sub": "a\nb"}), typed, "subject"},
	} {
		_, err := p.VerifyLogout(t.Context(), op.Sign(key, test.claims, test.header))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		t.Run(name, func(t *testing.T) { refused(t, err, test.reason) })
	}
	stranger := idptest.NewOPKey(t, jose.ES256)
	stranger.ID = key.ID
	if _, err := p.VerifyLogout(t.Context(), op.Sign(stranger, with(nil), typed)); err == nil {
		t.Error("a key of nobody signed, and it was accepted")
	}
	if _, err := p.Verify(t.Context(), op.Sign(key, with(nil), typed)); err == nil {
		t.Error("a logout token was exchanged")
	}
}
