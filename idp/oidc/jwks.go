package oidc

import (
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// maxKeys bounds the keys of one set.
const maxKeys = 100

// publicKey is a key that may verify signatures.
type publicKey struct {
	id  string
	alg string // the only algorithm it is for; empty is any that fits
	key crypto.PublicKey
}

// ring is a key set that was read once and is not changed after.
type ring []publicKey

// match lists the keys for a token: of its kid, or all where it names none.
func (r ring) match(kid, alg string) []publicKey {
	var found []publicKey
	for _, key := range r {
		if (kid == "" || key.id == kid) && (key.alg == "" || key.alg == alg) && fits(key.key, alg) {
			found = append(found, key)
		}
	}
	return found
}

// keyRule is what one kind of provider says of its keys beside what all do.
type keyRule struct {
	uses    []string // words of use that are as good as sig
	issuers []string // what a key's member issuer may be, where it has one (Microsoft); nil asks nothing
}

// readRing reads a JWK set. A secret or private key, or a kid that is there
// twice, condemns the whole set; a key that is weak, for another purpose or of an
// unknown type is left out.
func readRing(data []byte, rule keyRule) (ring, error) {
	set, err := readObject(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys, _ := set.get("keys")
	if keys.kind != kindList || len(keys.list()) > maxKeys {
		return nil, fmt.Errorf("key set: keys is not a list of at most %d", maxKeys)
	}
	var raws struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &raws); err != nil || len(raws.Keys) != len(keys.list()) {
		return nil, errors.New("key set: keys cannot be read")
	}
	var found ring
	seen := map[string]bool{}
	for i, v := range keys.list() {
		if v.kind != kindObject {
			return nil, fmt.Errorf("key set: key %d is not an object", i+1)
		}
		if err := condemned(v.object()); err != nil {
			return nil, fmt.Errorf("key set: key %d %w", i+1, err)
		}
		kid, _ := v.object().get("kid")
		if kid.text != "" && seen[kid.text] {
			return nil, fmt.Errorf("key set: kid %.64q is there twice", kid.text)
		}
		seen[kid.text] = true
		if key, ok := readKey(v.object(), raws.Keys[i], rule); ok {
			found = append(found, key)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("key set: no key in it can be used to verify signatures")
	}
	return found, nil
}

// condemned says why a key must not be published at all.
func condemned(key object) error {
	if kty, _ := key.get("kty"); kty.text == "oct" {
		return errors.New("is a shared secret")
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := key.get(name); there {
			return errors.New("is a private key")
		}
	}
	return nil
}

// readKey takes a key that is for signatures and strong enough.
func readKey(o object, raw []byte, rule keyRule) (publicKey, bool) {
	if use, there := o.get("use"); there && use.text != "sig" && !slices.Contains(rule.uses, use.text) {
		return publicKey{}, false
	}
	if issuer, there := o.get("issuer"); there && rule.issuers != nil && !slices.Contains(rule.issuers, issuer.text) {
		return publicKey{}, false
	}
	if ops, there := o.get("key_ops"); there && !slices.ContainsFunc(ops.list(), func(v value) bool { return v.text == "verify" }) {
		return publicKey{}, false
	}
	alg, there := o.get("alg")
	if there && !slices.Contains(knownAlgorithms(), alg.text) {
		return publicKey{}, false
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil || !key.Valid() || !key.IsPublic() {
		return publicKey{}, false
	}
	if public, ok := key.Key.(*rsa.PublicKey); ok {
		if bits := public.N.BitLen(); bits < 2048 || bits > 8192 || public.E < 3 || public.E%2 == 0 || roca(public.N) {
			return publicKey{}, false
		}
	}
	if alg.text != "" && !fits(key.Key, alg.text) {
		return publicKey{}, false
	}
	return publicKey{id: key.KeyID, alg: alg.text, key: key.Key}, true
}
