package page

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/endpoint"
)

func deviceSamples(p *Pages) map[string]endpoint.Handler {
	question := Device{
		Username: "alice@example.com", UserCode: "WDJB-MJHT", Client: "rolecall CLI", Address: "203.0.113.7", Here: "203.0.113.7",
		Asked: noon.Add(-time.Minute), Until: noon.Add(12 * time.Hour), Roles: 16, Proof: strings.Repeat("p", 43),
	}
	elsewhere := question
	elsewhere.Here, elsewhere.Closed = "2001:db8:85a3::8a2e:370:7334", []string{"production/Incident", "production/Billing"}
	return map[string]endpoint.Handler{
		"device-code":      showing(p.Device, Device{Username: "alice@example.com", UserCode: "WDJB-MJHT"}),
		"device-question":  showing(p.Device, question),
		"device-elsewhere": showing(p.Device, elsewhere),
		"device-approved":  showing(p.Device, Device{Username: "alice@example.com", Outcome: "approved"}),
		"device-denied":    showing(p.Device, Device{Username: "alice@example.com", Outcome: "denied"}),
	}
}

func TestTheDevicePageAsksBeforeItActs(t *testing.T) {
	t.Parallel()
	p := newPages(t, Config{})
	question := Device{
		Username: "alice@example.com", UserCode: "WDJB-MJHT", Client: "rolecall CLI", Address: "203.0.113.7", Here: "198.51.100.24",
		Asked: noon.Add(-time.Minute), Until: noon.Add(12 * time.Hour), Roles: 16, Closed: []string{"production/Incident"}, Proof: "p",
	}
	same := question
	same.Here, same.Closed = same.Address, nil
	hostile := question
	hostile.UserCode, hostile.Username = `"><script>alert(1)</script>`, "<b>alice"
	for name, test := range map[string]struct {
		view  Device
		has   []string
		lacks []string
	}{
		"the form for a code": {
			Device{Username: "alice@example.com", UserCode: "WDJB-MJHT"},
			[]string{`name="user_code" value="WDJB-MJHT"`, `name="csrf"`, "Only a code that you asked for yourself"}, []string{"approve"},
		},
		"the question": {question, []string{
			"rolecall CLI", "203.0.113.7", "198.51.100.24", "11:59:00 UTC", "your 16 roles", "production/Incident", "The device is not where you are",
			`name="proof" value="p"`, `name="csrf"`,
		}, nil},
		"the question from the same address": {same, []string{"rolecall CLI"}, []string{"not where you are", "left out"}},
		"names that are markup":              {hostile, []string{"&lt;b&gt;alice"}, []string{"<script>alert", "<b>alice"}},
		"approved":                           {Device{Username: "a", Outcome: "approved"}, []string{"connected"}, []string{"<input class"}},
		"denied":                             {Device{Username: "a", Outcome: "denied"}, []string{"got nothing"}, []string{"<input class"}},
	} {
		page := get(t, p, "/device", func(w http.ResponseWriter, r *http.Request) error { return p.Device(w, r, test.view) }).Body.String()
		for _, text := range test.has {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %q", name, text)
			}
		}
		for _, text := range test.lacks {
			if strings.Contains(page, text) {
				t.Errorf("%s: there is %q", name, text)
			}
		}
		if approve, deny := strings.Index(page, `value="approve"`), strings.Index(page, `value="deny"`); approve > deny {
			t.Errorf("%s: the first button does not approve", name)
		}
	}
}
