package idptest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"

	"github.com/beevik/etree"
)

const (
	xmlenc   = "http://www.w3.org/2001/04/xmlenc#"
	xmlenc11 = "http://www.w3.org/2009/xmlenc11#"
)

// SAMLEncryption is how an assertion is encrypted.
type SAMLEncryption struct {
	To *x509.Certificate
	// Cipher is aes128-gcm (default), aes192-gcm, aes256-gcm, aes128-cbc, aes256-cbc or tripledes-cbc.
	Cipher string
	// KeyTransport is rsa-oaep-mgf1p (default), rsa-oaep (SHA-256 for both) or rsa-1_5.
	KeyTransport string
	// Beside puts the EncryptedKey beside EncryptedData and not into it.
	Beside bool
	// Plaintext replaces what is encrypted; Data changes the encrypted bytes, Key those
	// of the key.
	Plaintext func([]byte) []byte
	Data, Key func([]byte) []byte
}

// encrypt replaces an element by its EncryptedAssertion (or EncryptedID).
func (i *SAMLIdP) encrypt(parent, el *etree.Element, e SAMLEncryption) {
	i.t.Helper()
	alone := el.Copy()
	if alone.SelectAttr("xmlns:saml") == nil {
		alone.CreateAttr("xmlns:saml", samlAssertion)
	}
	plaintext := i.write(alone)
	if e.Plaintext != nil {
		plaintext = e.Plaintext(plaintext)
	}
	space := xmlenc
	if e.Cipher == "" {
		e.Cipher = "aes128-gcm"
	}
	if strings.HasSuffix(e.Cipher, "-gcm") {
		space = xmlenc11
	}
	key := make([]byte, map[string]int{"aes128": 16, "aes192": 24, "aes256": 32, "tripledes": 24}[strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(e.Cipher, "gcm"), "cbc"), "-")])
	_, _ = rand.Read(key)
	name := "saml:EncryptedAssertion"
	if el.Tag == "NameID" {
		name = "saml:EncryptedID"
	}
	out := etree.NewElement(name)
	data := out.CreateElement("xenc:EncryptedData")
	data.CreateAttr("xmlns:xenc", xmlenc)
	data.CreateAttr("Type", xmlenc+"Element")
	data.CreateElement("xenc:EncryptionMethod").CreateAttr("Algorithm", space+e.Cipher)
	holder := out
	if !e.Beside {
		holder = data.CreateElement("ds:KeyInfo")
		holder.CreateAttr("xmlns:ds", dsigSpace)
	}
	holder.AddChild(i.encryptedKey(key, e))
	sealed := i.seal(key, plaintext, e)
	if e.Data != nil {
		sealed = e.Data(sealed)
	}
	data.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(base64.StdEncoding.EncodeToString(sealed))
	parent.InsertChildAt(el.Index(), out)
	parent.RemoveChild(el)
}

// EncryptNameID replaces the NameID of an assertion; use it in SAMLAnswer.Before.
func (i *SAMLIdP) EncryptNameID(response *etree.Element, e SAMLEncryption) {
	subject := child(child(response, "Assertion"), "Subject")
	i.encrypt(subject, child(subject, "NameID"), e)
}

func (i *SAMLIdP) encryptedKey(key []byte, e SAMLEncryption) *etree.Element {
	i.t.Helper()
	el := etree.NewElement("xenc:EncryptedKey")
	el.CreateAttr("xmlns:xenc", xmlenc)
	how := el.CreateElement("xenc:EncryptionMethod")
	public := e.To.PublicKey.(*rsa.PublicKey)
	var sealed []byte
	var err error
	switch e.KeyTransport {
	case "rsa-1_5":
		how.CreateAttr("Algorithm", xmlenc+"rsa-1_5")
		//lint:ignore SA1019 tests need what must be refused
		sealed, err = rsa.EncryptPKCS1v15(rand.Reader, public, key)
	case "rsa-oaep":
		how.CreateAttr("Algorithm", xmlenc11+"rsa-oaep")
		digest := how.CreateElement("ds:DigestMethod")
		digest.CreateAttr("xmlns:ds", dsigSpace)
		digest.CreateAttr("Algorithm", xmlenc+"sha256")
		mgf := how.CreateElement("xenc11:MGF")
		mgf.CreateAttr("xmlns:xenc11", xmlenc11)
		mgf.CreateAttr("Algorithm", xmlenc11+"mgf1sha256")
		sealed, err = rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, public, key, nil)
	default:
		how.CreateAttr("Algorithm", xmlenc+"rsa-oaep-mgf1p")
		sealed, err = rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, public, key, nil)
	}
	if err != nil {
		i.t.Fatalf("idptest: encrypt the key: %v", err)
	}
	if e.Key != nil {
		sealed = e.Key(sealed)
	}
	el.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(base64.StdEncoding.EncodeToString(sealed))
	return el
}

// seal encrypts the data; the padding of CBC is that of XML Encryption.
func (i *SAMLIdP) seal(key, plaintext []byte, e SAMLEncryption) []byte {
	i.t.Helper()
	var block cipher.Block
	var err error
	if e.Cipher == "tripledes-cbc" {
		block, err = des.NewTripleDESCipher(key)
	} else {
		block, err = aes.NewCipher(key)
	}
	if err != nil {
		i.t.Fatalf("idptest: cipher: %v", err)
	}
	if strings.HasSuffix(e.Cipher, "-gcm") {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			i.t.Fatalf("idptest: cipher: %v", err)
		}
		nonce := make([]byte, aead.NonceSize())
		_, _ = rand.Read(nonce)
		return aead.Seal(nonce, nonce, plaintext, nil)
	}
	size := block.BlockSize()
	padding := make([]byte, size-len(plaintext)%size)
	padding[len(padding)-1] = byte(len(padding))
	plaintext = append(plaintext, padding...)
	out := make([]byte, size, size+len(plaintext))
	_, _ = rand.Read(out)
	out = append(out, plaintext...)
	cipher.NewCBCEncrypter(block, out[:size]).CryptBlocks(out[size:], plaintext)
	return out
}
