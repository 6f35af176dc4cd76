package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := parse(t, server+`providers:
  - {name: corp, type: saml, metadata_file: idp.xml, subject: {attribute: uid}}
grants:
  - {name: a, everyone: true, role: production/Admin}
  - {name: b, everyone: true, role: production/Admin, duration: 2h, console: false}
`)
	yes, no := true, false
	g, p := c.Grants, c.Providers[0]
	got := []any{
		c.Server.Listen, c.Store.Value, c.Issuer.URL, c.Issuer.Keys.Value, c.AWS.Region, c.AWS.Mode.Value, c.AWS.Timeout, c.AWS.OutliveSession,
		c.Session, c.OAuth.DeviceFlow, c.Limits.PerAddress, c.Limits.PerSubject, c.Audit.File, c.Metrics.Listen.Value,
		p.Label, p.ClockSkew, p.IDPInitiated,
		g[0].Duration, g[0].MaxDuration, g[0].Console, g[0].DeviceFlow, g[0].Mode.Value, g[1].Duration, g[1].MaxDuration, g[1].Console,
	}
	want := []any{
		":8443", "sqlite:rolecall.db", c.Server.URL, "local", "us-east-1", "assume-role", 10 * time.Second, true,
		Session{Max: 12 * time.Hour, Idle: time.Hour, RefreshMax: 12 * time.Hour}, false, Rate{300, time.Minute}, Rate{60, time.Minute}, "", "127.0.0.1:9464",
		"corp", time.Minute, false,
		time.Hour, time.Hour, &yes, &yes, "assume-role", 2 * time.Hour, 2 * time.Hour, &no,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASwitchThatIsOnByDefaultCanBeOff(t *testing.T) {
	t.Parallel()
	if c := parse(t, server+"aws: {outlive_session: false}\n"); c.AWS.OutliveSession {
		t.Error("outlive_session: false is on")
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{"1/s": {1, time.Second}, "300/m": {300, time.Minute}, "1000000000/h": {1_000_000_000, time.Hour}} {
		got, err := parseRate(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s is %v (%v), %v", text, got, got.String(), err)
		}
	}
	for _, text := range []string{"", "300", "300/", "/m", "0/m", "-1/m", "1.5/m", "300/d", "300/m ", "300 /m", "9999999999/s", "99999999999999999999/s", "1e3/s"} {
		if got, err := parseRate(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	if got := (Rate{5, 10 * time.Second}).String(); got != "5/10s" {
		t.Errorf("an unusual rate is %q", got)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "0s": 0, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "60", "1d", "-1h", "+1h", "1 h", "1h ", "h", "1.h", "5us", "9999999999h"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{12 * time.Hour: "12h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 90 * time.Second: "1m30s", 0: "0s", 20 * time.Second: "20s", time.Hour + time.Second: "1h0m1s"} {
		if got := brief(d); got != want {
			t.Errorf("brief(%s) is %s, want %s", d, got, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	known := []string{"name", "type", "label", "metadata_url", "metadata_file", "client_id", "client_secret", "groups", "users"}
	for word, want := range map[string]string{
		"nmae": "name", "Name": "name", "metadataUrl": "metadata_url", "metadata-file": "metadata_file", "metadata_ulr": "metadata_url",
		"clientid": "client_id", "group": "groups", "client_secrte": "client_secret", "user": "users", "meta": "metadata_url",
		"plugins": "", "x": "", "": "", "ümläut": "",
	} {
		hint := ""
		if want != "" {
			hint = "; did you mean " + want + "?"
		}
		if got := didYouMean(word, known); got != hint {
			t.Errorf("%q gives %q, want %q", word, got, hint)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	var faults Faults
	if faults.Err() != nil {
		t.Error("no faults are an error")
	}
	faults.Add(Pos{File: "f", Line: 9}, "later %d", 1)
	faults.Add(Pos{File: "f", Line: 2}, "first")
	faults.Add(Pos{File: "f", Line: 2}, "first")
	faults.Add(Pos{File: "f"}, "whole file")
	faults.Add(Pos{}, "nowhere")
	faults.sort()
	want := "f: whole file\nnowhere\nf:2: first\nf:9: later 1"
	if got := faults.Err().Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
