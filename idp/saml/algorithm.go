package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // recognised, so that the weakness can be named; never accepted
	_ "crypto/sha256"
	_ "crypto/sha512"
	"math/big"
)

// algorithm is a signature method of the allow-list.
type algorithm struct {
	hash  crypto.Hash
	ecdsa bool
	pss   bool
}

// algorithms is the allow-list (SHA-1 is on it as a weakness). HMAC, DSA and
// whatever is not here is refused.
var algorithms = map[string]algorithm{
	spaceSignature + "rsa-sha1":         {hash: crypto.SHA1},
	signatureRSASHA256:                  {hash: crypto.SHA256},
	spaceSignatureMore + "rsa-sha384":   {hash: crypto.SHA384},
	spaceSignatureMore + "rsa-sha512":   {hash: crypto.SHA512},
	spaceSignatureMore + "ecdsa-sha1":   {hash: crypto.SHA1, ecdsa: true},
	spaceSignatureMore + "ecdsa-sha256": {hash: crypto.SHA256, ecdsa: true},
	spaceSignatureMore + "ecdsa-sha384": {hash: crypto.SHA384, ecdsa: true},
	spaceSignatureMore + "ecdsa-sha512": {hash: crypto.SHA512, ecdsa: true},
	spacePSS + "sha256-rsa-MGF1":        {hash: crypto.SHA256, pss: true},
	spacePSS + "sha384-rsa-MGF1":        {hash: crypto.SHA384, pss: true},
	spacePSS + "sha512-rsa-MGF1":        {hash: crypto.SHA512, pss: true},
}

// digests is the allow-list of Reference digests.
var digests = map[string]crypto.Hash{
	spaceSignature + "sha1":       crypto.SHA1,
	digestSHA256:                  crypto.SHA256,
	spaceSignatureMore + "sha384": crypto.SHA384,
	spaceCipher + "sha512":        crypto.SHA512,
}

// verify checks a signature over a text with one key.
func (a algorithm) verify(key crypto.PublicKey, text, signature []byte) bool {
	h := a.hash.New()
	h.Write(text)
	sum := h.Sum(nil)
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch {
		case a.ecdsa:
			return false
		case a.pss:
			return rsa.VerifyPSS(key, a.hash, sum, signature, nil) == nil
		}
		return rsa.VerifyPKCS1v15(key, a.hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		return a.ecdsa && verifyECDSA(key, sum, signature)
	}
	return false
}

// verifyECDSA takes r and s concatenated, as XML Signature says, and the ASN.1
// form that some libraries write instead.
func verifyECDSA(key *ecdsa.PublicKey, sum, signature []byte) bool {
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return ecdsa.VerifyASN1(key, sum, signature)
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(key, sum, r, s)
}

// shortRSA reports whether a key is an RSA key of under 2048 bits.
func shortRSA(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() < 2048
}
