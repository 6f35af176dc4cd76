// Package social stands in for GitHub, Facebook and Login with Amazon, which nobody
// can run: each answers over real HTTPS at its real names, as its documentation says,
// behind a proxy that reaches nothing else.
package social

import (
	"encoding/json"
	"net/http"
)

func writeJSON(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}
