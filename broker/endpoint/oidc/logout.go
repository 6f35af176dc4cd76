package oidc

import (
	"context"
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/config/secret"
)

// LogoutService ends sessions at a provider's word, and takes people back from
// signing out there: broker.Broker.
type LogoutService interface {
	endpoint.LogoutService
	Departed(ctx context.Context, req broker.DepartedRequest) error
}

// logout takes a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.5).
func (e Endpoint) logout(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return broker.Fail(broker.InvalidRequest, "method", "The method must be POST.")
	}
	if err := endpoint.ParseForm(r); err != nil {
		return err
	}
	tokens := r.PostForm["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return broker.Fail(broker.InvalidRequest, "logout_token", "The form must hold exactly one logout_token.")
	}
	err := e.Logout.Departed(r.Context(), broker.DepartedRequest{
		Origin: endpoint.Origin(r), Provider: r.PathValue("provider"), Token: secret.New(tokens[0]),
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// problem is the error adapter: the specification knows 400 and OAuth's words.
func problem(w http.ResponseWriter, r *http.Request, err error) {
	shown := broker.Shown(err)
	endpoint.SetRetryAfter(w, shown)
	_ = endpoint.WriteJSON(w, endpoint.Status(shown), struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		RequestID   string `json:"request_id"`
	}{string(shown.Code), shown.Message, endpoint.Origin(r).RequestID})
}
