// Package secret holds values that must never be printed. A String redacts
// itself wherever a program usually prints things; only Reveal gives the text.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "[secret]"

// String is a text that no formatter, logger or encoder prints. The zero value
// is the empty secret.
type String struct{ text string }

// New wraps text.
func New(text string) String { return String{text: text} }

// Reveal returns the text itself, for the one encoder that must send it.
func (s String) Reveal() string { return s.text }

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.text == "" }

// Equal compares in constant time for equal lengths.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.text), []byte(other.text)) == 1
}

// String, GoString, Format, LogValue, MarshalJSON, MarshalText and MarshalYAML
// all give the same placeholder.
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
