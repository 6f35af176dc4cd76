package assemble

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/operate/gatekeeper"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/idp/idptest"
)

// blockingNodes block after five offences.
func blockingNodes(t *testing.T, block string) ([2]*Daemon, *idptest.OP) {
	t.Helper()
	op := idptest.StartOP(t, time.Now)
	return twoNodesOf(t, "  - {name: ci, type: oidc, issuer: \""+op.Issuer+"\", client_id: rolecall, allow_private: true, groups: {claim: groups}}\n",
		"  - {name: programs, providers: [ci], groups: [platform], role: production/Admin}\nlimits: {block: "+block+"}\n"), op
}

// bringToken brings a token to the token endpoint from an address.
func bringToken(d *Daemon, address, token string) *httptest.ResponseRecorder {
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "resource": {"production/Admin"},
		"requested_token_type": {"urn:rolecall:params:oauth:token-type:aws-credentials"},
	}
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8400/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 4711).String()
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, r)
	return w
}

func pollBlocks(t *testing.T, nodes [2]*Daemon) {
	t.Helper()
	for _, n := range nodes {
		if err := n.blocks.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnAddressThatBringsBadTokensIsKeptOutOnEveryNode(t *testing.T) {
	t.Parallel()
	nodes, op := blockingNodes(t, "{after: 5/h, for: 10m}")
	good := tokenOf(op, "alice", 0)
	for i := range 6 {
		if w := bringToken(nodes[0], "192.0.2.66", op.Sign(op.Key(), map[string]any{"iss": "https://evil.example", "sub": fmt.Sprint(i)}, nil)); w.Code != 400 {
			t.Fatalf("offence %d: %d %s", i, w.Code, w.Body)
		}
	}
	pollBlocks(t, nodes)
	for i, n := range nodes {
		w := bringToken(n, "192.0.2.66", good)
		if w.Code != 429 || w.Header().Get("Retry-After") != "600" || !strings.Contains(w.Body.String(), "kept out") {
			t.Errorf("node %d lets it in: %d %s %s", i, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		if w := bringToken(n, "192.0.2.67", good); w.Code != 200 {
			t.Errorf("node %d keeps a neighbour out: %d %s", i, w.Code, w.Body)
		}
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8400/saml/corp/login", nil)
		r.RemoteAddr = "192.0.2.66:4711"
		page := httptest.NewRecorder()
		if n.Handler().ServeHTTP(page, r); page.Code != 429 || page.Header().Get("Retry-After") == "" {
			t.Errorf("node %d begins a sign-in: %d", i, page.Code)
		}
		// Somebody behind the same address who has signed in already.
		origin := broker.Origin{RequestID: "r", Address: netip.MustParseAddr("192.0.2.66")}
		if _, err := n.Broker().Vend(t.Context(), origin, modesCaller("u-1"), broker.Order{Role: "production/Admin"}); err != nil {
			t.Errorf("node %d: a signed-in person gets nothing: %v", i, err)
		}
	}
	record := scripted.ReadRecord(t, nodes[0].options.Config.Audit.File)
	if n := strings.Count(record, `"event":"address.blocked"`); n != 1 {
		t.Errorf("%d records of the block", n)
	}
	contains(t, "the record", record, `"event":"address.blocked","outcome":"refused","reason":"offences"`, `"count":6,"address":"192.0.2.66"`)
	if _, err := audit.Verify(strings.NewReader(record)); err != nil {
		t.Error(err)
	}
	contains(t, "the scrape", world{Dev: &Dev{daemon: nodes[0]}}.figures(t), "rolecall_blocked_addresses 1\n", "rolecall_address_blocks_total 1\n", "rolecall_address_offences_total 6\n",
		`rolecall_limited_total{reason="blocked",what="exchange"} 1`, `rolecall_limited_total{reason="blocked",what="signin"} 1`)

	_, err := Limits(t.Context(), nodes[0].options, "root", func(g gatekeeper.Gatekeeper) error {
		list, err := g.List(t.Context())
		if err != nil || len(list) != 1 || list[0].Network.String() != "192.0.2.66/32" || list[0].Count != 6 || list[0].What != "exchange" {
			t.Errorf("listed %+v, %v", list, err)
		}
		n, err := g.Clear(t.Context(), netip.MustParseAddr("192.0.2.66"))
		if n != 1 {
			t.Errorf("%d cleared", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pollBlocks(t, nodes)
	for i, n := range nodes {
		if w := bringToken(n, "192.0.2.66", good); w.Code != 200 {
			t.Errorf("node %d still keeps it out: %d", i, w.Code)
		}
	}
}

func TestWhatIsNoOffence(t *testing.T) {
	t.Parallel()
	nodes, op := blockingNodes(t, "{after: 5/h, for: 10m}")
	good := tokenOf(op, "alice", 0)
	for i := range 30 { // whoever gets as much right as wrong is not kept out
		if w := bringToken(nodes[0], "192.0.2.1", op.Sign(op.Key(), map[string]any{"iss": "https://evil.example", "sub": fmt.Sprint(i)}, nil)); w.Code != 400 {
			t.Fatalf("bad token %d: %d %s", i, w.Code, w.Body)
		}
		if w := bringToken(nodes[0], "192.0.2.1", tokenOf(op, fmt.Sprint("person-", i), 0)); w.Code != 200 {
			t.Fatalf("good token %d: %d %s", i, w.Code, w.Body)
		}
	}
	for range 30 { // a role that policy does not give is no attack on evidence
		form := strings.NewReader("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token_type=urn:ietf:params:oauth:token-type:id_token" +
			"&requested_token_type=urn:rolecall:params:oauth:token-type:aws-credentials&resource=production/Nothing&subject_token=" + url.QueryEscape(good))
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8400/oauth2/token", form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "192.0.2.2:4711"
		w := httptest.NewRecorder()
		if nodes[0].Handler().ServeHTTP(w, r); w.Code != 400 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := bringToken(nodes[0], "192.0.2.2", good); w.Code != 200 {
		t.Errorf("whoever asked for roles that are not theirs is kept out: %d", w.Code)
	}
}

func TestBlocksCanBeSwitchedOffAndOfficesExempted(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]string{"switched off": "{enabled: false, after: 5/h}", "exempt": "{after: 5/h, exempt: [192.0.2.0/24]}"} {
		nodes, op := blockingNodes(t, block)
		for i := range 20 {
			bringToken(nodes[0], "192.0.2.1", op.Sign(op.Key(), map[string]any{"iss": "https://evil.example", "sub": fmt.Sprint(i)}, nil))
		}
		if w := bringToken(nodes[0], "192.0.2.1", tokenOf(op, "alice", 0)); w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// Behind a proxy that is not named all clients have one address: a stranger could
// get it blocked for everybody.
func TestBehindAProxyThatIsNotNamedNobodyIsBlocked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"server: {url: https://sso.example.com}":                                  false,
		"server: {url: https://sso.example.com, trusted_proxies: [10.0.0.0/8]}":   true,
		"server: {url: http://127.0.0.1:8400}":                                    true,
		"server: {url: http://127.0.0.1:8400}\nlimits: {block: {enabled: false}}": false,
	} {
		r := &reloadable{dir: t.TempDir()}
		c, err := r.parse(text + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := blocksByItself(c); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestWhichRecordsAreOffences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event         audit.Event
		offence, good bool
	}{
		"a signature that is wrong":        {audit.Event{Event: "signin", Outcome: audit.Refused, Reason: "signature"}, true, false},
		"an answer nobody waits for":       {audit.Event{Event: "signin", Outcome: audit.Refused, Reason: "no_pending_signin"}, true, false},
		"a proof that is wrong":            {audit.Event{Event: "authenticate", Outcome: audit.Refused, Reason: "invalid_dpop_proof"}, true, false},
		"an access token that has ended":   {audit.Event{Event: "authenticate", Outcome: audit.Refused, Reason: "invalid_token"}, false, false},
		"a nonce that is old":              {audit.Event{Event: "device.register", Outcome: audit.Refused, Reason: "use_dpop_nonce"}, false, false},
		"a person who pressed cancel":      {audit.Event{Event: "signin", Outcome: audit.Refused, Reason: "access-denied"}, false, false},
		"a provider that is down":          {audit.Event{Event: "signin", Outcome: audit.Failed, Reason: "provider_unavailable"}, false, false},
		"a role that is not granted":       {audit.Event{Event: "credentials", Outcome: audit.Refused, Reason: "role_not_granted"}, false, false},
		"a sign-in":                        {audit.Event{Event: "signin", Outcome: audit.Granted}, false, true},
		"an intent":                        {audit.Event{Event: "signin"}, false, false},
		"an exchange for credentials":      {audit.Event{Event: "credentials", Outcome: audit.Granted, Via: "exchange"}, false, true},
		"the same from the cache":          {audit.Event{Event: "credentials", Outcome: audit.Granted, Via: "exchange", Cached: true}, false, false},
		"a signed-in person's credentials": {audit.Event{Event: "credentials", Outcome: audit.Granted, Via: "browser"}, false, false},
		"a guest's device":                 {audit.Event{Event: "device.register", Outcome: audit.Granted}, false, false},
	} {
		if isOffence(c.event) != c.offence || isGood(c.event) != c.good {
			t.Errorf("%s: offence %t, good %t", name, isOffence(c.event), isGood(c.event))
		}
	}
}
