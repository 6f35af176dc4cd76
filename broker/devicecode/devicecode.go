// Package devicecode keeps device authorizations that are under way (RFC 8628): a
// program asks and gets two codes; a person types the short one and answers; the
// program polls with the long one until there is an answer, which it gets once.
//
// States: waiting -> approved -> taken, or waiting -> denied; each ends after ten
// minutes. The store gets hashes of both codes and never sees one. The short code
// has 34.5 random bits: who may try it is the caller's to limit.
package devicecode

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of RFC 8628 section 3.2.
const (
	// Life is how long a person may take.
	Life = 10 * time.Minute
	// Interval is the pause between two polls; each poll that comes too soon makes
	// it as much longer.
	Interval = 5 * time.Second
)

// letters are consonants, so that no word appears, without look-alikes.
const (
	letters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLen = 8
)

// ErrNotFound says that there is no such code, or no longer: the caller learns no more.
var ErrNotFound = errors.New("the code is not known, has ended or was answered already")

// State is where an authorization stands.
type State int

// The states. TooSoon is an answer to a poll, not kept.
const (
	Waiting State = iota
	Approved
	Denied
	TooSoon
)

// Hash is the SHA-256 of a code.
type Hash [sha256.Size]byte

// Request is what a program asks for.
type Request struct {
	Client  string   `json:"client"`
	Address string   `json:"address,omitempty"`
	Scope   []string `json:"scope,omitempty"`
	// Thumbprint is of the DPoP key that the tokens must be bound to, "" for any.
	Thumbprint string    `json:"jkt,omitempty"`
	Asked      time.Time `json:"asked"`
}

// Row is what a store keeps.
type Row struct {
	Code, User Hash
	Expires    time.Time
	Request    []byte
}

// Polled is what a poll finds.
type Polled struct {
	State  State
	Answer []byte // of Approved: what was handed to Approve, this once
}

// Store keeps authorizations. Each method is atomic; rows are judged by the times
// given.
type Store interface {
	// PutDevice fails where either code exists.
	PutDevice(ctx context.Context, row Row) error
	// DeviceByUser gives a row that waits and has not expired, else ErrNotFound;
	// DeviceByCode any row that has not been taken and has not expired.
	DeviceByUser(ctx context.Context, user Hash, now time.Time) (Row, error)
	DeviceByCode(ctx context.Context, code Hash, now time.Time) (Row, error)
	// AnswerDevice changes a row that waits, once; else ErrNotFound.
	AnswerDevice(ctx context.Context, user Hash, now time.Time, state State, answer []byte) error
	// PollDevice notes the poll. Sooner than the row's interval after the last one it
	// makes the interval longer by pause and gives TooSoon. An answer is given once,
	// and the row is gone; no row is ErrNotFound.
	PollDevice(ctx context.Context, code Hash, now time.Time, pause time.Duration) (Polled, error)
}

// Codes is the memory of authorizations. It is safe for concurrent use.
type Codes struct {
	store Store
	now   func() time.Time
}

// New makes a Codes.
func New(store Store, now func() time.Time) *Codes { return &Codes{store, now} }

// Start keeps a request and gives its two codes.
func (c *Codes) Start(ctx context.Context, r Request) (device, user string, err error) {
	r.Asked = c.now()
	data, err := json.Marshal(r)
	if err != nil {
		return "", "", fmt.Errorf("device authorization: %w", err)
	}
	device, user = newDeviceCode(), newUserCode()
	err = c.store.PutDevice(ctx, Row{Code: sha256.Sum256([]byte(device)), User: hashUser(user), Expires: r.Asked.Add(Life), Request: data})
	if err != nil {
		return "", "", fmt.Errorf("keep a device authorization: %w", err)
	}
	return device, Shown(user), nil
}

// ByUser gives the request that waits for an answer under a short code.
func (c *Codes) ByUser(ctx context.Context, user string) (Request, error) {
	user, ok := normal(user)
	if !ok {
		return Request{}, ErrNotFound
	}
	row, err := c.store.DeviceByUser(ctx, hashUser(user), c.now())
	return decoded(row, err)
}

// ByDevice gives the request of a long code that has not been redeemed.
func (c *Codes) ByDevice(ctx context.Context, device string) (Request, error) {
	row, err := c.store.DeviceByCode(ctx, sha256.Sum256([]byte(device)), c.now())
	return decoded(row, err)
}

// Answer approves or denies a request that waits, once; answer is what its program
// gets where it is approved.
func (c *Codes) Answer(ctx context.Context, user string, approved bool, answer []byte) error {
	user, ok := normal(user)
	switch {
	case !ok:
		return ErrNotFound
	case !approved:
		return c.store.AnswerDevice(ctx, hashUser(user), c.now(), Denied, nil)
	}
	return c.store.AnswerDevice(ctx, hashUser(user), c.now(), Approved, answer)
}

// Poll asks for the answer.
func (c *Codes) Poll(ctx context.Context, device string) (Polled, error) {
	return c.store.PollDevice(ctx, sha256.Sum256([]byte(device)), c.now(), Interval)
}

func decoded(row Row, err error) (Request, error) {
	var r Request
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(row.Request, &r); err != nil {
		return r, fmt.Errorf("device authorization: the store's data cannot be read: %w", err)
	}
	return r, nil
}

// Shown is a short code as people read it, XXXX-XXXX; "" for text that is no code.
func Shown(user string) string {
	user, ok := normal(user)
	if !ok {
		return ""
	}
	return user[:codeLen/2] + "-" + user[codeLen/2:]
}

// normal takes a short code as people type it.
func normal(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	var code strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch {
		case r == '-' || r == ' ' || r == '\u2010' || r == '\u2011':
		case strings.ContainsRune(letters, r):
			code.WriteRune(r)
		default:
			return "", false
		}
	}
	return code.String(), code.Len() == codeLen
}

func hashUser(user string) Hash { return sha256.Sum256([]byte("user code " + user)) }

func newDeviceCode() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "rcd_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// newUserCode takes bytes below 240, so that every letter is as likely as another.
func newUserCode() string {
	code := make([]byte, 0, codeLen)
	var b [1]byte
	for len(code) < codeLen {
		_, _ = rand.Read(b[:])
		if b[0] < 240 {
			code = append(code, letters[int(b[0])%len(letters)])
		}
	}
	return string(code)
}
