package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// digest is a link of the chain. The zero digest stands before the first record.
type digest [sha256.Size]byte

func sum(b []byte) digest { return sha256.Sum256(b) }

func (d digest) append(b []byte) []byte { return hex.AppendEncode(b, d[:]) }

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// The end of every line: ,"prev":"64 hex","hash":"64 hex"}
const (
	hexLen  = 2 * sha256.Size
	hashLen = len(`,"hash":"`) + hexLen + len(`"}`)
	prevLen = len(`,"prev":"`) + hexLen + len(`"`)
)

// link is one line, split and judged by itself.
type link struct{ prev, hash digest }

// parse reads one line without its newline: it must be one JSON object whose
// bytes have the hash that it says.
func parse(line []byte) (link, error) {
	var l link
	if len(line) < prevLen+hashLen {
		return l, errors.New("it is too short to be a record")
	}
	body, tail := line[:len(line)-hashLen], line[len(line)-hashLen:]
	if err := field(tail, `,"hash":"`, `"}`, &l.hash); err != nil {
		return l, err
	}
	if err := field(body[len(body)-prevLen:], `,"prev":"`, `"`, &l.prev); err != nil {
		return l, err
	}
	if got := sum(body); got != l.hash {
		return l, errors.New("its bytes do not have the hash that it says: the record was edited")
	}
	if !json.Valid(line) {
		return l, errors.New("it is no JSON")
	}
	return l, nil
}

// field reads a digest between exactly before and after; upper-case hex would be
// a second spelling of one record and is refused.
func field(b []byte, before, after string, d *digest) error {
	text, ok := bytes.CutPrefix(b, []byte(before))
	if ok {
		text, ok = bytes.CutSuffix(text, []byte(after))
	}
	if !ok || bytes.ContainsAny(text, "ABCDEF") {
		return fmt.Errorf("it does not end with prev and hash as every record does")
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return fmt.Errorf("its prev or hash is not hexadecimal: %w", err)
	}
	return nil
}
