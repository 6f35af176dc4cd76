package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall/rolecall/idp"
)

// Encrypted data is judged before it is decrypted: algorithms of the allow-list,
// lengths that fit, CBC only where the configuration allows it and only when a
// signature over it has been verified. After that there is one error, whatever
// went wrong, and a failed key transport goes on with a random key.

// blockCipher is a method of encrypting data.
type blockCipher struct {
	key  int // bytes
	mode string
}

var blockCiphers = map[string]blockCipher{
	spaceCipher11 + "aes128-gcm":  {16, "gcm"},
	spaceCipher11 + "aes192-gcm":  {24, "gcm"},
	spaceCipher11 + "aes256-gcm":  {32, "gcm"},
	spaceCipher + "aes128-cbc":    {16, "cbc"},
	spaceCipher + "aes192-cbc":    {24, "cbc"},
	spaceCipher + "aes256-cbc":    {32, "cbc"},
	spaceCipher + "tripledes-cbc": {24, "3des"},
}

var mgfs = map[string]crypto.Hash{
	spaceCipher11 + "mgf1sha1":   crypto.SHA1,
	spaceCipher11 + "mgf1sha256": crypto.SHA256,
	spaceCipher11 + "mgf1sha384": crypto.SHA384,
	spaceCipher11 + "mgf1sha512": crypto.SHA512,
}

// sealed is EncryptedData with its key, read and bounded.
type sealed struct {
	cipher blockCipher
	data   []byte
	oaep   *rsa.OAEPOptions // nil is PKCS #1 v1.5
	key    []byte           // encrypted
}

var errDecryption = errors.New("the decryption failed")

// decrypt replaces the EncryptedAssertion by what is in it and reads the
// document again.
func (j *judgement) decrypt() *idp.Rejection {
	plaintext, fault := j.open(j.encrypted, j.responseSignature != nil)
	if fault != nil {
		return fault
	}
	document := splice(j.document, j.encrypted, plaintext)
	tree, fault := gate(document, messageLimits)
	if fault != nil {
		return undecryptable(fault)
	}
	again, fault := readMessage(tree, false)
	if fault != nil {
		return undecryptable(fault)
	}
	if again.assertion == nil || (again.responseSignature == nil) != (j.responseSignature == nil) {
		return undecryptable(errDecryption)
	}
	again.head = j.head
	j.message, j.document = again, document
	j.note(notedEncrypted, "the Assertion was encrypted")
	return nil
}

// decryptID decrypts a name inside the signed assertion.
func (j *judgement) decryptID(s *statement) (*nameID, *idp.Rejection) {
	plaintext, fault := j.open(s.encryptedID, true)
	if fault != nil {
		return nil, fault
	}
	root, fault := gate(splice(s.covered, s.encryptedID, plaintext), messageLimits)
	if fault != nil {
		return nil, undecryptable(fault)
	}
	subject := root.child(spaceAssertion, "Subject")
	if subject == nil || len(subject.children(spaceAssertion, "NameID")) != 1 || len(root.elements()) != len(s.root.elements()) {
		return nil, undecryptable(errDecryption)
	}
	return readNameID(subject.child(spaceAssertion, "NameID"))
}

func splice(document []byte, n *node, with []byte) []byte {
	return slices.Concat(document[:n.start], with, document[n.end:])
}

// undecryptable is the one error of everything after the first key operation.
func undecryptable(cause error) *idp.Rejection {
	return &idp.Rejection{Reason: "decryption", Detail: "the encrypted data cannot be decrypted with our key, or is not what it should be", Cause: cause}
}

// open judges and decrypts what is in an EncryptedAssertion or EncryptedID.
func (j *judgement) open(n *node, signed bool) ([]byte, *idp.Rejection) {
	if j.Decryption == nil {
		return nil, idp.Reject("no-decryption-key", "%s came, and the provider has no encryption.key here", n.local)
	}
	s, fault := readSealed(n)
	if fault != nil {
		return nil, fault
	}
	before := len(j.findings)
	switch {
	case s.cipher.mode == "3des":
		j.weak(weak3DES, "%s is encrypted with Triple DES", n.local)
	case s.cipher.mode == "cbc" && !signed:
		j.weak(weakCBCUnsigned, "%s is encrypted with AES-CBC inside an unsigned Response; let the provider use AES-GCM, or sign the Response", n.local)
	case s.cipher.mode == "cbc":
		j.weak(weakCBC, "%s is encrypted with AES-CBC; let the provider use AES-GCM", n.local)
	}
	if s.oaep == nil {
		j.weak(weakPKCS1v15, "the key of %s is encrypted with RSA PKCS #1 v1.5; let the provider use OAEP", n.local)
	}
	if len(j.findings) > before && !j.Inspect {
		f := j.findings[before]
		return nil, idp.Reject(f.Code, "%s (not decrypted)", f.Detail)
	}
	if len(s.key) != j.Decryption.Size() {
		return nil, undecryptable(fmt.Errorf("the encrypted key has %d bytes", len(s.key)))
	}
	plaintext, err := s.decrypt(j.Decryption)
	if err != nil {
		return nil, undecryptable(errDecryption)
	}
	return plaintext, nil
}

func ciphered(format string, args ...any) *idp.Rejection {
	return idp.Reject("encryption-form", format, args...)
}

// readSealed reads EncryptedData and the one EncryptedKey, inside it or beside it.
func readSealed(n *node) (*sealed, *idp.Rejection) {
	data := n.children(spaceCipher, "EncryptedData")
	if len(data) != 1 || n.loose() {
		return nil, ciphered("%s holds %d EncryptedData", n.local, len(data))
	}
	keys := n.children(spaceCipher, "EncryptedKey")
	for _, info := range data[0].children(spaceSignature, "KeyInfo") {
		keys = append(keys, info.children(spaceCipher, "EncryptedKey")...)
	}
	if len(keys) != 1 {
		return nil, ciphered("%d EncryptedKey; exactly one is accepted", len(keys))
	}
	s := &sealed{}
	how, fault := encryptionMethod(data[0])
	if fault != nil {
		return nil, fault
	}
	var known bool
	if s.cipher, known = blockCiphers[how.value("Algorithm")]; !known {
		return nil, idp.Reject("encryption-algorithm", "the cipher %q is not accepted", shorten(how.value("Algorithm")))
	}
	if s.data, fault = cipherValue(data[0]); fault != nil {
		return nil, fault
	}
	block := aes.BlockSize
	if s.cipher.mode == "3des" {
		block = des.BlockSize
	}
	const nonce, tag = 12, 16
	if s.cipher.mode == "gcm" && len(s.data) < nonce+tag || s.cipher.mode != "gcm" && (len(s.data) < 2*block || len(s.data)%block != 0) {
		return nil, ciphered("the encrypted data has a length that its cipher cannot give")
	}
	return s, s.readKey(keys[0])
}

func encryptionMethod(n *node) (*node, *idp.Rejection) {
	list := n.children(spaceCipher, "EncryptionMethod")
	if len(list) != 1 {
		return nil, ciphered("%s holds %d EncryptionMethod", n.local, len(list))
	}
	return list[0], nil
}

func cipherValue(n *node) ([]byte, *idp.Rejection) {
	data := n.children(spaceCipher, "CipherData")
	if len(data) != 1 || len(data[0].elements()) != 1 || !data[0].elements()[0].is(spaceCipher, "CipherValue") {
		return nil, ciphered("%s does not hold its data itself", n.local)
	}
	text, simple := data[0].elements()[0].content()
	raw, err := base64.StdEncoding.DecodeString(squeeze(text))
	if !simple || err != nil {
		return nil, ciphered("a CipherValue is not base64")
	}
	return raw, nil
}

// readKey reads how the key is encrypted. OAEP takes its hashes from the method,
// with the defaults of XML Encryption.
func (s *sealed) readKey(n *node) *idp.Rejection {
	how, fault := encryptionMethod(n)
	if fault != nil {
		return fault
	}
	if s.key, fault = cipherValue(n); fault != nil {
		return fault
	}
	uri := how.value("Algorithm")
	if uri == keyTransportPKCS1v15 {
		return nil
	}
	if uri != keyTransportOAEP && uri != keyTransportOAEP11 {
		return idp.Reject("encryption-algorithm", "the key transport %q is not accepted", shorten(uri))
	}
	s.oaep = &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	if digest := how.child(spaceSignature, "DigestMethod"); digest != nil {
		if s.oaep.Hash = digests[digest.value("Algorithm")]; s.oaep.Hash == 0 {
			return idp.Reject("encryption-algorithm", "the OAEP digest %q is not accepted", shorten(digest.value("Algorithm")))
		}
	}
	if mgf := how.child(spaceCipher11, "MGF"); mgf != nil && uri == keyTransportOAEP11 {
		if s.oaep.MGFHash = mgfs[mgf.value("Algorithm")]; s.oaep.MGFHash == 0 {
			return idp.Reject("encryption-algorithm", "the OAEP mask %q is not accepted", shorten(mgf.value("Algorithm")))
		}
	}
	if label := how.child(spaceCipher, "OAEPparams"); label != nil {
		text, _ := label.content()
		var err error
		if s.oaep.Label, err = base64.StdEncoding.DecodeString(squeeze(text)); err != nil {
			return ciphered("OAEPparams is not base64")
		}
	}
	return nil
}

// decrypt goes on with a random key when the key transport fails, so that there
// is one way to fail.
func (s *sealed) decrypt(private *rsa.PrivateKey) ([]byte, error) {
	key := make([]byte, s.cipher.key)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if s.oaep == nil {
		//lint:ignore SA1019 only inspection and the constant-time refusal use it: what comes in by it is never accepted
		_ = rsa.DecryptPKCS1v15SessionKey(nil, private, s.key, key)
	} else if got, err := private.Decrypt(nil, s.key, s.oaep); err == nil && len(got) == len(key) {
		key = got
	}
	if s.cipher.mode == "gcm" {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		size := aead.NonceSize()
		return aead.Open(nil, s.data[:size], s.data[size:], nil)
	}
	return s.unchain(key)
}

// unchain decrypts CBC and takes the padding of XML Encryption off: the last
// byte counts, the others are arbitrary.
func (s *sealed) unchain(key []byte) ([]byte, error) {
	var block cipher.Block
	var err error
	if s.cipher.mode == "3des" {
		block, err = des.NewTripleDESCipher(key)
	} else {
		block, err = aes.NewCipher(key)
	}
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	out := make([]byte, len(s.data)-size)
	cipher.NewCBCDecrypter(block, s.data[:size]).CryptBlocks(out, s.data[size:])
	padding := int(out[len(out)-1])
	if padding < 1 || padding > size {
		return nil, errDecryption
	}
	return out[:len(out)-padding], nil
}
