package keys_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// node is one broker with a clock of its own over a store that it may share.
type node struct {
	*keys.Keys
	mu    sync.Mutex
	clock time.Time
	log   bytes.Buffer
}

func (n *node) now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.clock
}

func (n *node) at(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock = start.Add(d)
}

func newNode(t *testing.T, store keys.Store, sealer *keys.Sealer) *node {
	t.Helper()
	n := &node{clock: start}
	n.Keys = keys.New(keys.Config{Store: store, Sealer: sealer, Period: 90 * day, Now: n.now, Log: slog.New(slog.NewTextHandler(&n.log, nil))})
	return n
}

func newStore(t *testing.T) (*sqlite.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

func newSealer(t *testing.T) *keys.Sealer {
	t.Helper()
	s, err := keys.OpenSealer(filepath.Join(t.TempDir(), "rolecall.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t *testing.T, n *node, algorithm string) string {
	t.Helper()
	token, err := n.SignJWT(t.Context(), algorithm, []byte(`{"sub":"alice"}`))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func public(t *testing.T, n *node) jose.JSONWebKeySet {
	t.Helper()
	set, err := n.Public(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// verify checks a token with what a node publishes and gives its kid.
func verify(t *testing.T, token string, set jose.JSONWebKeySet) (string, error) {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	header := parsed.Signatures[0].Header
	if header.ExtraHeaders["typ"] != "JWT" {
		t.Errorf("typ %v", header.ExtraHeaders["typ"])
	}
	found := set.Key(header.KeyID)
	if len(found) != 1 {
		return header.KeyID, errors.New("the key is not published")
	}
	if found[0].Algorithm != header.Algorithm {
		return header.KeyID, errors.New("the key is published for another algorithm")
	}
	payload, err := parsed.Verify(found[0])
	if err == nil && string(payload) != `{"sub":"alice"}` {
		t.Errorf("payload %s", payload)
	}
	return header.KeyID, err
}

func TestWhatIsSignedVerifiesWithWhatIsPublished(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	n := newNode(t, store, newSealer(t))
	for _, algorithm := range []string{"ES256", "RS256"} {
		if _, err := verify(t, sign(t, n, algorithm), public(t, n)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	for _, key := range public(t, n).Keys {
		if !key.IsPublic() || !key.Valid() || key.Use != "sig" || key.KeyID == "" {
			t.Errorf("%+v", key)
		}
	}
	for _, algorithm := range []string{"HS256", "none", "", "RS1"} {
		if _, err := n.SignJWT(t.Context(), algorithm, []byte("{}")); err == nil {
			t.Errorf("it signs with %q", algorithm)
		}
	}
}

func TestNodesSignWithOneAnothersKeys(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	sealer := newSealer(t)
	nodes := []*node{newNode(t, store, sealer), newNode(t, store, sealer), newNode(t, store, sealer)}
	tokens := make([]string, len(nodes))
	var group sync.WaitGroup
	for i, n := range nodes {
		group.Go(func() {
			token, err := n.SignJWT(t.Context(), "ES256", []byte(`{"sub":"alice"}`))
			if err != nil {
				t.Error(err)
			}
			tokens[i] = token
		})
	}
	group.Wait()
	kids := map[string]bool{}
	for i, token := range tokens {
		kid, err := verify(t, token, public(t, nodes[(i+1)%len(nodes)]))
		if err != nil {
			t.Errorf("node %d at its neighbour: %v", i, err)
		}
		kids[kid] = true
	}
	if len(kids) != 1 {
		t.Errorf("%d keys for three nodes that start at once", len(kids))
	}
}

func TestAKeyIsPublishedBeforeItSignsAndAfter(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	sealer := newSealer(t)
	n := newNode(t, store, sealer)
	turn := func(at time.Duration) (kid string, published int) {
		t.Helper()
		n.at(at)
		if err := keys.Rotate(t.Context(), n.Keys); err != nil {
			t.Fatal(err)
		}
		set := public(t, n)
		kid, err := verify(t, sign(t, n, "ES256"), set)
		if err != nil {
			t.Errorf("at %v: %v", at, err)
		}
		for _, key := range set.Keys {
			if key.Algorithm == "ES256" {
				published++
			}
		}
		return kid, published
	}
	first, published := turn(0)
	for _, step := range []struct {
		name      string
		at        time.Duration
		same      bool
		published int
	}{
		{"a day later it signs on", day, true, 1},
		{"just before its successor is due", 89*day - time.Second, true, 1},
		{"its successor is published and does not sign yet", 89 * day, true, 2},
		{"nor just before it is a day old", 90*day - time.Second, true, 2},
		{"then the successor signs and the old one stays published", 90 * day, false, 2},
		{"until its last token has expired", 91*day - time.Second, false, 2},
		{"then the old one is gone", 91 * day, false, 1},
	} {
		kid, got := turn(step.at)
		if (kid == first) != step.same || got != step.published {
			t.Errorf("%s: signs with the first key: %t; %d published", step.name, kid == first, got)
		}
	}
	if published != 1 {
		t.Errorf("%d published at first", published)
	}
	fresh := newNode(t, store, sealer)
	fresh.at(91 * day)
	if kid, err := verify(t, sign(t, fresh, "ES256"), public(t, n)); err != nil || kid == first {
		t.Errorf("a node started after the rotation: %v", err)
	}
}

func TestAStateOfEachKeyIsKnownWithoutTheKey(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	n := newNode(t, store, newSealer(t))
	if states, err := n.States(t.Context()); err != nil || len(states) != 0 {
		t.Errorf("to look made keys: %+v, %v", states, err)
	}
	words := func(at time.Duration) string {
		t.Helper()
		n.at(at)
		if err := keys.Rotate(t.Context(), n.Keys); err != nil {
			t.Fatal(err)
		}
		states, err := n.States(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, s := range states {
			if s.Algorithm == "ES256" {
				said += s.Word + " "
				if s.KID == "" || s.Use != "id" || !s.Until.After(s.From) {
					t.Errorf("%+v", s)
				}
			}
		}
		return said
	}
	for _, step := range []struct {
		at   time.Duration
		want string
	}{{0, "active "}, {89 * day, "active next "}, {90*day + time.Hour, "retired active "}, {92 * day, "active "}} {
		if got := words(step.at); got != step.want {
			t.Errorf("at %v: %q, want %q", step.at, got, step.want)
		}
	}
}

func TestABrokerThatSleptThroughARotationSignsOn(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	n := newNode(t, store, newSealer(t))
	old, err := verify(t, sign(t, n, "ES256"), public(t, n))
	if err != nil {
		t.Fatal(err)
	}
	n.at(400 * day)
	if err := keys.Rotate(t.Context(), n.Keys); err != nil {
		t.Fatal(err)
	}
	kid, err := verify(t, sign(t, n, "ES256"), public(t, n))
	if err != nil || kid != old {
		t.Errorf("the successor signs before anybody can know it: %v", err)
	}
}

func TestAKeyOfAnotherNodeIsKnownWithinAMinute(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	sealer := newSealer(t)
	a, b := newNode(t, store, sealer), newNode(t, store, sealer)
	sign(t, a, "ES256")
	sign(t, b, "ES256")
	a.at(89 * day)
	if err := keys.Rotate(t.Context(), a.Keys); err != nil {
		t.Fatal(err)
	}
	b.at(time.Minute)
	if got := len(public(t, b).Keys); got != len(public(t, a).Keys) {
		t.Errorf("the other node publishes %d keys", got)
	}
}

func TestNewReadsAndMakesNothing(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	newNode(t, store, newSealer(t))
	if rows, err := store.Keys(t.Context(), "id"); err != nil || len(rows) != 0 {
		t.Errorf("%d keys, %v", len(rows), err)
	}
}

func TestRunMakesTheKeysThatAreMissing(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	n := newNode(t, store, newSealer(t))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { n.Run(ctx); close(ended) }()
	if got := len(public(t, n).Keys); got != 2 { // waits for whoever makes them
		t.Errorf("%d keys", got)
	}
	stop()
	<-ended
}

func TestUsesHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	sealer := newSealer(t)
	id := newNode(t, store, sealer)
	aws := &node{Keys: keys.New(keys.Config{Store: store, Sealer: sealer, Use: "aws", Now: id.now, Log: slog.New(slog.DiscardHandler)})}
	if _, err := verify(t, sign(t, aws, "ES256"), public(t, id)); err == nil {
		t.Error("a key for AWS is among those for ID tokens")
	}
}

func TestPrivateKeysAreNotInTheStoreNorInTheLog(t *testing.T) {
	t.Parallel()
	store, path := newStore(t)
	sealer := newSealer(t)
	n := newNode(t, store, sealer)
	sign(t, n, "ES256")
	rows, err := store.Keys(t.Context(), "id")
	if err != nil || len(rows) != 1 {
		t.Fatal(len(rows), err)
	}
	der, err := keys.Unseal(sealer, rows[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, der[20:60]) {
			t.Errorf("the private key is in %s", filepath.Base(file))
		}
	}
	if n.log.Len() == 0 || strings.Contains(n.log.String(), "PRIVATE") {
		t.Errorf("log: %s", &n.log)
	}
}

func TestAStoreWithAnotherKeyFileIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	sign(t, newNode(t, store, newSealer(t)), "ES256")
	other := newNode(t, store, newSealer(t))
	_, err := other.SignJWT(t.Context(), "ES256", []byte("{}"))
	if !errors.Is(err, keys.ErrUnsealed) || !strings.Contains(err.Error(), "restore the key file") {
		t.Errorf("sign: %v", err)
	}
	if _, err := other.Public(t.Context()); !errors.Is(err, keys.ErrUnsealed) {
		t.Errorf("public: %v", err)
	}
	if rows, err := store.Keys(t.Context(), "id"); err != nil || len(rows) != 1 {
		t.Errorf("%d keys, %v", len(rows), err)
	}
}

// swapped gives sealed keys in one another's places.
type swapped struct{ keys.Store }

func (s swapped) Keys(ctx context.Context, use string) ([]keys.Row, error) {
	rows, err := s.Store.Keys(ctx, use)
	if len(rows) == 2 {
		rows[0].Sealed, rows[1].Sealed = rows[1].Sealed, rows[0].Sealed
	}
	return rows, err
}

func TestSealedKeysCannotChangePlaces(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	sealer := newSealer(t)
	n := newNode(t, store, sealer)
	sign(t, n, "ES256")
	sign(t, n, "RS256")
	if _, err := newNode(t, swapped{store}, sealer).Public(t.Context()); !errors.Is(err, keys.ErrUnsealed) {
		t.Errorf("public: %v", err)
	}
}

func BenchmarkSignES256(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "rolecall.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	sealer, err := keys.OpenSealer(filepath.Join(b.TempDir(), "rolecall.key"))
	if err != nil {
		b.Fatal(err)
	}
	k := keys.New(keys.Config{Store: s, Sealer: sealer, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	claims := []byte(`{"iss":"https://sso.example.com","sub":"corp=alice","aud":"rolecall-cli"}`)
	for b.Loop() {
		if _, err := k.SignJWT(b.Context(), "ES256", claims); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSignersAreTheActiveKeyThenThoseBesideIt(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	n := newNode(t, store, newSealer(t))
	first, err := n.Signers(t.Context(), "RS256")
	if err != nil || len(first) != 1 {
		t.Fatalf("%d signers, %v; want the first key", len(first), err)
	}
	n.at(89*day + time.Hour) // the successor is published, and not active
	if err := keys.Rotate(t.Context(), n.Keys); err != nil {
		t.Fatal(err)
	}
	both, err := n.Signers(t.Context(), "RS256")
	if err != nil || len(both) != 2 || both[0] != first[0] {
		t.Fatalf("%d signers, %v; want the old key and then its successor", len(both), err)
	}
	n.at(90*day + 2*time.Hour)
	after, err := n.Signers(t.Context(), "RS256")
	if err != nil || len(after) != 2 || after[0] != both[1] {
		t.Errorf("%d signers, %v; want the successor and then the old key", len(after), err)
	}
	if _, err := n.Signers(t.Context(), "HS256"); err == nil {
		t.Error("there are signers of HS256")
	}
}
