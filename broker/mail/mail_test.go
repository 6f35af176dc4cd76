package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

// server is a real SMTP server on loopback; refuse answers letters while it is not nil.
type server struct {
	mu      sync.Mutex
	letters []received
	refuse  []error
	auth    string
}

type received struct{ from, to, text string }

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }

type session struct {
	*server
	received
	as string
}

func (s *session) Reset()        { s.received = received{} }
func (s *session) Logout() error { return nil }
func (s *session) AuthMechanisms() []string {
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username+":"+password != s.auth {
			return errors.New("wrong")
		}
		s.as = username
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = to; return nil }
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refuse) > 0 {
		err, s.refuse = s.refuse[0], s.refuse[1:]
		return err
	}
	if s.auth != "" && s.as == "" {
		return errors.New("not signed in")
	}
	s.text = string(text)
	s.letters = append(s.letters, s.received)
	return nil
}

func (s *server) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received{}, s.letters...)
}

// start serves on loopback with a certificate of its own and gives the section that
// speaks to it.
func (s *server) start(t *testing.T, mode string) config.Mail {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	serving := smtp.NewServer(s)
	serving.Domain, serving.ErrorLog, serving.AllowInsecureAuth = "localhost", discard{}, mode == "none"
	own := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	switch mode {
	case "starttls":
		serving.TLSConfig = own
	case "implicit":
		listener = tls.NewListener(listener, own)
	}
	go func() { _ = serving.Serve(listener) }()
	t.Cleanup(func() { _ = serving.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	return config.Mail{SMTP: text("localhost:" + port), From: text("rolecall@example.com"), TLS: text(mode), CAFile: ca}
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

func text(s string) config.Text { return config.Text{Value: s} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestALetterArrivesByEachWayOfEncryption(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"starttls", "implicit", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := &server{}
			c := s.start(t, mode)
			if mode != "none" { // a password goes through encryption only
				s.auth, c.Username, c.Password = "broker:hunter2", "broker", secret.New("hunter2")
			}
			sender, err := NewSMTP(c)
			must(t, err)
			must(t, sender.Send(t.Context(), Letter{To: "ann@example.org", Subject: "Your code", Text: "ABCD-EFGH\n.\nend"}))
			got := s.got()
			if len(got) != 1 || got[0].from != "rolecall@example.com" || got[0].to != "ann@example.org" {
				t.Fatalf("got %+v", got)
			}
			m, err := mail.ReadMessage(strings.NewReader(got[0].text))
			must(t, err)
			body, err := io.ReadAll(m.Body)
			must(t, err)
			if m.Header.Get("Subject") != "Your code" || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-Id") == "" ||
				!strings.HasPrefix(m.Header.Get("Content-Type"), "text/plain") || strings.TrimSpace(strings.ReplaceAll(string(body), "\r", "")) != "ABCD-EFGH\n.\nend" {
				t.Errorf("got %v\n%s", m.Header, body)
			}
		})
	}
}

// A server in the middle that takes STARTTLS out of the greeting gets no letter, and
// one without our certificate neither.
func TestNoLetterLeavesInTheClearWhereTLSIsAsked(t *testing.T) {
	t.Parallel()
	s := &server{}
	c := s.start(t, "none")
	c.TLS = text("starttls")
	sender, err := NewSMTP(c)
	must(t, err)
	if err := sender.Send(t.Context(), Letter{To: "ann@example.org"}); err == nil {
		t.Error("sent without STARTTLS")
	}
	other := &server{}
	c = other.start(t, "starttls")
	c.CAFile = ""
	sender, err = NewSMTP(c)
	must(t, err)
	if err := sender.Send(t.Context(), Letter{To: "ann@example.org"}); err == nil {
		t.Error("sent to a server whose certificate nobody vouches for")
	}
	if len(s.got())+len(other.got()) > 0 {
		t.Error("a letter arrived")
	}
}

func TestWhatTheSectionMustSay(t *testing.T) {
	t.Parallel()
	good := config.Mail{SMTP: text("smtp.example.com:587"), From: text("a@example.com"), TLS: text("starttls")}
	for name, change := range map[string]func(*config.Mail){
		"no port":                       func(m *config.Mail) { m.SMTP = text("smtp.example.com") },
		"no host":                       func(m *config.Mail) { m.SMTP = text(":25") },
		"a port that is none":           func(m *config.Mail) { m.SMTP = text("smtp.example.com:70000") },
		"no sender":                     func(m *config.Mail) { m.From = text("") },
		"a sender that is no address":   func(m *config.Mail) { m.From = text("rolecall") },
		"a second header in the sender": func(m *config.Mail) { m.From = text("a@example.com\r\nBcc: b@example.com") },
		"no encryption to far away":     func(m *config.Mail) { m.TLS = text("none") },
		"a password in the clear": func(m *config.Mail) {
			m.SMTP, m.TLS, m.Username = text("127.0.0.1:25"), text("none"), "broker"
		},
		"no certificates in the file": func(m *config.Mail) { m.CAFile = "mail.go" },
	} {
		c := good
		change(&c)
		if _, err := NewSMTP(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := NewSMTP(good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func run(t *testing.T, o *Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { o.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func newOutbox(t *testing.T, s *server) *Outbox {
	t.Helper()
	sender, err := NewSMTP(s.start(t, "none"))
	must(t, err)
	o := NewOutbox(sender, slog.New(slog.DiscardHandler))
	o.wait = func(int) time.Duration { return time.Millisecond }
	return o
}

func TestALetterIsTriedAgainWhileTheServerSaysLater(t *testing.T) {
	t.Parallel()
	later := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}
	never := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody"}
	s := &server{refuse: []error{later, later, never}}
	o := newOutbox(t, s)
	defer run(t, o)()
	must(t, o.Post(Letter{To: "ann@example.org", Subject: "never"}))
	until(t, "the refusals were not all used", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.refuse) == 0 })
	must(t, o.Post(Letter{To: "ann@example.org", Subject: "now"}))
	until(t, "no letter", func() bool { return len(s.got()) == 1 })
	if got := s.got()[0].text; !strings.Contains(got, "Subject: now") {
		t.Errorf("got %s", got)
	}
}

func TestWhatWaitsIsSentWhenTheProcessEnds(t *testing.T) {
	t.Parallel()
	s := &server{}
	o := newOutbox(t, s)
	for range 10 {
		must(t, o.Post(Letter{To: "ann@example.org"}))
	}
	must(t, o.Post(Letter{})) // to nobody
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.Run(ctx)
	if n := len(s.got()); n != 10 {
		t.Errorf("%d of 10 were sent", n)
	}
}

func TestAFullOutboxSaysSoAtOnce(t *testing.T) {
	t.Parallel()
	o := NewOutbox(nil, slog.New(slog.DiscardHandler))
	for range queue {
		must(t, o.Post(Letter{To: "ann@example.org"}))
	}
	if err := o.Post(Letter{}); !errors.Is(err, ErrFull) { // a letter to nobody takes a place, too: the answer tells nothing
		t.Errorf("got %v", err)
	}
}
