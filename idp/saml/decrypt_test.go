package saml_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// encrypted is an answer encrypted to a key of ours, and the case that has it.
func encrypted(t *testing.T, i *idptest.SAMLIdP, e idptest.SAMLEncryption) (idptest.SAMLAnswer, saml.Case) {
	t.Helper()
	key := idptest.NewSAMLKey(t, nil)
	e.To = key.Certificate
	answer := good()
	answer.EncryptTo = &e
	c := standard(t, i)
	c.Decryption = key.Signer.(*rsa.PrivateKey)
	return answer, c
}

func TestEncryptedAssertionsThatMustBeAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		how    idptest.SAMLEncryption
		signed string
		allow  []string
	}{
		"AES-128-GCM":                            {signed: "both"},
		"AES-192-GCM":                            {how: idptest.SAMLEncryption{Cipher: "aes192-gcm"}, signed: "both"},
		"AES-256-GCM":                            {how: idptest.SAMLEncryption{Cipher: "aes256-gcm"}, signed: "both"},
		"OAEP with SHA-256":                      {how: idptest.SAMLEncryption{KeyTransport: "rsa-oaep"}, signed: "both"},
		"the key beside the data":                {how: idptest.SAMLEncryption{Beside: true}, signed: "both"},
		"only the Response is signed":            {signed: "response"},
		"only the encrypted Assertion is signed": {signed: "assertion"},
		"AES-128-CBC where it is allowed, in a signed Response": {how: idptest.SAMLEncryption{Cipher: "aes128-cbc"}, signed: "response", allow: []string{"cbc"}},
		"AES-256-CBC where it is allowed, both signed":          {how: idptest.SAMLEncryption{Cipher: "aes256-cbc"}, signed: "both", allow: []string{"cbc"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.NewSAMLIdP(t)
			answer, c := encrypted(t, i, test.how)
			answer.Signed, c.Allow = test.signed, test.allow
			v := saml.Judge(i.Response(answer), c)
			accepted(t, v, "encrypted", "second-opinion")
			if v.Identity.Subject != "alice" || len(v.Identity.Groups) != 2 {
				t.Errorf("identity %+v", v.Identity)
			}
		})
	}
}

func TestEncryptedAssertionsThatMustBeRefused(t *testing.T) {
	t.Parallel()
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	replace := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	tests := map[string]struct {
		how    idptest.SAMLEncryption
		signed string
		after  func(r *etree.Element)
		reason string
	}{
		"CBC":                                {how: idptest.SAMLEncryption{Cipher: "aes128-cbc"}, reason: "cbc"},
		"CBC in an unsigned Response":        {how: idptest.SAMLEncryption{Cipher: "aes128-cbc"}, signed: "assertion", reason: "cbc-in-unsigned-response"},
		"Triple DES":                         {how: idptest.SAMLEncryption{Cipher: "tripledes-cbc"}, reason: "3des-cbc"},
		"RSA PKCS #1 v1.5":                   {how: idptest.SAMLEncryption{KeyTransport: "rsa-1_5"}, reason: "rsa-pkcs1v15-key-transport"},
		"GCM shorter than nonce and tag":     {how: idptest.SAMLEncryption{Data: cut(11)}, reason: "encryption-form"},
		"CBC that is no multiple of a block": {how: idptest.SAMLEncryption{Cipher: "aes128-cbc", Data: cut(33)}, reason: "encryption-form"},
		"CBC of the vector alone":            {how: idptest.SAMLEncryption{Cipher: "aes128-cbc", Data: cut(16)}, reason: "encryption-form"},
		"Triple DES that is too short":       {how: idptest.SAMLEncryption{Cipher: "tripledes-cbc", Data: cut(8)}, reason: "encryption-form"},
		"GCM changed":                        {how: idptest.SAMLEncryption{Data: flip}, reason: "decryption"},
		"a key that is too short":            {how: idptest.SAMLEncryption{Key: cut(20)}, reason: "decryption"},
		"a key that was changed":             {how: idptest.SAMLEncryption{Key: flip}, reason: "decryption"},
		"nothing inside":                     {how: idptest.SAMLEncryption{Plaintext: replace("")}, reason: "decryption"},
		"no XML inside":                      {how: idptest.SAMLEncryption{Plaintext: replace("alice")}, reason: "decryption"},
		"another element inside":             {how: idptest.SAMLEncryption{Plaintext: replace("<x/>")}, reason: "decryption"},
		"a DOCTYPE inside":                   {how: idptest.SAMLEncryption{Plaintext: replace("<!DOCTYPE x>")}, reason: "decryption"},
		"the rest of a Response inside":      {how: idptest.SAMLEncryption{Plaintext: replace("</samlp:Response><x/>")}, reason: "decryption"},
		"another EncryptedAssertion inside":  {how: idptest.SAMLEncryption{Plaintext: replace(`<saml:EncryptedAssertion/>`)}, reason: "decryption"},
		"two Assertions inside": {how: idptest.SAMLEncryption{Plaintext: func(b []byte) []byte {
			return append([]byte(strings.Replace(string(b), ` ID="_`, ` ID="_x`, 1)), b...)
		}}, reason: "decryption"},
		"an unknown cipher": {after: func(r *etree.Element) {
			at(r, "EncryptedAssertion/EncryptedData/EncryptionMethod").CreateAttr("Algorithm", "urn:x")
		}, signed: "assertion", reason: "encryption-algorithm"},
		"a cipher value somewhere else": {after: func(r *etree.Element) {
			d := at(r, "EncryptedAssertion/EncryptedData/CipherData")
			clear(d)
			d.CreateElement("xenc:CipherReference").CreateAttr("URI", "http://127.0.0.1:1/")
		}, signed: "assertion", reason: "encryption-form"},
		"two keys": {after: func(r *etree.Element) {
			k := at(r, "EncryptedAssertion/EncryptedData/KeyInfo")
			k.AddChild(at(k, "EncryptedKey").Copy())
		}, signed: "assertion", reason: "encryption-form"},
		"nothing signed": {signed: "none", reason: "unsigned"},
		"the ciphertext of a signed Response changed": {after: func(r *etree.Element) {
			v := at(r, "EncryptedAssertion/EncryptedData/CipherData/CipherValue")
			v.SetText("AAAA" + v.Text()[4:])
		}, reason: "digest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.NewSAMLIdP(t)
			answer, c := encrypted(t, i, test.how)
			if answer.Signed = test.signed; test.signed == "" {
				answer.Signed = "response"
			}
			answer.After = test.after
			v := saml.Judge(i.Response(answer), c)
			refused(t, v, test.reason)
			if v.Identity != nil {
				t.Error("an ACS must not say who is inside what it refuses to decrypt")
			}
		})
	}
}

// A refused way of encrypting can be looked into by an operator, who then reads
// whose document it is; the ACS never decrypts it.
func TestInspectionSaysWhoseAWeaklyEncryptedDocumentIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		how    idptest.SAMLEncryption
		signed string
		code   string
	}{
		"CBC":                         {idptest.SAMLEncryption{Cipher: "aes256-cbc"}, "response", "cbc"},
		"CBC in an unsigned Response": {idptest.SAMLEncryption{Cipher: "aes256-cbc"}, "assertion", "cbc-in-unsigned-response"},
		"Triple DES":                  {idptest.SAMLEncryption{Cipher: "tripledes-cbc"}, "both", "3des-cbc"},
		"RSA PKCS #1 v1.5":            {idptest.SAMLEncryption{KeyTransport: "rsa-1_5"}, "both", "rsa-pkcs1v15-key-transport"},
	} {
		i := idptest.NewSAMLIdP(t)
		answer, c := encrypted(t, i, test.how)
		answer.Signed, c.Inspect = test.signed, true
		v := saml.Judge(i.Response(answer), c)
		refused(t, v, test.code)
		if v.Identity == nil || v.Identity.Subject != "alice" {
			t.Errorf("%s: identity %+v, steps %+v", name, v.Identity, v.Steps)
		}
	}
}

// Whatever goes wrong after the key transport, it is one error.
func TestDecryptionHasOneError(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	details := map[string]bool{}
	for _, how := range []idptest.SAMLEncryption{
		{Key: func(b []byte) []byte { b[5] ^= 1; return b }},
		{Data: func(b []byte) []byte { b[20] ^= 1; return b }},
		{Plaintext: func([]byte) []byte { return []byte("x") }},
		{Key: func(b []byte) []byte { return b[1:] }},
	} {
		answer, c := encrypted(t, i, how)
		v := saml.Judge(i.Response(answer), c)
		refused(t, v, "decryption")
		details[v.Detail] = true
	}
	if len(details) != 1 {
		t.Errorf("details differ: %v", details)
	}
}

func TestWithoutAKeyEncryptedDataIsRefused(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer, c := encrypted(t, i, idptest.SAMLEncryption{})
	c.Decryption = nil
	refused(t, saml.Judge(i.Response(answer), c), "no-decryption-key")
}

func TestAnEncryptedNameID(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	for _, signed := range []string{"assertion", "response"} {
		answer, c := encrypted(t, i, idptest.SAMLEncryption{})
		e := *answer.EncryptTo
		answer.EncryptTo, answer.Signed = nil, signed
		answer.Before = func(r *etree.Element) { i.EncryptNameID(r, e) }
		v := saml.Judge(i.Response(answer), c)
		accepted(t, v, "encrypted-nameid")
		if v.Identity.Subject != "alice" {
			t.Errorf("subject %q", v.Identity.Subject)
		}
		e.Plaintext = func([]byte) []byte { return []byte(`<saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID>`) }
		refused(t, saml.Judge(i.Response(answer), c), "decryption")
		e.Plaintext = func([]byte) []byte { return []byte(`</saml:Subject><saml:Subject>`) }
		refused(t, saml.Judge(i.Response(answer), c), "decryption")
	}
}

func TestTheEncryptionKeyOfTheConfiguration(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	key := idptest.NewSAMLKey(t, nil)
	private := key.Signer.(*rsa.PrivateKey)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}))
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Certificate.Raw}))
	for name, text := range map[string]string{"PKCS #8": pkcs8, "PKCS #1": pkcs1, "with its certificate": cert + pkcs8} {
		p := provider(t, i, func(c *saml.Config) { c.Provider.Encryption = encryptionKey(text) })
		answer := good()
		answer.EncryptTo = &idptest.SAMLEncryption{To: key.Certificate}
		login, err := p.Finish(t.Context(), []byte(`{"id":"`+requestID+`"}`), post(i.Post(answer)))
		if err != nil || login.Identity.Subject != "alice" {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rsaKey(t, 2048).Certificate.Raw}))
	for name, text := range map[string]string{"no PEM": "hunter2", "a certificate alone": cert, "a broken key": "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n", "another certificate": other + pkcs8} {
		_, err := newProvider(t, i, func(c *saml.Config) { c.Provider.Encryption = encryptionKey(text) })
		if err == nil || !strings.Contains(err.Error(), "encryption.key") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := provider(t, i, nil).Finish(t.Context(), []byte(`{"id":"x"}`), post("%%%")); reasonOf(err) != "not-base64" || errors.Is(err, idp.ErrUnavailable) {
		t.Error(err)
	}
}
