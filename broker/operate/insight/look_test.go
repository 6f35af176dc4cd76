package insight_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/idp"
)

func TestWhoHasSignedInIsFoundByWhatOneKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.signIn(t, alice)
	w.now = nine.Add(time.Minute)
	w.signIn(t, idp.Identity{Provider: "corp", Subject: "2", Username: "bob@example.com", Attributes: map[string][]string{"name": {"Bob Okafor"}}})
	w.signIn(t, alice)
	w.now = nine.Add(2 * time.Minute)
	w.signIn(t, idp.Identity{Provider: "corp", Subject: "2", Username: "bob@example.com", Attributes: map[string][]string{"name": {"Bob Okafor"}}})
	check(t, w.sessions.EndAll(t.Context(), "corp", "2"))
	for text, want := range map[string]string{"": "bob alice", "ALICE": "alice", "okafor": "bob", "platform": "alice", "198.51.100": "bob alice", "nobody": ""} {
		people, more, err := w.People(t.Context(), admin, text)
		check(t, err)
		var got []string
		for _, p := range people {
			got = append(got, strings.TrimSuffix(p.Username, "@example.com"))
		}
		if strings.Join(got, " ") != want || more {
			t.Errorf("%q: %v", text, got)
		}
	}
	people, _, err := w.People(t.Context(), admin, "")
	check(t, err)
	if bob, alice := people[0], people[1]; bob.Name != "Bob Okafor" || bob.Live != 0 || alice.Live != 2 || !alice.MFA || alice.Agent != "Firefox on Linux" || alice.Key() != "corp=1" || !alice.Last.Equal(nine.Add(time.Minute)) {
		t.Errorf("%+v", people)
	}
}

func TestAccessNamesWhoAndWhichRolesByEachGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	a, err := w.Access(t.Context(), admin)
	check(t, err)
	var got []string
	for _, g := range a.Grants {
		line := g.Name + ":"
		for _, n := range g.Who {
			line += " " + n.Kind + "=" + n.Name
		}
		line += " ->"
		for _, n := range g.Roles {
			line += " " + n.Kind + "=" + n.Name
		}
		got = append(got, line+" ("+strings.Join(g.Terms, ", ")+")")
	}
	want := []string{
		"deny-leavers: group=leavers -> roles=every role ()",
		"platform-admin: group=platform -> role=production/Admin (condition, two factors, 1 h)",
		"developers: group=developers group=platform -> role=development/Developer role=sandbox/Developer (keys only, 4 h, at most 8 h)",
		`by-convention: pattern=AWS-(?P<account>\d{12})-(?P<role>\w+) -> roles=arn:aws:iam::{{account}}:role/{{role}} (1 h)`,
		"root: user=root -> role=production/Admin (1 h)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if !a.Grants[0].Deny || a.Grants[1].When == "" || a.Digest != w.running.Policy.Digest() {
		t.Errorf("%+v", a)
	}
}

// examined is a provider that says what it is told to.
type examined struct {
	health idp.Health
	err    error
	asked  atomic.Int32
}

func (e *examined) Health() idp.Health { return e.health }
func (e *examined) Examine(ctx context.Context) error {
	e.asked.Add(1)
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("without an end")
	}
	return e.err
}

func certificate(t *testing.T, name string, ends time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: nine.AddDate(-1, 0, 0), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return cert
}

func TestHealthAsksEachProviderAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	good, down := &examined{health: idp.Health{Read: nine, Keys: 2}}, &examined{err: errors.New("connection refused")}
	w.running.Providers = []insight.Source{{ProviderInfo: broker.ProviderInfo{Name: "corp", Label: "Corp"}, Examined: good}, {ProviderInfo: broker.ProviderInfo{Name: "partner"}, Examined: down}, {ProviderInfo: broker.ProviderInfo{Name: "github"}}}
	for _, e := range []audit.Event{
		{Event: "signin", Outcome: audit.Granted, Provider: "corp"}, {Event: "signin", Outcome: audit.Granted, Provider: "corp"},
		{Event: "signin", Outcome: audit.Refused, Provider: "partner", Reason: "sha1", RequestID: "R1"}, {Event: "signin", Outcome: audit.Refused, Provider: "partner", Reason: "expired", RequestID: "R2", Count: 3},
		{Event: "credentials", Outcome: audit.Refused, Provider: "corp"}, {Event: "signin", Outcome: audit.Refused, Provider: "unknown"},
	} {
		check(t, w.log.Append(t.Context(), e))
	}
	h, err := w.Health(t.Context(), admin, false)
	check(t, err)
	if good.asked.Load() != 0 || h.Providers[1].Fault != "" {
		t.Errorf("nobody was to be asked: %+v", h)
	}
	for range 3 {
		h, err = w.Health(t.Context(), admin, true)
		check(t, err)
	}
	if good.asked.Load() != 1 || down.asked.Load() != 1 {
		t.Errorf("asked %d and %d times in a minute", good.asked.Load(), down.asked.Load())
	}
	corp, partner := h.Providers[0], h.Providers[1]
	if github := h.Providers[2]; !github.Static || github.Fault != "" {
		t.Errorf("a provider of which nothing is read: %+v", github)
	}
	if corp.Fault != "" || corp.SignIns != 2 || !corp.Last.Equal(nine) || !corp.Failed.IsZero() || corp.Keys != 2 || !h.Whole {
		t.Errorf("%+v", corp)
	}
	if partner.Fault != "connection refused" || partner.Refused != 4 || partner.Reason != "expired" || partner.RequestID != "R2" {
		t.Errorf("%+v", partner)
	}
	w.now = nine.Add(2 * time.Hour)
	h, err = w.Health(t.Context(), admin, true)
	check(t, err)
	if good.asked.Load() != 2 || h.Providers[0].SignIns != 0 || h.Providers[0].Last.IsZero() {
		t.Errorf("two hours later: %+v", h.Providers[0])
	}
}

func TestWhatRunsOutIsMarkedAt30And7And1Days(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	day := 24 * time.Hour
	w.running.TLS = certificate(t, "sso.example.com", nine.Add(6*day))
	w.running.Providers = []insight.Source{{ProviderInfo: broker.ProviderInfo{Name: "corp", Label: "Corp"}, Examined: &examined{health: idp.Health{
		Certificates: []*x509.Certificate{certificate(t, "old", nine.Add(20*day)), certificate(t, "next", nine.Add(700*day))},
		Encryption:   []*x509.Certificate{certificate(t, "ours", nine.Add(-day))},
		Signing:      []*x509.Certificate{certificate(t, "ours", nine.Add(23*time.Hour))},
	}}}}
	w.states = []keys.State{
		{KID: "k1", Algorithm: "ES256", Use: "id", From: nine.Add(-90 * day), Until: nine.Add(-time.Minute), Word: "active"},
		{KID: "k2", Algorithm: "RS256", Use: "id", From: nine.Add(-90 * day), Until: nine.Add(12 * time.Hour), Word: "active", Followed: true},
		{KID: "k3", Algorithm: "RS256", Use: "id", Word: "retired"},
	}
	h, err := w.Health(t.Context(), admin, false)
	check(t, err)
	var got []string
	for _, c := range h.Certificates {
		got = append(got, c.What+": "+c.Mark+" "+c.Note)
		if len(c.Fingerprint) != 64 && !strings.HasPrefix(c.What, "Token key") {
			t.Errorf("%s has the fingerprint %q", c.What, c.Fingerprint)
		}
	}
	want := []string{
		"Our SAML encryption, as Corp knows it: over ", "Token key ES256 (id), active: over no successor: the rotation does not run",
		"Token key RS256 (id), active:  its successor is published", "Our SAML signing, as Corp knows it: now ", "TLS of this server: near ",
		"Signs at Corp: soon its successor is known", "Signs at Corp:  ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestTheConfigurationAsItRunsHoldsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.running.NotTaken = &insight.NotTaken{At: nine, Why: "line 41: no such account"}
	w.running.Warnings.Add(w.running.Config.Providers[0].Pos, "something strange")
	c, err := w.Configuration(t.Context(), admin)
	check(t, err)
	text := ""
	for _, l := range c.Lines {
		text += l.Text + l.Secret + "\n"
	}
	if strings.Contains(text, "canary") || strings.Count(text, "secret, written in the file") != 2 {
		t.Errorf("the lines:\n%s", text)
	}
	if c.File != "rolecall.yaml" || len(c.Digest) != 64 || !c.Loaded.Equal(nine) || c.NotTaken == nil || len(c.Warnings) != 1 || c.Warnings[0] != "rolecall.yaml:3: something strange" {
		t.Errorf("%+v", c)
	}
}
