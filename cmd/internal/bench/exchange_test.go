package bench

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/idptest"
)

// connections is how many clients wait at a time.
const connections = 16

// product is the whole daemon over the stub.
func product(b *testing.B, op *idptest.OP, stsURL string) http.Handler {
	b.Helper()
	text := fmt.Sprintf(`
server: {url: "http://127.0.0.1:8443", listen: "127.0.0.1:8443"}
store: %q
aws: {endpoint: %q}
limits: {per_address: 1000000/s, per_subject: 1000000/s}
providers: [{name: ci, type: oidc, issuer: %q, client_id: %q, allow_private: true, groups: {claim: groups}}]
accounts: [{id: "111122223333", name: production}]
grants: [{name: admin, providers: [ci], groups: [platform], role: production/Admin, duration: 1h}]
`, "sqlite:"+filepath.Join(b.TempDir(), "rolecall.db"), stsURL, op.Issuer, op.ClientID)
	c, err := config.Parse("rolecall.yaml", []byte(text), nil)
	if err != nil {
		b.Fatal(err)
	}
	d, err := assemble.New(b.Context(), assemble.Options{
		Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		AWS: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", strings.Repeat("s", 40), ""),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	return d.Handler()
}

// BenchmarkExchange puts POST /oauth2/token beside its ceilings in one run: a token
// of ten groups in, STS at once, a record on disk first, credentials out, over
// kept-alive connections. Clients, stub and server share the machine.
func BenchmarkExchange(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		op := idptest.StartOP(b, time.Now)
		key := idptest.NewOPKey(b, alg)
		op.SetKeys(key)
		stsURL, calls := stubSTS(b)
		tokens := tokensOf(op, key)
		took := map[string]float64{}
		for _, row := range []struct {
			name string
			path http.Handler
		}{
			{"ceiling-audit", ceiling(b, key.Private.Public(), stsURL)},
			{"libs-audit", libs(b, op.Issuer, op.ClientID, stsURL)},
			{"rolecall", product(b, op, stsURL)},
		} {
			sent := &atomic.Int64{}
			b.Run(string(alg)+"/"+row.name, func(b *testing.B) {
				b.ReportAllocs()
				before := calls.Load()
				took[row.name] = load(b, row.path, tokens, sent)
				if asked := calls.Load() - before; asked < int64(b.N) {
					b.Errorf("%d calls of STS for %d exchanges: a cache answered", asked, b.N)
				}
				if row.name == "rolecall" {
					b.ReportMetric(took["libs-audit"]/took[row.name], "of-libs-audit")
					b.ReportMetric(took["ceiling-audit"]/took[row.name], "of-ceiling-audit")
				}
			})
		}
	}
}

// tokensOf signs tokens of ten groups; each is another one, so that no cache helps.
func tokensOf(op *idptest.OP, key idptest.OPKey) []string {
	groups := []string{"platform"}
	for i := range 9 {
		groups = append(groups, fmt.Sprintf("team-%d-of-the-example-corporation", i))
	}
	tokens := make([]string, 512)
	for i := range tokens {
		now := time.Now().Unix()
		tokens[i] = op.Sign(key, map[string]any{
			"iss": op.Issuer, "aud": op.ClientID, "sub": fmt.Sprintf("person-%d", i), "iat": now, "exp": now + 3600, "groups": groups,
			"email": "person@example.com", "name": strings.Repeat("x", 200), "jti": fmt.Sprint(i),
		}, nil)
	}
	return tokens
}

// load sends b.N requests over the connections and gives the nanoseconds of one.
// sent counts the requests of all its runs, so that none is repeated.
func load(b *testing.B, path http.Handler, tokens []string, sent *atomic.Int64) float64 {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "127.0.0.1:8443"
		path.ServeHTTP(w, r)
	}))
	defer server.Close()
	client := &http.Client{Transport: transport()}
	forms := make([]string, len(tokens))
	for i, token := range tokens {
		forms[i] = url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token}, "resource": {"production/Admin"},
			"subject_token_type":   {"urn:ietf:params:oauth:token-type:id_token"},
			"requested_token_type": {"urn:rolecall:params:oauth:token-type:aws-credentials"},
		}.Encode()
	}
	once := func() error {
		// Another token or another duration makes another order, which no cache answers.
		i := sent.Add(1)
		form := forms[i%int64(len(forms))] + "&duration=" + strconv.FormatInt(900+i/int64(len(forms))%2700, 10)
		resp, err := client.Post(server.URL+"/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		return err
	}
	if err := once(); err != nil { // keys are fetched, connections made
		b.Fatal(err)
	}
	var next atomic.Int64
	var group sync.WaitGroup
	latencies := make([]time.Duration, b.N)
	begun := time.Now()
	b.ResetTimer()
	for range connections {
		group.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				at := time.Now()
				if err := once(); err != nil {
					b.Error(err)
					return
				}
				latencies[i-1] = time.Since(at)
			}
		})
	}
	group.Wait()
	b.StopTimer()
	each := float64(time.Since(begun).Nanoseconds()) / float64(b.N)
	sort.Slice(latencies, func(i, j int) bool { return latencies[i] < latencies[j] })
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(1e9/each, "req/s")
	return each
}
