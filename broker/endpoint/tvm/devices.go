package tvm

import (
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/strict"
)

// identified is a device with its tokens: the answer to a registration, a new key
// and a login.
type identified struct {
	DeviceID   string `json:"device_id"`
	IdentityID string `json:"identity_id"`
	// Alias is an identity_id of a guest that means IdentityID from now on.
	Alias string `json:"alias,omitempty"`
	// Guest and LoggedIn say whose the tokens are: a guest's, a person's, or nobody's,
	// where somebody has been logged in and is not any more.
	Guest    bool `json:"guest"`
	LoggedIn bool `json:"logged_in"`

	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int64  `json:"expires_in"`
}

func writeIdentified(w http.ResponseWriter, status int, got apps.Identified) error {
	return endpoint.WriteJSON(w, status, identifiedOf(got))
}

func identifiedOf(got apps.Identified) identified {
	return identified{
		DeviceID: got.Device, IdentityID: got.IdentityID, Alias: got.Alias, Guest: got.Guest, LoggedIn: got.LoggedIn,
		AccessToken: got.Tokens.Access.Reveal(), TokenType: "DPoP",
		RefreshToken: got.Tokens.Refresh.Reveal(), ExpiresIn: int64(got.Tokens.ExpiresIn.Seconds()),
	}
}

func (e Endpoint) register(w http.ResponseWriter, r *http.Request) error {
	var ask struct {
		App         string `json:"app"`
		Attestation string `json:"attestation"`
	}
	if err := strict.JSON(w, r, maxBody, &ask); err != nil {
		return err
	}
	got, err := e.Devices.Register(r.Context(), endpoint.Origin(r), apps.RegisterRequest{Request: apps.RequestOf(r), App: ask.App, Attestation: ask.Attestation})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if got.New {
		status = http.StatusCreated
	}
	return writeIdentified(w, status, got)
}

func (e Endpoint) rotate(w http.ResponseWriter, r *http.Request) error {
	var ask struct {
		Proof     string `json:"proof"`
		Signature string `json:"signature"`
	}
	if err := strict.JSON(w, r, maxBody, &ask); err != nil {
		return err
	}
	got, err := e.Devices.Rotate(r.Context(), endpoint.Origin(r), apps.RotateRequest{
		Request: apps.RequestOf(r), Device: r.PathValue("id"), Proof: ask.Proof, Signature: ask.Signature,
	})
	if err != nil {
		return err
	}
	return writeIdentified(w, http.StatusOK, got)
}

// listed is one device.
type listed struct {
	DeviceID string    `json:"device_id"`
	Created  time.Time `json:"created"`
	Current  bool      `json:"current"`
}

func (e Endpoint) devices(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.caller(r, "devices")
	if err != nil {
		return err
	}
	found, err := e.Devices.Devices(r.Context(), caller)
	if err != nil {
		return err
	}
	list := make([]listed, len(found))
	for i, d := range found {
		list[i] = listed{d.Device, d.Created.UTC().Truncate(time.Second), d.Current}
	}
	return endpoint.WriteJSON(w, http.StatusOK, struct {
		Devices []listed `json:"devices"`
	}{list})
}

func (e Endpoint) revoke(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.caller(r, "devices")
	if err != nil {
		return err
	}
	if err := e.Devices.Revoke(r.Context(), endpoint.Origin(r), caller, r.PathValue("id")); err != nil {
		return err
	}
	endpoint.NoStore(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e Endpoint) credentials(w http.ResponseWriter, r *http.Request) error {
	var ask struct {
		Role     string `json:"role"`
		Duration string `json:"duration"`
	}
	if err := strict.JSON(w, r, maxBody, &ask); err != nil {
		return err
	}
	caller, err := e.caller(r, "credentials")
	if err != nil {
		return err
	}
	vended, err := e.Vendor.Vend(r.Context(), endpoint.Origin(r), caller, broker.Order{Role: ask.Role, Duration: ask.Duration})
	if err != nil {
		return err
	}
	if vended.Stale {
		w.Header().Set("X-Rolecall-Stale", "1")
	}
	return endpoint.WriteJSON(w, http.StatusOK, vended.Credentials.Document())
}
