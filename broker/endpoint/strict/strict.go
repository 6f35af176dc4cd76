// Package strict reads JSON bodies so that two readers cannot see two things in
// one: a member that is unknown, there twice or spelled otherwise is refused.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker"
)

// JSON decodes one JSON document strictly: an object whose members are known,
// spelled as documented, and there once.
func JSON(w http.ResponseWriter, r *http.Request, most int64, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return broker.Fail(broker.InvalidRequest, "content_type", "The body must be application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return err
	}
	if name := doubtful(body); name != "" {
		return broker.Fail(broker.InvalidRequest, "malformed_json", "The body is not the JSON expected: a member is there twice or not spelled as documented.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return broker.Fail(broker.InvalidRequest, "malformed_json", "The body is not the JSON expected: "+jsonFault(err)).Because(err)
	}
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) { // which the decoder takes for nothing to do
		return broker.Fail(broker.InvalidRequest, "malformed_json", "The body is not the JSON expected: it must be an object.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return broker.Fail(broker.InvalidRequest, "malformed_json", "The body holds more than one JSON document.")
	}
	return nil
}

// doubtful finds a member of an object that encoding/json would take although
// another reader would not: it folds case, and the last of several counts.
func doubtful(body []byte) string {
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return "" // the decoder says what is wrong
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return ""
		}
		if seen[name] || strings.ContainsFunc(name, unlikeOurs) {
			return name
		}
		seen[name] = true
	}
	return ""
}

// unlikeOurs finds what no member of the API has: the long s folds to s.
func unlikeOurs(c rune) bool { return (c < 'a' || c > 'z') && c != '_' }

func article(kind string) string {
	if kind == "array" || kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

// jsonFault says what is wrong without repeating the caller's text.
func jsonFault(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return "it must be an object."
		}
		return "the member " + wrong.Field + " must not be " + article(wrong.Value) + "."
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok && len(field) < 64 {
		return "there is no member " + field + "."
	}
	return "it could not be parsed."
}
