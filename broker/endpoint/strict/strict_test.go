package strict_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/strict"
)

type ask struct {
	Role string          `json:"role"`
	Any  json.RawMessage `json:"any"`
}

func read(body, kind string) (ask, error) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	var got ask
	err := strict.JSON(httptest.NewRecorder(), r, 1<<10, &got)
	return got, err
}

func TestOneReadingOfABody(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{`{}`: "", `{"role":"a"}`: "a", " {\n\"role\" : \"a\" }\n": "a", `{"role":"a","any":{"Role":1,"role":2}}`: "a"} {
		if got, err := read(body, "application/json; charset=utf-8"); err != nil || got.Role != want {
			t.Errorf("%s: %+v %v", body, got, err)
		}
	}
	for _, body := range []string{
		"", "null", "[]", `"x"`, `{"role":1}`, `{"ROLE":"a"}`, `{"role":"a","role":"b"}`, `{"role":"a","ro\u006ce":"b"}`, `{"other":1}`, `{"role":"a"}{}`, `{"role":"a"} x`, `{"role":`,
	} {
		if got, err := read(body, "application/json"); err == nil || broker.CodeOf(err) != broker.InvalidRequest {
			t.Errorf("%s: %+v %v", body, got, err)
		}
	}
	if _, err := read(`{}`, "text/plain"); broker.CodeOf(err) != broker.InvalidRequest {
		t.Errorf("another type: %v", err)
	}
	if _, err := read(`{"role":"`+strings.Repeat("x", 2<<10)+`"}`, "application/json"); err == nil {
		t.Error("a body that is too large is read")
	}
}

// Whatever comes, there is no panic, and what is taken means one thing only.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"role":"a"}`, `{"role":"a","Role":"b"}`, `[1]`, `{"role":"\ud800"}`, `{"any":{"a":[{}]}}`, "{\"ro\u017fe\":1}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := read(body, "application/json")
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &members) != nil {
			t.Fatalf("%q was taken", body)
		}
		for name := range members {
			if name != "role" && name != "any" {
				t.Errorf("%q was taken with the member %q", body, name)
			}
		}
		var role string
		if raw, there := members["role"]; there && json.Unmarshal(raw, &role) == nil && role != got.Role {
			t.Errorf("%q is %q here and %q there", body, got.Role, role)
		}
	})
}
