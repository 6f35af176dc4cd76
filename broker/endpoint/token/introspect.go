package token

import (
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker/endpoint"
)

// introspected is the answer of the introspection endpoint (RFC 7662 section 2.2,
// RFC 9449 section 6.2).
type introspected struct {
	Active       bool          `json:"active"`
	Scope        string        `json:"scope,omitempty"`
	Client       string        `json:"client_id,omitempty"`
	Username     string        `json:"username,omitempty"`
	TokenType    string        `json:"token_type,omitempty"`
	Expires      int64         `json:"exp,omitempty"`
	Subject      string        `json:"sub,omitempty"`
	Provider     string        `json:"provider,omitempty"`
	Confirmation *confirmation `json:"cnf,omitempty"`
}

type confirmation struct {
	Thumbprint string `json:"jkt"`
}

func (e Endpoint) introspect(w http.ResponseWriter, r *http.Request) error {
	request, err := read(r)
	if err != nil {
		return err
	}
	found, err := e.Extensions.Introspect(r.Context(), endpoint.Origin(r), request)
	if err != nil {
		return err
	}
	answer := introspected{Active: found.Active}
	if found.Active {
		answer = introspected{
			Active: true, Scope: strings.Join(found.Scope, " "), Client: found.Client, Username: found.Username, TokenType: found.Type,
			Expires: found.Until.Unix(), Subject: found.Subject, Provider: found.Provider,
		}
	}
	if found.Thumbprint != "" {
		answer.Confirmation = &confirmation{found.Thumbprint}
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}
