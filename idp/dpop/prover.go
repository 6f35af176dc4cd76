package dpop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Prover makes proofs with one P-256 key. It is safe for concurrent use.
type Prover struct {
	signer jose.Signer
	print  string
	now    func() time.Time
}

// NewProver makes a Prover. A nil now is time.Now.
func NewProver(key *ecdsa.PrivateKey, now func() time.Time) (*Prover, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("a DPoP key must be a P-256 key")
	}
	if now == nil {
		now = time.Now
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		return nil, fmt.Errorf("DPoP key: %w", err)
	}
	print, err := thumbprint(&jose.JSONWebKey{Key: key.Public()})
	if err != nil {
		return nil, err
	}
	return &Prover{signer: signer, print: print, now: now}, nil
}

// Thumbprint names the key, as Proof.Thumbprint does.
func (p *Prover) Thumbprint() string { return p.print }

// Prove makes the value of the DPoP header for one request. accessToken is the
// token sent along, "" at the token endpoint.
func (p *Prover) Prove(method, address, accessToken string) (string, error) {
	return p.ProveNonce(method, address, accessToken, "")
}

// ProveNonce is Prove with a nonce of the server.
func (p *Prover) ProveNonce(method, address, accessToken, nonce string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("DPoP proof: %q is not an absolute address", address)
	}
	u.RawQuery, u.Fragment, u.RawFragment, u.User, u.ForceQuery = "", "", "", nil, false
	claims := struct {
		JTI string `json:"jti"`
		HTM string `json:"htm"`
		HTU string `json:"htu"`
		IAT int64  `json:"iat"`
		ATH string `json:"ath,omitempty"`

		Nonce string `json:"nonce,omitempty"`
	}{Nonce: nonce, JTI: rand.Text(), HTM: method, HTU: u.String(), IAT: p.now().Unix()}
	if accessToken != "" {
		sum := sha256.Sum256([]byte(accessToken))
		claims.ATH = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("DPoP proof: %w", err)
	}
	signed, err := p.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("DPoP proof: %w", err)
	}
	return signed.CompactSerialize()
}
