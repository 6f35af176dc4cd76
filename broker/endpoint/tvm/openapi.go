package tvm

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker/endpoint"
)

// parts are the OpenAPI document: base.json, and what each group of routes adds to
// its paths, components and tags.
//
//go:embed openapi
var parts embed.FS

// document is the whole of it, for a broker at an address.
func document(url string) (map[string]any, error) {
	whole, err := readPart("base.json", url)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(parts, "openapi/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name = strings.TrimPrefix(name, "openapi/"); name == "base.json" {
			continue
		}
		part, err := readPart(name, url)
		if err != nil {
			return nil, err
		}
		merge(whole, part)
	}
	return whole, nil
}

func readPart(name, url string) (map[string]any, error) {
	text, err := parts.ReadFile("openapi/" + name)
	if err != nil {
		return nil, err
	}
	var part map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "{{URL}}", url)), &part); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return part, nil
}

// merge adds the members of a part, objects and lists member by member.
func merge(into, part map[string]any) {
	for key, value := range part {
		switch have := into[key].(type) {
		case map[string]any:
			if more, ok := value.(map[string]any); ok {
				merge(have, more)
			}
		case []any:
			if more, ok := value.([]any); ok {
				into[key] = append(have, more...)
			}
		default:
			into[key] = value
		}
	}
}

// openAPI serves the document to anybody, also to pages of any origin.
func (e Endpoint) openAPI(w http.ResponseWriter, _ *http.Request) error {
	whole, err := document(e.URL)
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("DPoP-Nonce", e.Door.Nonce())
	return endpoint.WriteJSON(w, http.StatusOK, whole)
}
