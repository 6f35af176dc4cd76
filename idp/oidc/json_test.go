package oidc

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestObjectsThatAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                `{}`,
		" \t\r\n{ \"a\" : 1 , \"b\":[ ] } ": `{"a":1,"b":[]}`,
		`{"a":"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00"}`:   `{"a":"\"\\/\b\f\n\r\tA😀"}`,
		`{"a":[true,false,null,-0.5e+3,"x",{"b":{}}]}`: `{"a":[true,false,null,-500,"x",{"b":{}}]}`,
		`{"a":{"x":1,"X":2}}`:                          `{"a":{"X":2,"x":1}}`,
		`{"":0}`:                                       `{"":0}`,
		`{"a":"\u0000"}`:                               `{"a":"\u0000"}`,
	} {
		o, err := readObject([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := json.Marshal(o.native())
		if err != nil || !equalJSON(t, got, []byte(want)) {
			t.Errorf("%s: read %s, %v", text, got, err)
		}
	}
}

func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, err1 := json.Marshal(x)
	two, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(one, two)
}

func TestObjectsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, ` `, `null`, `[]`, `"a"`, `1`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":1}x`, `{"a":1}{}`, `{a:1}`, `{'a':1}`,
		`{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"k":1,"K":2}`, `{"s":1,"ſ":2}`, `{"a":{"b":1,"b":1}}`, `{"a":[{"b":1,"b":1}]}`, `{"a":1,"\u0061":2}`,
		`{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":-01}`,
		`{"a":tru}`, `{"a":True}`, `{"a":nul}`, `{"a":"`, `{"a":"\`, `{"a":"\u12`, `{"a":"\u12g4"}`, `{"a":"\x"}`, `{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`,
		`{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, "{\"a\":\"\n\"}", "{\"a\":\"\\\n\"}", "{\"a\":\"x\\n\n\"}", "{\"a\":\"\xff\"}", "\ufeff{}", `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[`, `{"a":[}`,
		`{"a":` + strings.Repeat(`[`, 17) + strings.Repeat(`]`, 17) + `}`, `//x` + "\n{}", `{"a":1/**/}`, `{"a":"\u+123"}`,
	} {
		if o, err := readObject([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, o)
		}
	}
}

func TestManyMembersAreStillComparedQuickly(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString(`{"first":1`)
	for i := range 50_000 {
		text.WriteString(`,"m` + strconv.Itoa(i) + `":1`)
	}
	start := time.Now()
	if _, err := readObject([]byte(text.String() + `}`)); err != nil {
		t.Error(err)
	}
	if _, err := readObject([]byte(text.String() + `,"FIRST":2}`)); err == nil {
		t.Error("a fold among many was accepted")
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// FuzzReadObject compares with encoding/json: whatever is accepted, the standard
// reader accepts too and reads the same from it, and names are distinct.
func FuzzReadObject(f *testing.F) {
	for _, seed := range []string{
		`{"iss":"https://a","sub":"s","aud":["a","b"],"exp":1764000000,"x":{"y":[1.5e3,true,null]}}`, `{"a":"\ud83d\ude00\u0041\n"}`,
		`{"a":1,"A":2}`, `{"s":1,"ſ":2}`, `{"a":{"b":1,"b":2}}`, `{"a":01}`, `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readObject(data)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Fatalf("something follows in %q", data)
		}
		if !same(o, want) {
			t.Fatalf("%q is read as %v, by encoding/json as %v", data, o, want)
		}
	})
}

// same compares with encoding/json's reading.
func same(o object, want map[string]any) bool {
	if len(o) != len(want) {
		return false
	}
	for _, m := range o {
		other, there := want[m.name]
		if !there || !sameValue(m.value, other) {
			return false
		}
	}
	return true
}

func sameValue(v value, want any) bool {
	switch want := want.(type) {
	case nil:
		return v.kind == kindNull
	case bool:
		return v.kind == kindBool && v.text == strconv.FormatBool(want)
	case string:
		return v.kind == kindText && v.text == want
	case json.Number:
		return v.kind == kindNumber && v.text == want.String()
	case map[string]any:
		return v.kind == kindObject && same(v.object(), want)
	case []any:
		for i, item := range want {
			if i >= len(v.list()) || !sameValue(v.list()[i], item) {
				return false
			}
		}
		return v.kind == kindList && len(v.list()) == len(want)
	}
	return false
}

// FuzzToken feeds whole tokens: nothing may panic, and what passes the form is a
// compact JWS whose claims have sane times.
func FuzzToken(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.AAAA")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(`{"payload":"e30"}`)
	f.Add("e30.e30.e30.e30.e30")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := split(raw)
		if err != nil {
			return
		}
		if strings.Count(raw, ".") != 2 || len(raw) > maxToken || strings.Trim(raw, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Fatalf("not a compact JWS: %q", raw)
		}
		claims, err := readClaims(token)
		if err != nil {
			return
		}
		for _, at := range []time.Time{claims.expires, claims.issued, claims.notBefore, claims.authTime} {
			if !at.IsZero() && (at.Unix() < 0 || at.Unix() > 253402300799 || math.Abs(float64(at.Year()-5000)) > 5000) {
				t.Fatalf("time %v", at)
			}
		}
		claims.claims.attributes()
	})
}
