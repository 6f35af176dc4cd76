package token

import (
	"net/http"

	"github.com/rolecall/rolecall/broker/endpoint"
)

// deviceStarted is the answer of the device authorization endpoint (RFC 8628 section 3.2).
type deviceStarted struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URL        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"`
	Interval   int64  `json:"interval"`
}

func (e Endpoint) startDevice(w http.ResponseWriter, r *http.Request) error {
	request, err := read(r)
	if err != nil {
		return err
	}
	started, err := e.Extensions.StartDevice(r.Context(), endpoint.Origin(r), request)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, deviceStarted{
		DeviceCode: started.DeviceCode.Reveal(), UserCode: started.UserCode, URL: started.URL, Complete: started.Complete,
		ExpiresIn: int64(started.Life.Seconds()), Interval: int64(started.Interval.Seconds()),
	})
}
