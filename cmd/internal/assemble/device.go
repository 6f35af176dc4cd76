package assemble

import (
	"net/http"

	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/endpoint/device"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/config"
)

// deviceFlow switches the device flow on where the configuration says so. People
// may type a code five times in the ten minutes of its life, and those behind one
// address thirty times together.
func (d *Daemon) deviceFlow(c *config.Config, o oauth.Config) oauth.Config {
	if c.OAuth.DeviceFlow {
		o.Devices, o.DeviceTries = devicecode.New(d.store, d.options.Now), d.deviceTries
	}
	return o
}

func newDeviceTries(options Options) *limit.Limiter {
	return limit.New(limit.Config{
		PerSubject: config.Rate{Events: 5, Period: devicecode.Life}, PerAddress: config.Rate{Events: 30, Period: devicecode.Life}, Now: options.Now,
	})
}

// devicePage draws the device page with the portal's pages.
type devicePage struct{ pages *page.Pages }

// Device implements device.Pages.
func (p devicePage) Device(w http.ResponseWriter, r *http.Request, v device.View) error {
	view := page.Device{
		Username: v.Username, UserCode: v.UserCode, Here: v.Here, Roles: v.Roles, Closed: v.Closed, Proof: v.Proof, Outcome: v.Outcome,
	}
	if v.Ask != nil {
		view.Client, view.Address, view.Asked, view.Until = v.Ask.Client, v.Ask.Address, v.Ask.Asked, v.Ask.Until
	}
	return p.pages.Device(w, r, view)
}
