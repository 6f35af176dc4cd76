package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// FuzzAnswer: what is accepted carries exactly one code, this sign-in's state and,
// where it is there or promised, this issuer; and it came the way that was asked for.
func FuzzAnswer(f *testing.F) {
	const issuer, handle = "https://op.example.com", "the-handle"
	for _, text := range []string{
		"code=c&state=the-handle&iss=https%3A%2F%2Fop.example.com", "code=c&state=the-handle", "code=c&code=d&state=the-handle",
		"code=c&state=the-handle&iss=https%3A%2F%2Fevil.example.com", "error=access_denied&state=the-handle", "State=the-handle&code=c",
		"code=&state=the-handle", "state=the-handle&state=the-handle&code=c", "code=c%00&state=the-handle&iss=", "user=%7B%7D&code=c&state=the-handle",
	} {
		for _, promised := range []bool{true, false} {
			f.Add(false, promised, false, text, "")
			f.Add(true, promised, true, "", text)
			f.Add(true, promised, false, text, text)
		}
	}
	p := &Provider{config: config.Provider{Issuer: text(issuer)}}
	f.Fuzz(func(t *testing.T, post, promised, form bool, rawQuery, rawForm string) {
		query, _ := url.ParseQuery(rawQuery)
		fields, _ := url.ParseQuery(rawForm)
		answer := idp.Answer{Method: http.MethodGet, Query: query}
		if post {
			answer.Method, answer.Form = http.MethodPost, fields
		}
		keep := pending{Issuer: issuer, State: hashText(handle)}
		if form {
			keep.Mode = formPost
		}
		code, err := p.judgeAnswer(&metadata{issuerParam: promised}, keep, answer)
		if err != nil {
			if code != "" {
				t.Errorf("a code in spite of %v", err)
			}
			return
		}
		came := query
		if form {
			came = fields
		}
		switch {
		case post != form:
			t.Error("it came the other way")
		case form && (query.Has("code") || query.Has("state")):
			t.Errorf("half in the address: %v", query)
		case !slices.Equal(came["code"], []string{code}) || code == "" || len(code) > 4096:
			t.Errorf("code %q of %v", code, came)
		case !slices.Equal(came["state"], []string{handle}):
			t.Errorf("state %v", came["state"])
		case came.Has("iss") && !slices.Equal(came["iss"], []string{issuer}), promised && !came.Has("iss"), came.Has("error"):
			t.Errorf("accepted %v", came)
		}
	})
}

// FuzzLogoutToken signs what the fuzzer says: what is accepted is a logout token
// of this issuer for us, of now, about somebody.
func FuzzLogoutToken(f *testing.F) {
	c := newClock()
	op := idptest.StartOP(f, c.now)
	p := provider(f, op, c, nil)
	now := c.now().Unix()
	good := map[string]any{
		"iss": op.Issuer, "aud": op.ClientID, "iat": now, "exp": now + 60, "jti": "j", "sub": "s", "sid": "i",
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	for _, change := range []func(map[string]any){
		func(map[string]any) {},
		func(m map[string]any) { m["nonce"] = "n" },
		func(m map[string]any) { delete(m, "sub"); delete(m, "sid") },
		func(m map[string]any) { m["events"] = []any{logoutEvent} },
		func(m map[string]any) { m["exp"] = now + 3600 },
		func(m map[string]any) { m["aud"] = []any{"other"} },
		func(m map[string]any) { m["SUB"] = "s" },
		func(m map[string]any) { delete(m, "jti") },
	} {
		claims := map[string]any{}
		for k, v := range good {
			claims[k] = v
		}
		change(claims)
		payload, err := json.Marshal(claims)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("logout+jwt", payload)
		f.Add("JWT", payload)
	}
	key := op.Key()
	f.Fuzz(func(t *testing.T, typ string, payload []byte) {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.Alg, Key: jose.JSONWebKey{Key: key.Private, KeyID: key.ID}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		gone, err := p.VerifyLogout(t.Context(), raw)
		if err != nil {
			return
		}
		var claims struct {
			Issuer  string                                `json:"iss"`
			Expires float64                               `json:"exp"`
			Events  map[string]map[string]json.RawMessage `json:"events"`
			Nonce   *json.RawMessage                      `json:"nonce"`
			ID      string                                `json:"jti"`
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("accepted what is no such object: %v", err)
		}
		_, event := claims.Events[logoutEvent]
		switch {
		case claims.Issuer != op.Issuer || !event || claims.Nonce != nil || claims.ID == "":
			t.Errorf("accepted %s", payload)
		case gone.NameID == "" && len(gone.Sessions) == 0:
			t.Errorf("it is about nobody: %s", payload)
		case claims.Expires < float64(now)-60 || gone.Once.Until.After(c.now().Add(4*time.Minute)):
			t.Errorf("its time: %s, remembered until %s", payload, gone.Once.Until)
		case gone.Once.Key != "logout "+claims.ID:
			t.Errorf("it counts once as %q", gone.Once.Key)
		}
	})
}
