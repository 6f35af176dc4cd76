package idptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Authenticator is a passkey provider in software: it makes discoverable P-256
// credentials without attestation and signs with them. Its fields may be changed
// between calls, to play one that is wrong.
type Authenticator struct {
	Origin string
	// RPID is what the authenticator signs for; "" is what the options say.
	RPID string
	// NoUserVerification leaves out that the person unlocked it.
	NoUserVerification bool
	Counter            uint32
	// Challenge replaces that of the options.
	Challenge string

	keys []credential
}

type credential struct {
	id, user []byte
	key      *ecdsa.PrivateKey
}

// Bits of the authenticator data.
const (
	flagUserPresent  = 1
	flagUserVerified = 4
	flagAttested     = 64
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Create answers the options of navigator.credentials.create.
func (a *Authenticator) Create(options []byte) ([]byte, error) {
	var o struct {
		PublicKey struct {
			Challenge string
			RP        struct{ ID string }
			User      struct{ ID string }
		}
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	user, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		return nil, fmt.Errorf("user.id: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	made := credential{id: make([]byte, 32), user: user, key: key}
	_, _ = rand.Read(made.id)
	public, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	cose := bytes.Join([][]byte{{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, public[1:33], {0x22, 0x58, 32}, public[33:]}, nil)
	attested := bytes.Join([][]byte{make([]byte, 16), {0, byte(len(made.id))}, made.id, cose}, nil)
	data := append(a.data(o.PublicKey.RP.ID, flagAttested), attested...)
	object := bytes.Join([][]byte{
		{0xa3, 0x63}, []byte("fmt"), {0x64}, []byte("none"), {0x67}, []byte("attStmt"), {0xa0}, {0x68}, []byte("authData"),
		{0x59, byte(len(data) >> 8), byte(len(data))}, data,
	}, nil)
	a.keys = append(a.keys, made)
	return answer(made.id, map[string]any{
		"clientDataJSON": b64(a.client("webauthn.create", o.PublicKey.Challenge)), "attestationObject": b64(object), "transports": []string{"internal"},
	})
}

// Get answers the options of navigator.credentials.get with the credential made last.
func (a *Authenticator) Get(options []byte) ([]byte, error) {
	var o struct {
		PublicKey struct {
			Challenge string
			RPID      string
		}
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	if len(a.keys) == 0 {
		return nil, errors.New("no passkey")
	}
	own := a.keys[len(a.keys)-1]
	a.Counter++
	data, client := a.data(o.PublicKey.RPID, 0), a.client("webauthn.get", o.PublicKey.Challenge)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, own.key, digest[:])
	if err != nil {
		return nil, err
	}
	return answer(own.id, map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(own.user),
	})
}

func (a *Authenticator) data(rpID string, flags byte) []byte {
	if a.RPID != "" {
		rpID = a.RPID
	}
	if flags |= flagUserPresent; !a.NoUserVerification {
		flags |= flagUserVerified
	}
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), a.Counter)
}

func (a *Authenticator) client(kind, challenge string) []byte {
	if a.Challenge != "" {
		challenge = a.Challenge
	}
	text, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false}) // strings always encode
	return text
}

func answer(id []byte, response map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"id": b64(id), "rawId": b64(id), "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{}, "response": response,
	})
}
