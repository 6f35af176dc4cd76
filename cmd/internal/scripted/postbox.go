package scripted

import (
	"fmt"
	"io"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Postbox is a mail server on loopback that keeps what comes.
type Postbox struct {
	// Address is HOST:PORT.
	Address string

	server *smtp.Server
	mu     sync.Mutex
	mails  []Mail
}

// Mail is one letter.
type Mail struct{ To, Subject, Text string }

// NewPostbox starts one; Close ends it.
func NewPostbox() (*Postbox, error) {
	p := &Postbox{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.Address = listener.Addr().String()
	p.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: p}, nil }))
	p.server.Domain = "localhost"
	go func() { _ = p.server.Serve(listener) }() // Close ends it
	return p, nil
}

// Close ends the server.
func (p *Postbox) Close() error { return p.server.Close() }

// delivery is one conversation.
type delivery struct {
	box *Postbox
	to  string
}

func (d *delivery) Reset()                               { d.to = "" }
func (d *delivery) Logout() error                        { return nil }
func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(body), "=\r\n", ""), "\r\n", "\n") // quoted-printable, as far as our letters go
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.mails = append(d.box.mails, Mail{To: d.to, Subject: m.Header.Get("Subject"), Text: text})
	return nil
}

// All are the letters that have come.
func (p *Postbox) All() []Mail {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Mail{}, p.mails...)
}

// Next waits for the letter after the first n.
func (p *Postbox) Next(n int) (Mail, error) {
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		if all := p.All(); len(all) > n {
			return all[n], nil
		}
	}
	return Mail{}, fmt.Errorf("letter %d never came", n+1)
}

var codeLine = regexp.MustCompile(`(?m)^    ([A-Z2-7]{4}-[A-Z2-7]{4})$`)

// Code is the code that a letter brings, "" for none.
func (m Mail) Code() string {
	found := codeLine.FindStringSubmatch(m.Text)
	if found == nil {
		return ""
	}
	return found[1]
}
