package oidc

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// vectors is a file of Wycheproof.
type vectors struct {
	NumberOfTests int
	TestGroups    []struct {
		Comment string
		Public  json.RawMessage // a key or a set
		Private json.RawMessage
		Tests   []struct {
			TcID    int
			Comment string
			JWS     string
			Result  string
		}
	}
}

func TestWycheproof(t *testing.T) {
	t.Parallel()
	for name, stricter := range map[string][]int{
		// 346, 350: a key for PS256 signs with PS384. 347, 351: a key for ES521, which
		// does not exist. The others have an empty payload, which no token has.
		"testdata/wycheproof/jws.json": {346, 350, 347, 351, 259, 264, 268, 272, 320, 325},
		"testdata/wycheproof/jwk.json": nil,
	} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var all vectors
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		count, accepted := 0, 0
		for _, group := range all.TestGroups {
			set := group.Public
			if set == nil {
				set = group.Private // shared secrets
			}
			if !bytes.Contains(set, []byte(`"keys"`)) {
				set = slices.Concat([]byte(`{"keys":[`), set, []byte(`]}`))
			}
			shared := bytes.Contains(set, []byte(`"oct"`))
			for _, test := range group.Tests {
				count++
				got := acceptsJWS(set, test.JWS)
				want := test.Result == "valid" && !shared && !slices.Contains(stricter, test.TcID)
				if got != want {
					t.Errorf("%s %d (%s, %s): accepted %v", name, test.TcID, group.Comment, test.Comment, got)
				}
				if got {
					accepted++
				}
			}
		}
		if count != all.NumberOfTests || accepted == 0 {
			t.Errorf("%s: %d vectors of %d, %d accepted", name, count, all.NumberOfTests, accepted)
		}
	}
}

// acceptsJWS is what keySet.verify does, without fetching.
func acceptsJWS(set []byte, raw string) bool {
	keys, err := readRing(set, keyRule{})
	if err != nil {
		return false
	}
	token, err := split(raw)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(keys.match(token.kid, token.alg), func(key publicKey) bool {
		return verifySignature(key.key, token.alg, token.input, token.signature)
	})
}
