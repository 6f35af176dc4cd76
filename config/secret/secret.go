// Package secret holds values that must never be printed. A String redacts
// itself wherever a program usually prints things; only Reveal gives the text.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"unique"
)

const redacted = "[secret]"

// String is a text that no formatter, logger or encoder prints. It is comparable
// by its text; the zero value is the empty secret.
//
// The text is behind a handle, because fmt calls no method of an unexported
// field: a struct that holds a String in one prints an address.
type String struct{ text unique.Handle[string] }

// New wraps text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: unique.Make(text)}
}

// Reveal returns the text itself, for the one encoder that must send it.
func (s String) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s == String{} }

// Equal compares in constant time for equal lengths.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String, GoString, Format, LogValue, MarshalJSON and MarshalText all give the
// same placeholder.
func (s String) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (s String) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb (%s, %x, %q ...) reaches the text.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (s String) MarshalText() ([]byte, error) { return []byte(redacted), nil }
