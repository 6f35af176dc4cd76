// Package mail lets letters leave by SMTP. Whoever posts a letter does not wait for
// it: how long a mail server takes, and whether it takes the letter, must not tell
// who asked whether somebody has an account here.
//
//	Outbox.Post -> a bounded queue -> Run -> SMTP, tried again a few times -> gone, and logged
//
// The queue is of this process: what waits at a kill is lost, and people ask again.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/rolecall/rolecall/config"
)

// ErrFull says that too many letters wait.
var ErrFull = errors.New("the outbox is full: the mail server takes letters more slowly than they come")

// Bounds of the outbox.
const (
	queue   = 512
	workers = 2
	tries   = 4
	// one attempt
	timeout = 20 * time.Second
	// how long what waits may take when the process ends
	grace = 5 * time.Second
)

// Letter is one mail, plain text.
type Letter struct {
	To, Subject, Text string
	// RequestID is for the log; the address is not.
	RequestID string
}

// Sender hands one letter to a mail server.
type Sender interface {
	Send(ctx context.Context, letter Letter) error
}

// Outbox sends letters in the background. It is safe for concurrent use.
type Outbox struct {
	sender Sender
	log    *slog.Logger
	wait   func(try int) time.Duration
	queue  chan Letter
}

// NewOutbox makes an Outbox; Run sends what is posted.
func NewOutbox(sender Sender, log *slog.Logger) *Outbox {
	return &Outbox{
		sender: sender, log: log, queue: make(chan Letter, queue),
		wait: func(try int) time.Duration { return time.Duration(1<<(2*try)) * time.Second }, // 1, 4, 16 s
	}
}

// Post takes a letter to be sent, or ErrFull at once. A letter to nobody is taken
// and forgotten.
func (o *Outbox) Post(letter Letter) error {
	select {
	case o.queue <- letter:
		return nil
	default:
		return ErrFull
	}
}

// Run sends until ctx ends, and then for a few seconds what still waits.
func (o *Outbox) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for range workers {
		group.Go(func() { o.work(ctx) })
	}
}

func (o *Outbox) work(ctx context.Context) {
	for {
		select {
		case letter := <-o.queue:
			o.deliver(ctx, letter)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			for {
				select {
				case letter := <-o.queue:
					o.deliver(last, letter)
				default:
					return
				}
			}
		}
	}
}

func (o *Outbox) deliver(ctx context.Context, letter Letter) {
	if letter.To == "" {
		return
	}
	for try := range tries {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		err := o.sender.Send(attempt, letter)
		cancel()
		if err == nil {
			return
		}
		if permanent(err) || try == tries-1 || !pause(ctx, o.wait(try)) {
			o.log.Error("a mail was not sent", "request_id", letter.RequestID, "subject", letter.Subject, "tries", try+1, "error", err)
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// permanent reports whether the server said that it will never take the letter.
func permanent(err error) bool {
	sent, ok := errors.AsType[*gomail.SendError](err)
	return ok && !sent.IsTemp() && sent.ErrorCode() >= 500
}

// SMTP is a Sender that speaks to one server.
type SMTP struct {
	config config.Mail
	host   string
	port   int
	roots  *x509.CertPool
}

// NewSMTP judges the section; its error is a config.Faults.
func NewSMTP(c config.Mail) (*SMTP, error) {
	s := &SMTP{config: c}
	var faults config.Faults
	host, port, err := net.SplitHostPort(c.SMTP.Value)
	if err == nil {
		s.host = host
		s.port, err = strconv.Atoi(port)
	}
	if err != nil || s.host == "" || s.port < 1 || s.port > 65535 {
		faults.Add(c.SMTP.Pos, "mail.smtp: %q is not HOST:PORT such as smtp.example.com:587", c.SMTP.Value)
	}
	if err := gomail.NewMsg().From(c.From.Value); err != nil {
		faults.Add(c.From.Pos, "mail.from: %q is no address such as rolecall@example.com", c.From.Value)
	}
	if c.TLS.Value == "none" && !loopback(s.host) {
		faults.Add(c.TLS.Pos, "mail.tls: none would send codes in the clear to %s; it is for loopback only", s.host)
	}
	if c.TLS.Value == "none" && c.Username != "" {
		faults.Add(c.TLS.Pos, "mail.tls: none would send the password of %s in the clear; use starttls or implicit", c.Username)
	}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		s.roots, _ = x509.SystemCertPool()
		if s.roots == nil {
			s.roots = x509.NewCertPool()
		}
		if err != nil || !s.roots.AppendCertsFromPEM(text) {
			faults.Add(c.SMTP.Pos, "mail.ca_file: %s holds no certificate in PEM that can be read", c.CAFile)
		}
	}
	return s, faults.Err()
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// Send implements Sender.
func (s *SMTP) Send(ctx context.Context, letter Letter) error {
	m := gomail.NewMsg()
	if err := m.From(s.config.From.Value); err != nil {
		return fmt.Errorf("mail.from: %w", err)
	}
	if err := m.To(letter.To); err != nil {
		return errors.New("the recipient's address cannot be used") // the library's error quotes it
	}
	m.Subject(letter.Subject)
	m.SetDate()
	m.SetMessageID()
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	m.SetBodyString(gomail.TypeTextPlain, letter.Text)
	client, err := s.client()
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, m)
}

func (s *SMTP) client() (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(timeout), gomail.WithoutNoop(),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}),
	}
	switch s.config.TLS.Value {
	case "implicit":
		options = append(options, gomail.WithSSL())
	case "none":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.config.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.config.Username), gomail.WithPassword(s.config.Password.Reveal()))
	}
	return gomail.NewClient(s.host, options...)
}
