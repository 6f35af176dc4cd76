package saml

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config"
)

// published are the certificates that our metadata names.
type published struct {
	signing    []*x509.Certificate
	encryption *x509.Certificate
}

// signs reports whether requests are signed.
func (p *Provider) signs() bool {
	return p.config.Provider.SignRequests && len(p.published.signing) > 0
}

// keys reads our own keys and makes certificates for them.
func (p *Provider) keys(faults *config.Faults) {
	c := p.config.Provider
	for _, key := range p.config.Keys {
		public, ok := key.Public().(*rsa.PublicKey)
		if !ok || public.N.BitLen() < 2048 {
			faults.Add(c.Pos, "sign_requests: a signing key is not RSA of 2048 bits or more")
			return
		}
		cert, err := selfSigned(key, p.entityID)
		if err != nil {
			faults.Add(c.Pos, "sign_requests: %v", err)
			return
		}
		p.published.signing = append(p.published.signing, cert)
	}
	if c.SignRequests && len(p.config.Keys) == 0 {
		faults.Add(c.Pos, "sign_requests: there is no signing key")
	}
	if c.Encryption.Key.IsZero() {
		return
	}
	private, cert, err := readKey([]byte(c.Encryption.Key.Reveal()))
	if err == nil && cert == nil {
		cert, err = selfSigned(private, p.entityID)
	}
	if err != nil {
		faults.Add(c.Pos, "encryption.key: %v", err)
		return
	}
	p.decryption, p.published.encryption = private, cert
}

// readKey reads a PEM text with an RSA private key and, if it is there, its
// certificate. No error holds anything of the text.
func readKey(text []byte) (key *rsa.PrivateKey, cert *x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "PRIVATE KEY":
			var any any
			if any, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				key, _ = any.(*rsa.PrivateKey)
			}
		case "CERTIFICATE":
			cert, err = x509.ParseCertificate(block.Bytes)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the %s in it cannot be read", strings.ToLower(block.Type))
		}
	}
	switch {
	case key == nil:
		return nil, nil, errors.New("it is not the PEM text of an RSA private key")
	case cert != nil && !key.PublicKey.Equal(cert.PublicKey):
		return nil, nil, errors.New("the certificate in it belongs to another key")
	}
	return key, cert, nil
}

// selfSigned makes the certificate that carries a key in our metadata. It is the
// same for the same key and name, so that the metadata is stable.
func selfSigned(key crypto.Signer, name string) (*x509.Certificate, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(spki, name...))
	if len(name) > 64 {
		name = name[:64]
	}
	template := &x509.Certificate{
		SerialNumber:       new(big.Int).SetBytes(sum[:8]),
		Subject:            pkix.Name{CommonName: strings.ToValidUTF8(name, "")},
		NotBefore:          time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:           time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		SignatureAlgorithm: x509.SHA256WithRSA,
		// Some providers take no certificate for encryption without these.
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// signEnveloped signs a document that is one canonical element with an ID, and
// puts the signature behind the first occurrence of after, as the schema wants.
func signEnveloped(document []byte, key crypto.Signer, cert *x509.Certificate, after string) ([]byte, error) {
	root, fault := gate(document, messageLimits)
	if fault != nil {
		return nil, fault
	}
	digest := sha256.Sum256(canonical(root, nil, method{}))
	info := &builder{}
	info.open("ds:SignedInfo", "xmlns:ds", spaceSignature)
	algorithm := func(tag, uri string) {
		info.open(tag, "Algorithm", uri)
		info.close()
	}
	algorithm("ds:CanonicalizationMethod", exclusive)
	algorithm("ds:SignatureMethod", signatureRSASHA256)
	info.open("ds:Reference", "URI", "#"+root.value("ID"))
	info.open("ds:Transforms")
	algorithm("ds:Transform", transformEnveloped)
	algorithm("ds:Transform", exclusive)
	info.close()
	algorithm("ds:DigestMethod", digestSHA256)
	info.open("ds:DigestValue")
	info.text(base64.StdEncoding.EncodeToString(digest[:]))
	info.close()
	info.close()
	info.close()
	sum := sha256.Sum256(info.out)
	value, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("saml: sign: %w", err)
	}
	b := &builder{}
	b.open("ds:Signature", "xmlns:ds", spaceSignature)
	b.raw(info.out)
	b.open("ds:SignatureValue")
	b.text(base64.StdEncoding.EncodeToString(value))
	b.close()
	b.keyInfo(cert)
	b.close()
	at := bytes.Index(document, []byte(after))
	if at < 0 {
		return nil, errors.New("saml: sign: the document has no place for a signature")
	}
	at += len(after)
	return bytes.Join([][]byte{document[:at], b.out, document[at:]}, nil), nil
}

// keyInfo writes a certificate; xmlns:ds must be in force.
func (b *builder) keyInfo(cert *x509.Certificate) {
	b.open("ds:KeyInfo")
	b.open("ds:X509Data")
	b.open("ds:X509Certificate")
	b.text(base64.StdEncoding.EncodeToString(cert.Raw))
	b.close()
	b.close()
	b.close()
}
