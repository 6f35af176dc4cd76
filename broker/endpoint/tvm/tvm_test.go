package tvm

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
)

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatADeviceSaysReachesTheServices(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := serve(t, f)
	_, answer := ask(t, h, "POST", "/tvm/v1/devices", `{"app":"notes","attestation":"AAAA"}`)
	if f.register.App != "notes" || f.register.Attestation != "AAAA" || f.register.Method != "POST" || f.register.Path != "/tvm/v1/devices" || len(f.register.DPoP) != 1 {
		t.Errorf("registered %+v", f.register)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(read(t, answer)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"device_id": deviceID, "identity_id": identityID, "guest": true, "logged_in": false,
		"access_token": "rca_a", "token_type": "DPoP", "refresh_token": "rcr_r", "expires_in": 600.0,
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ask(t, h, "POST", "/tvm/v1/devices/"+deviceID+"/key", `{"proof":"p","signature":"s"}`)
	if f.rotate.Device != deviceID || f.rotate.Proof != "p" || f.rotate.Signature != "s" || f.rotate.Path != "/tvm/v1/devices/"+deviceID+"/key" {
		t.Errorf("rotated %+v", f.rotate)
	}
	ask(t, h, "DELETE", "/tvm/v1/devices/"+deviceID, "")
	if f.revoked != deviceID || f.what != "devices" {
		t.Errorf("revoked %q, counted as %q", f.revoked, f.what)
	}
	_, answer = ask(t, h, "POST", "/tvm/v1/credentials", `{"role":"a/b","duration":"15m"}`)
	if want := (broker.Order{Role: "a/b", Duration: "15m"}); f.order != want || f.what != "credentials" {
		t.Errorf("ordered %+v, counted as %q", f.order, f.what)
	}
	const document = `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"sk","SessionToken":"st","Expiration":"2026-11-24T12:50:58Z","AccountId":"111122223333"}`
	if got := strings.TrimSpace(read(t, answer)); got != document || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s %v", got, answer.Header)
	}
}

// Nobody gets anything who has not been recognised first.
func TestStrangersReachNothing(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"GET", "/tvm/v1/devices", ""}, {"DELETE", "/tvm/v1/devices/x", ""}, {"POST", "/tvm/v1/credentials", "{}"},
	} {
		f := &fake{stranger: broker.Fail(broker.Unauthenticated, "invalid_token", "The token has ended.")}
		_, answer := ask(t, serve(t, f), c[0], c[1], c[2])
		if answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") != `DPoP error="invalid_token", algs="ES256"` || answer.Header.Get("DPoP-Nonce") != nonce {
			t.Errorf("%s %s: %d %v", c[0], c[1], answer.StatusCode, answer.Header)
		}
		if f.revoked != "" || f.order != (broker.Order{}) {
			t.Errorf("%s %s reached the service: %+v", c[0], c[1], f)
		}
	}
}

func TestChallengesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"use_dpop_nonce": `DPoP error="use_dpop_nonce", algs="ES256"`, "invalid_dpop_proof": `DPoP error="invalid_dpop_proof", algs="ES256"`,
		"no_token": `DPoP algs="ES256"`, "device_changed": `DPoP algs="ES256"`,
	} {
		_, answer := ask(t, serve(t, &fake{stranger: broker.Fail(broker.Unauthenticated, reason, "No.")}), "POST", "/tvm/v1/credentials", "{}")
		if got := answer.Header.Get("WWW-Authenticate"); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
	_, answer := ask(t, serve(t, &fake{err: broker.Fail(broker.StepUp, "x", "Log in.")}), "POST", "/tvm/v1/credentials", "{}")
	if body := read(t, answer); answer.StatusCode != 401 || !strings.Contains(body, `"insufficient_user_authentication"`) {
		t.Errorf("step up: %d %s", answer.StatusCode, body)
	}
}

func TestOtherMethodsAndPathsAreRefusedAsJSON(t *testing.T) {
	t.Parallel()
	h := serve(t, &fake{})
	for at, want := range map[string]int{
		"PUT /tvm/v1/devices": 405, "GET /tvm/v1/credentials": 405, "POST /tvm/v1/openapi.json": 405, "GET /tvm/v1/devices/x": 405,
		"GET /tvm/": 404, "POST /tvm/v1/": 404, "POST /tvm/v2/devices": 404, "GET /tvm/v1/devices/x/y": 404,
	} {
		method, path, _ := strings.Cut(at, " ")
		_, answer := ask(t, h, method, path, "")
		if body := read(t, answer); answer.StatusCode != want || !strings.Contains(body, `"error":"invalid_request"`) || !strings.Contains(body, `"request_id"`) {
			t.Errorf("%s: %d %s", at, answer.StatusCode, body)
		}
	}
}

func TestTheDocumentIsForEverybody(t *testing.T) {
	t.Parallel()
	h := serve(t, &fake{stranger: broker.Fail(broker.Unauthenticated, "no_token", "No.")})
	r := httptest.NewRequest(http.MethodGet, base+"/tvm/v1/openapi.json", nil)
	r.Header.Set("Origin", "https://elsewhere.example.com")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var got struct {
		OpenAPI string              `json:"openapi"`
		Servers []map[string]string `json:"servers"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	if got.OpenAPI != "3.1.0" || len(got.Servers) != 1 || got.Servers[0]["url"] != base || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("DPoP-Nonce") != nonce {
		t.Errorf("got %+v %v", got, w.Header())
	}
}
