package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
)

// algorithms that a provider may be allowed. None of them takes a secret.
func knownAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// hashOf is the hash in an algorithm's name.
func hashOf(alg string) crypto.Hash {
	switch alg[len(alg)-3:] {
	case "256":
		return crypto.SHA256
	case "384":
		return crypto.SHA384
	default:
		return crypto.SHA512
	}
}

// verifySignature reports whether signature is the key's over input. The key's
// type and curve must be the algorithm's, and RSA-PSS salts as long as the hash.
func verifySignature(key crypto.PublicKey, alg, input string, signature []byte) bool {
	if !fits(key, alg) {
		return false
	}
	if public, ok := key.(ed25519.PublicKey); ok {
		return ed25519.Verify(public, []byte(input), signature)
	}
	hash := hashOf(alg)
	h := hash.New()
	h.Write([]byte(input))
	digest := h.Sum(make([]byte, 0, 64))
	switch public := key.(type) {
	case *rsa.PublicKey:
		if alg[0] == 'P' {
			return rsa.VerifyPSS(public, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		size := (public.Curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(public, digest, r, s)
	}
	return false
}

// fits reports whether a key may be used with an algorithm at all.
func fits(key crypto.PublicKey, alg string) bool {
	switch public := key.(type) {
	case *rsa.PublicKey:
		return alg[0] == 'R' || alg[0] == 'P'
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case *ecdsa.PublicKey:
		return alg == "ES256" && public.Curve == elliptic.P256() || alg == "ES384" && public.Curve == elliptic.P384() ||
			alg == "ES512" && public.Curve == elliptic.P521()
	}
	return false
}

// roca recognises keys of a broken generator (CVE-2017-15361): modulo every
// small prime their modulus is a power of 65537, which a random one never is.
func roca(n *big.Int) bool {
	primes := []int64{3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
		101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167}
	for _, p := range primes {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for range p {
			if power == rest {
				break
			}
			power = power * 65537 % p
		}
		if power != rest {
			return false
		}
	}
	return true
}
