package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp/idptest"
)

const (
	connections = 16 // how many clients wait at a time
	rounds      = 5  // in each, the rows run in turn
)

// BenchmarkExchange puts POST /oauth2/token beside its ceilings in one run: a token
// of ten groups in, STS at once, a record on disk first, credentials out, over
// kept-alive connections. Clients, stub and servers share the machine; CPU and
// allocations are the server's alone. Figures are medians of the rounds.
func BenchmarkExchange(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		b.Run(string(alg), func(b *testing.B) {
			stsURL, calls := stubSTS(b)
			compare(b, alg, stsURL, url.Values{"resource": {"production/Admin"}, "requested_token_type": {"urn:rolecall:params:oauth:token-type:aws-credentials"}})
			if asked, sent := calls.Load(), int64(3*b.N); asked < sent {
				b.Errorf("%d calls of STS for %d exchanges: a cache answered", asked, sent)
			}
		})
	}
}

// BenchmarkExchangeForToken is the exchange for a token of the broker, which no STS
// is asked for. The broker alone keeps something: a family of tokens in the store.
func BenchmarkExchangeForToken(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		b.Run(string(alg), func(b *testing.B) { compare(b, alg, "", nil) })
	}
}

// compare runs b.N requests at each row, in rounds, and reports ratios.
func compare(b *testing.B, alg jose.SignatureAlgorithm, stsURL string, form url.Values) {
	b.Helper()
	op := idptest.StartOP(b, time.Now)
	key := idptest.NewOPKey(b, alg)
	op.SetKeys(key)
	forms := formsOf(tokensOf(op, key), form)
	rows := map[string]*row{}
	names := []string{"ceiling", "libs", "rolecall"}
	for _, name := range names {
		rows[name] = &row{server: start(b, name, op, key, stsURL), forms: forms, client: &http.Client{Transport: transport()}}
		if err := rows[name].once(); err != nil { // keys are fetched, connections made
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range rounds {
		for _, name := range names {
			rows[name].load(b, max(1, b.N/rounds))
		}
	}
	b.StopTimer()
	own := rows["rolecall"].median()
	for _, name := range names {
		m := rows[name].median()
		b.ReportMetric(m.cpu, name+"-cpu-us")
		b.ReportMetric(m.mallocs, name+"-allocs")
		if name != "rolecall" {
			b.ReportMetric(m.each/own.each, "rate/"+name)
			b.ReportMetric(own.cpu/m.cpu, "cpu/"+name)
			b.ReportMetric(own.p99/m.p99, "p99/"+name)
		}
	}
	b.ReportMetric(1e6/own.each, "req/s")
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

func formsOf(tokens []string, more url.Values) []string {
	forms := make([]string, len(tokens))
	for i, token := range tokens {
		form := url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
		}
		for name, values := range more {
			form[name] = values
		}
		forms[i] = form.Encode()
	}
	return forms
}

// row is one server and what its rounds measured.
type row struct {
	server server
	client *http.Client
	forms  []string
	sent   atomic.Int64
	rounds []figures
}

// figures of one request: microseconds, and allocations.
type figures struct{ each, p99, cpu, mallocs float64 }

// once sends the next request. Another token or another duration makes another
// order, which no cache answers.
func (r *row) once() error {
	i := r.sent.Add(1)
	form := r.forms[i%int64(len(r.forms))]
	if strings.Contains(form, "resource=") {
		form += "&duration=" + strconv.FormatInt(900+i/int64(len(r.forms))%2700, 10)
	}
	resp, err := r.client.Post(r.server.url+"/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader(form))
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

// load sends n requests over the connections.
func (r *row) load(b *testing.B, n int) {
	b.Helper()
	before := r.server.cost(b)
	var next atomic.Int64
	var group sync.WaitGroup
	latencies := make([]time.Duration, n)
	begun := time.Now()
	for range connections {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				at := time.Now()
				if err := r.once(); err != nil {
					b.Error(err)
					return
				}
				latencies[i-1] = time.Since(at)
			}
		})
	}
	group.Wait()
	took, after := time.Since(begun), r.server.cost(b)
	slices.Sort(latencies)
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
	r.rounds = append(r.rounds, figures{
		each: each(took), p99: float64(latencies[n*99/100].Microseconds()),
		cpu: each(after.CPU - before.CPU), mallocs: float64(after.Mallocs-before.Mallocs) / float64(n),
	})
}

func (r *row) median() figures {
	middle := func(of func(figures) float64) float64 {
		var all []float64
		for _, f := range r.rounds {
			all = append(all, of(f))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return figures{
		middle(func(f figures) float64 { return f.each }), middle(func(f figures) float64 { return f.p99 }),
		middle(func(f figures) float64 { return f.cpu }), middle(func(f figures) float64 { return f.mallocs }),
	}
}
