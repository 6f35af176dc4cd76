package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	rsaBits = 2048

	defaultPeriod = 90 * 24 * time.Hour
	// ahead is how long a key is published before it signs.
	ahead = 24 * time.Hour
	// keep is how long a key is published after it has signed last: longer than any
	// token of ours lives.
	keep = 24 * time.Hour
	// reread is how long a node may not know of a key that another one has made;
	// far less than ahead.
	reread = time.Minute
)

// Config is what Keys are made of. Store, Sealer, Now and Log are required.
type Config struct {
	Store  Store
	Sealer *Sealer
	// Use separates keys whose tokens must never be taken for one another; empty is "id".
	Use string
	// Period is how long a key signs; zero is 90 days.
	Period time.Duration
	Now    func() time.Time
	Log    *slog.Logger
}

// Keys signs and publishes. It is safe for concurrent use.
type Keys struct {
	cfg Config

	mu   sync.Mutex // held while reading the store and making keys
	read time.Time
	keys []key
}

// key is a key that has been opened.
type key struct {
	Row
	private crypto.Signer
	signer  jose.Signer
}

// New makes a Keys. It reads nothing yet.
func New(config Config) *Keys {
	if config.Use == "" {
		config.Use = "id"
	}
	if config.Period <= 0 {
		config.Period = defaultPeriod
	}
	return &Keys{cfg: config}
}

// algorithms are what is kept in rotation, the quick one to make first.
func algorithms() []string { return []string{string(jose.ES256), string(jose.RS256)} }

// SignJWT makes a compact JWS over claims with the active key of the algorithm;
// its header has typ JWT and the key's kid.
func (k *Keys) SignJWT(ctx context.Context, algorithm string, claims []byte) (string, error) {
	if !slices.Contains(algorithms(), algorithm) {
		return "", fmt.Errorf("sign: no keys of algorithm %q; there are %v", algorithm, algorithms())
	}
	all, err := k.current(ctx, algorithm)
	if err != nil {
		return "", err
	}
	active, ok := activeAt(all, algorithm, k.cfg.Now())
	if !ok {
		return "", fmt.Errorf("sign: no key of algorithm %s is active yet", algorithm)
	}
	signed, err := active.signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", active.KID, err)
	}
	return signed.CompactSerialize()
}

// Signers gives the keys of an algorithm for signatures that are no JWS: first the
// active one, then the others that are published.
func (k *Keys) Signers(ctx context.Context, algorithm string) ([]crypto.Signer, error) {
	if !slices.Contains(algorithms(), algorithm) {
		return nil, fmt.Errorf("sign: no keys of algorithm %q; there are %v", algorithm, algorithms())
	}
	all, err := k.current(ctx, algorithm)
	if err != nil {
		return nil, err
	}
	active, ok := activeAt(all, algorithm, k.cfg.Now())
	if !ok {
		return nil, fmt.Errorf("sign: no key of algorithm %s is active yet", algorithm)
	}
	signers := []crypto.Signer{active.private}
	for _, key := range slices.Backward(all) {
		if key.Algorithm == algorithm && key.KID != active.KID {
			signers = append(signers, key.private)
		}
	}
	return signers, nil
}

// Public gives the public halves of all keys: the one that comes next, the active
// ones, and those that tokens in use may have been signed with.
func (k *Keys) Public(ctx context.Context) (jose.JSONWebKeySet, error) {
	all, err := k.current(ctx, algorithms()...)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	set := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, 0, len(all))}
	for _, key := range all {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.private.Public(), KeyID: key.KID, Algorithm: key.Algorithm, Use: "sig"})
	}
	return set, nil
}

// Run makes the keys that are missing and rotates them until ctx ends.
func (k *Keys) Run(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := k.rotate(ctx); err != nil && ctx.Err() == nil {
			k.cfg.Log.Error("rotate signing keys", "use", k.cfg.Use, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// rotate drops keys that are done and makes those that are due.
func (k *Keys) rotate(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil {
		return err
	}
	for _, algorithm := range algorithms() {
		if err := k.ensure(ctx, algorithm); err != nil {
			return err
		}
	}
	for _, kid := range done(k.keys, k.cfg.Now()) {
		if err := k.cfg.Store.DropKey(ctx, kid); err != nil {
			return fmt.Errorf("drop key %s: %w", kid, err)
		}
		k.cfg.Log.Info("signing key dropped", "use", k.cfg.Use, "kid", kid)
	}
	return k.load(ctx)
}

// current gives the keys, with one of each algorithm at least.
func (k *Keys) current(ctx context.Context, wanted ...string) ([]key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := k.cfg.Now().Sub(k.read); k.read.IsZero() || age >= reread || age < 0 {
		if err := k.load(ctx); err != nil {
			return nil, err
		}
	}
	for _, algorithm := range wanted {
		if _, ok := latest(k.keys, algorithm); ok {
			continue
		}
		if err := k.ensure(ctx, algorithm); err != nil {
			return nil, err
		}
	}
	return k.keys, nil
}

// ensure makes the key that is due of an algorithm: the first one, or the
// successor of one that has signed for its period less ahead. mu is held.
func (k *Keys) ensure(ctx context.Context, algorithm string) error {
	now := k.cfg.Now()
	next := Row{Use: k.cfg.Use, Algorithm: algorithm, Generation: 1, Active: now}
	if last, ok := latest(k.keys, algorithm); ok {
		if now.Before(last.Active.Add(k.cfg.Period - ahead)) {
			return nil
		}
		next.Generation, next.Active = last.Generation+1, now.Add(ahead)
	}
	private, err := generate(algorithm)
	if err != nil {
		return fmt.Errorf("make a key of algorithm %s: %w", algorithm, err)
	}
	if next.KID, err = thumbprint(private.Public()); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	next.Sealed = k.cfg.Sealer.Seal(der, place(next))
	won, err := k.cfg.Store.AddKey(ctx, next)
	if err != nil {
		return fmt.Errorf("keep a key: %w", err)
	}
	if won {
		k.cfg.Log.Info("signing key made", "use", next.Use, "algorithm", algorithm, "kid", next.KID, "active", next.Active)
	}
	return k.load(ctx) // where another node was faster, with its key
}

// load reads and opens the keys. A key that is known already is not opened again.
func (k *Keys) load(ctx context.Context) error {
	rows, err := k.cfg.Store.Keys(ctx, k.cfg.Use)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	keys := make([]key, 0, len(rows))
	for _, row := range rows {
		known := slices.IndexFunc(k.keys, func(have key) bool { return have.KID == row.KID })
		if known >= 0 {
			keys = append(keys, k.keys[known])
			continue
		}
		opened, err := k.open(row)
		if err != nil {
			return err
		}
		keys = append(keys, opened)
	}
	k.keys, k.read = keys, k.cfg.Now()
	return nil
}

func (k *Keys) open(row Row) (key, error) {
	der, err := k.cfg.Sealer.Open(row.Sealed, place(row))
	if err != nil {
		return key{}, fmt.Errorf("signing key %w: restore the key file that belongs to this store, "+
			"or delete the rows of table signing_keys to begin with new keys", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return key{}, fmt.Errorf("signing key %s cannot be read", row.KID) // the parser's error is not for a log
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return key{}, fmt.Errorf("signing key %s is a %T, which does not sign", row.KID, parsed)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(row.Algorithm), Key: jose.JSONWebKey{Key: private, KeyID: row.KID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return key{}, fmt.Errorf("signing key %s: %w", row.KID, err)
	}
	return key{Row: row, private: private, signer: signer}, nil
}

// place binds a sealed key to its row.
func place(row Row) string {
	return fmt.Sprintf("signing key %s/%s/%d/%s", row.Use, row.Algorithm, row.Generation, row.KID)
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case string(jose.ES256):
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case string(jose.RS256):
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, errors.New("unknown algorithm")
}

// thumbprint is the kid: RFC 7638, base64url.
func thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("name a key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// latest is the last made key of an algorithm, active or not.
func latest(keys []key, algorithm string) (key, bool) {
	for _, k := range slices.Backward(keys) { // in the order of generations
		if k.Algorithm == algorithm {
			return k, true
		}
	}
	return key{}, false
}

// activeAt is the latest key that is active at an instant.
func activeAt(keys []key, algorithm string, at time.Time) (key, bool) {
	for _, k := range slices.Backward(keys) {
		if k.Algorithm == algorithm && !k.Active.After(at) {
			return k, true
		}
	}
	return key{}, false
}

// done names the keys whose successor has signed for so long that no token of
// theirs can be alive.
func done(keys []key, now time.Time) []string {
	var kids []string
	for i, k := range keys {
		if i+1 < len(keys) && keys[i+1].Algorithm == k.Algorithm && !now.Before(keys[i+1].Active.Add(keep)) {
			kids = append(kids, k.KID)
		}
	}
	return kids
}

// State is one signing key as administration shows it: no part of the key itself.
type State struct {
	KID, Algorithm, Use string
	// From is when it begins to sign, Until when its successor does: known where that
	// is made, else when it is due.
	From, Until time.Time
	// Word is next, active or retired; Followed says that the successor is published.
	Word     string
	Followed bool
}

// States lists the keys that there are, by algorithm and age. It makes none.
func (k *Keys) States(ctx context.Context) ([]State, error) {
	all, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	now := k.cfg.Now()
	states := make([]State, len(all))
	for i, key := range all {
		s := State{KID: key.KID, Algorithm: key.Algorithm, Use: k.cfg.Use, From: key.Active, Until: key.Active.Add(k.cfg.Period), Word: "active"}
		if i+1 < len(all) && all[i+1].Algorithm == key.Algorithm {
			s.Until, s.Followed = all[i+1].Active, true
		}
		switch {
		case now.Before(s.From):
			s.Word = "next"
		case s.Followed && !now.Before(s.Until):
			s.Word = "retired"
		}
		states[i] = s
	}
	return states, nil
}
