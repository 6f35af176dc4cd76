package metrics_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/cmd/internal/metrics"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func started() *metrics.Metrics {
	m := metrics.New()
	m.Started(now, []string{"corp", "staff"})
	return m
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func holds(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q in:\n%s", line, ours(text))
		}
	}
}

// ours is the text without what Go and the process say.
func ours(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "rolecall_") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func TestWhatTheRecordSaysIsCounted(t *testing.T) {
	t.Parallel()
	m := started()
	for _, e := range []audit.Event{
		{Event: "signin", Outcome: audit.Granted, Provider: "corp"},
		{Event: "signin", Outcome: audit.Granted, Provider: "corp"},
		{Event: "signin", Outcome: audit.Refused, Provider: "corp", Reason: "replay"},
		{Event: "signin", Outcome: audit.Refused, Provider: "corp", Reason: "crewjam-panic"},
		{Event: "signin", Outcome: audit.Refused, Provider: "../etc/passwd", Reason: "unknown_provider"},
		{Event: "exchange", Outcome: audit.Refused, Reason: "unknown_issuer"},
		{Event: "credentials", Provider: "corp", Mode: "assume-role"}, // an intent
		{Event: "credentials", Outcome: audit.Granted, Provider: "corp", Mode: "assume-role"},
		{Event: "credentials", Outcome: audit.Granted, Provider: "corp", Mode: "assume-role", Cached: true},
		{Event: "credentials", Outcome: audit.Granted, Provider: "corp", Mode: "saml", Cached: true, Stale: true},
		{Event: "console", Outcome: audit.Refused, Reason: "aws_AccessDenied", Mode: "web-identity"},
		{Event: "credentials", Outcome: audit.Refused, Reason: "rate_limited", Count: 40}, // TurnedAway has them
	} {
		m.Record(e, 3*time.Millisecond, nil)
	}
	m.Record(audit.Event{Event: "signin", Outcome: audit.Granted}, time.Second, errors.New("disk full"))
	holds(t, scrape(t, m),
		`rolecall_signins_total{kind="signin",outcome="granted",provider="corp",reason="none"} 2`,
		`rolecall_signins_total{kind="signin",outcome="refused",provider="corp",reason="replay"} 1`,
		`rolecall_signins_total{kind="signin",outcome="refused",provider="other",reason="unknown_provider"} 1`,
		`rolecall_signins_total{kind="exchange",outcome="refused",provider="none",reason="unknown_issuer"} 1`,
		`rolecall_vends_total{from="sts",kind="credentials",mode="assume-role",outcome="granted",reason="none"} 1`,
		`rolecall_vends_total{from="cache",kind="credentials",mode="assume-role",outcome="granted",reason="none"} 1`,
		`rolecall_vends_total{from="stale",kind="credentials",mode="saml",outcome="granted",reason="none"} 1`,
		`rolecall_vends_total{from="none",kind="console",mode="web-identity",outcome="refused",reason="aws_AccessDenied"} 1`,
		`rolecall_records_total{event="signin",outcome="refused",reason="replay"} 1`,
		`rolecall_saml_panics_total 1`,
		`rolecall_audit_failures_total 1`,
		`rolecall_audit_append_duration_seconds_count 12`,
		`rolecall_audit_append_duration_seconds_bucket{le="0.0025"} 0`,
		`rolecall_audit_append_duration_seconds_bucket{le="0.005"} 12`,
	)
	if text := scrape(t, m); strings.Contains(text, `reason="rate_limited"`) {
		t.Error("what the limits turned away is counted twice")
	}
}

func TestRequestsFetchesLimitsAndReloadsAreCounted(t *testing.T) {
	t.Parallel()
	m := started()
	m.Request("GET /saml/{provider}/login", 303, 2*time.Millisecond)
	m.Request("", 421, time.Millisecond)
	m.Fetched("staff", "keys", "ok")
	m.Fetched("staff", "keys", "failed")
	m.TurnedAway("signin", "rate_limited")
	m.Reloaded(now.Add(time.Hour), nil, true)
	m.Watch("things", "Things.", func() float64 { return 7 })
	m.Count("acts_total", "read", "Acts.", func() float64 { return 8 })
	m.Count("acts_total", "write", "Acts.", func() float64 { return 9 })
	at := fmt.Sprintf("%g", float64(now.Unix()))
	holds(t, scrape(t, m),
		`rolecall_http_requests_total{code="303",route="GET /saml/{provider}/login"} 1`,
		`rolecall_http_requests_total{code="421",route="none"} 1`,
		`rolecall_http_request_duration_seconds_bucket{route="GET /saml/{provider}/login",le="0.0025"} 1`,
		`rolecall_provider_requests_total{outcome="ok",provider="staff",what="keys"} 1`,
		`rolecall_provider_requests_total{outcome="failed",provider="staff",what="keys"} 1`,
		`rolecall_limited_total{reason="rate_limited",what="signin"} 1`,
		`rolecall_config_reloads_total{outcome="refused"} 1`, `rolecall_config_last_reload_successful 0`,
		`rolecall_config_loaded_timestamp_seconds `+at, `rolecall_start_timestamp_seconds `+at,
		`rolecall_things 7`, `rolecall_acts_total{kind="read"} 8`, `rolecall_acts_total{kind="write"} 9`,
	)
	m.Reloaded(now.Add(2*time.Hour), []string{"new"}, false)
	m.Fetched("staff", "keys", "ok")
	m.Fetched("new", "keys", "ok")
	text := scrape(t, m)
	holds(t, text, `rolecall_config_last_reload_successful 1`,
		`rolecall_provider_requests_total{outcome="ok",provider="new",what="keys"} 1`,
		`rolecall_provider_requests_total{outcome="ok",provider="other",what="keys"} 1`) // gone from the configuration
	if !strings.Contains(text, "rolecall_build_info{goversion=\"go1.") || !strings.Contains(text, "go_goroutines ") || !strings.Contains(text, "process_resident_memory_bytes ") {
		t.Error("no build, Go or process figures")
	}
}

// Every text of a record but its words holds somebody's name. None may come out.
func TestNoPersonRoleOrSecretIsALabel(t *testing.T) {
	t.Parallel()
	const canary = "arn:aws:iam::111122223333:role/Alice@example.com"
	event := audit.Event{Tags: map[string]string{canary: canary}, Duration: 3600}
	v := reflect.ValueOf(&event).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String {
			v.Field(i).SetString(canary)
		}
	}
	m := started()
	for _, name := range []string{"signin", "exchange", "credentials", "console", "token", canary} {
		for _, outcome := range []audit.Outcome{audit.Granted, audit.Refused, audit.Outcome(canary)} {
			event.Event, event.Outcome = name, outcome
			m.Record(event, time.Millisecond, nil)
			m.Record(event, time.Millisecond, errors.New(canary))
		}
	}
	m.Fetched(canary, canary, canary)
	m.TurnedAway(canary, canary)
	text := scrape(t, m)
	for _, secret := range []string{"Alice", "example.com", "111122223333", "arn:", "role/"} {
		if strings.Contains(text, secret) {
			t.Errorf("a label holds %q:\n%s", secret, ours(text))
		}
	}
	holds(t, text, `rolecall_signins_total{kind="signin",outcome="granted",provider="other",reason="other"} 1`)
}

func TestLabelsAreBoundedWhateverComes(t *testing.T) {
	t.Parallel()
	m := started()
	for i := range 5000 {
		word := fmt.Sprintf("word-%d", i)
		m.Record(audit.Event{Event: "signin", Outcome: audit.Refused, Provider: word, Reason: word}, 0, nil)
		m.TurnedAway(word, word)
	}
	if n := strings.Count(ours(scrape(t, m)), "\n"); n > 2000 {
		t.Errorf("%d series after 5000 words", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	m := started()
	event := audit.Event{Event: "credentials", Outcome: audit.Granted, Mode: "assume-role", Cached: true}
	b.ReportAllocs()
	for b.Loop() {
		m.Record(event, time.Millisecond, nil)
	}
}
