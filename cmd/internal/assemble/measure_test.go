package assemble

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
)

// figures is what a scrape of the broker gives.
func (w world) figures(t *testing.T) string {
	t.Helper()
	answer := httptest.NewRecorder()
	w.daemon.Metrics().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestFiguresOfSignInsOrdersAndRefusals(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	b := w.signIn(t, "staff")
	w.signIn(t, "corp")
	order(t, b, w.URL, "production/Admin")
	order(t, b, w.URL, "production/Admin")
	for _, path := range []string{"/saml/nobody/login", "/no/such/page", "/oidc/staff/callback?state=x&code=y"} {
		status(t, w.URL+path, "")
	}
	status(t, w.URL+"/", "evil.example")
	text := w.figures(t)
	contains(t, "the scrape", text,
		`rolecall_signins_total{kind="signin",outcome="granted",provider="staff",reason="none"} 1`,
		`rolecall_signins_total{kind="signin",outcome="granted",provider="corp",reason="none"} 1`,
		`rolecall_signins_total{kind="signin",outcome="refused",provider="other",reason="unknown_provider"} 1`,
		`rolecall_signins_total{kind="signin",outcome="refused",provider="staff",reason="no_pending_signin"} 1`,
		`rolecall_vends_total{from="sts",kind="credentials",mode="assume-role",outcome="granted",reason="none"} 1`,
		`rolecall_vends_total{from="cache",kind="credentials",mode="assume-role",outcome="granted",reason="none"} 1`,
		`rolecall_http_requests_total{code="404",route="/"} 1`,
		`rolecall_http_requests_total{code="421",route="none"} 1`,
		`rolecall_http_request_duration_seconds_count{route="POST /keys"} 2`,
		`rolecall_provider_requests_total{outcome="ok",provider="staff",what="discovery"} 1`,
		`rolecall_provider_requests_total{outcome="ok",provider="staff",what="keys"} 1`,
		`rolecall_provider_requests_total{outcome="ok",provider="corp",what="metadata"}`,
		"rolecall_credentials_cached 1\n", "rolecall_sts_orders_in_flight 0\n", "rolecall_sts_orders_waiting 0\n",
		`rolecall_store_errors_total{kind="write"} 0`, "rolecall_audit_failures_total 0\n", "rolecall_config_last_reload_successful 1\n",
	)
	if strings.Contains(text, `rolecall_store_operations_total{kind="write"} 0`) || strings.Contains(text, "rolecall_audit_append_duration_seconds_count 0") {
		t.Error("nothing is written or recorded")
	}
	without(t, "the scrape", text, "alice", "Alice", "platform", "Admin", "111122223333", "127.0.0.1", "ASIA", w.People[0].Password.Reveal(), w.IDP)
}

func TestFiguresHaveAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	if got := status(t, w.URL+"/metrics", ""); got != 404 {
		t.Errorf("at the broker's own address: %d", got)
	}
	c := *w.Config
	c.Metrics.Listen.Value = "127.0.0.1:0"
	listener, _, err := (&Daemon{options: Options{Config: &c}}).ListenMetrics()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.daemon.ServeMetrics(ctx, listener) }()
	resp, err := http.Get("http://" + listener.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "rolecall_build_info") {
		t.Errorf("%d %v %.200s", resp.StatusCode, err, body)
	}
	for _, path := range []string{"/", "/login", "/healthz"} {
		if got := status(t, "http://"+listener.Addr().String()+path, ""); got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnAddressForFiguresThatIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := &config.Config{}
	d := &Daemon{options: Options{Config: c}}
	c.Metrics.Listen.Value = taken.Addr().String()
	if listener, goOn, err := d.ListenMetrics(); listener != nil || goOn || err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("an address that was asked for: %v %v", goOn, err)
	}
	usual, err := net.Listen("tcp", usualMetrics) // or somebody else has it
	if err == nil {
		defer usual.Close()
	}
	c.Metrics.Listen.Value = usualMetrics
	if listener, goOn, err := d.ListenMetrics(); listener != nil || !goOn || err == nil {
		t.Errorf("the usual address: %v %v", goOn, err)
	}
	c.Metrics.Listen.Value = config.Off
	if listener, goOn, err := d.ListenMetrics(); listener != nil || !goOn || err != nil {
		t.Errorf("off: %v %v", goOn, err)
	}
}

func TestAReloadIsCounted(t *testing.T) {
	t.Parallel()
	r := newReloadable(t)
	if err := r.reload(t, "[platform]", "[p2]"); err != nil {
		t.Fatal(err)
	}
	if err := r.reload(t, "grants:", "grant:"); err == nil {
		t.Fatal("it was accepted")
	}
	contains(t, "the scrape", world{Dev: &Dev{daemon: r.Daemon}}.figures(t),
		`rolecall_config_reloads_total{outcome="granted"} 1`, `rolecall_config_reloads_total{outcome="refused"} 1`, "rolecall_config_last_reload_successful 0\n")
}
