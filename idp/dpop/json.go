package dpop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"
)

// members is a JSON object whose names are compared byte by byte.
type members map[string]json.RawMessage

// object reads exactly one JSON object without repeated names. encoding/json
// alone would fold case and let the last of several names win.
func object(data []byte) (members, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	found := members{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("not a JSON object")
		}
		text, ok := name.(string)
		if _, repeated := found[text]; repeated || !ok {
			return nil, errors.New("a member is there twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("not a JSON object")
		}
		found[text] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return found, nil
}

// text gives a member that is a string, "" where it is absent.
func (m members) text(name string) (string, error) {
	raw, there := m[name]
	if !there {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return *s, nil
}

// instant gives a member that is a NumericDate within years 1970 to 9999.
func (m members) instant(name string) (time.Time, error) {
	var n *float64
	if err := json.Unmarshal(m[name], &n); err != nil || n == nil || *n < 0 || *n > 253402300799 {
		return time.Time{}, fmt.Errorf("%s is not a number of seconds", name)
	}
	whole, part := math.Modf(*n)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}
