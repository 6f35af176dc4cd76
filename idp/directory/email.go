package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/rolecall/rolecall/config"
)

// ErrEmail says that a text is no address that mail can be sent to.
var ErrEmail = errors.New("no e-mail address")

// ParseEmail reads one address (RFC 5321 dot-string, no comments, no quoting) and
// gives the form in which addresses are compared: all in lower case, the domain in
// ASCII. Two letters that only look alike stay two: a local part outside ASCII is
// refused, a domain outside it becomes punycode.
func ParseEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > 254 {
		return "", fmt.Errorf("%w: longer than 254 characters", ErrEmail)
	}
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at == len(text)-1 {
		return "", fmt.Errorf("%w: want name@example.com", ErrEmail)
	}
	local, domain := strings.ToLower(text[:at]), text[at+1:]
	if len(local) > 64 || strings.ContainsFunc(local, notAtom) || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", fmt.Errorf("%w: the part before the @ has characters that are not taken here", ErrEmail)
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err == nil { // what is no domain of its own does not become one
		domain = ascii
		ascii, err = idna.Lookup.ToASCII(domain)
	}
	if err != nil || ascii != domain || !utf8.ValidString(text) || !domainLike(ascii) {
		return "", fmt.Errorf("%w: the part after the @ is no domain", ErrEmail)
	}
	name := local + "@" + ascii
	if len(name) > 254 {
		return "", fmt.Errorf("%w: longer than 254 characters", ErrEmail)
	}
	return name, nil
}

func notAtom(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+/=?^_`{|}~.-", r)
}

// domainLike wants two labels at least: mail for a bare host is never for people.
func domainLike(domain string) bool {
	labels := strings.Split(domain, ".")
	if len(labels) < 2 {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") ||
			strings.ContainsFunc(l, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
	})
}

// mayRegister reports whether people with the address may register by themselves.
func (d *Directory) mayRegister(name string) bool {
	domains := d.cfg.Provider.RegistrationDomains
	domain := name[strings.LastIndexByte(name, '@')+1:]
	return len(domains) == 0 || slices.ContainsFunc(domains, func(t config.Text) bool { return t.Value == domain })
}

// AskEmail gives the letter with a code for another address of a person. Where the
// address is somebody's, the letter says so to them, and the answer is the same.
func (d *Directory) AskEmail(ctx context.Context, id, holder, email string) (Letter, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Letter{}, err
	}
	_, known, err := d.maybe(ctx, name)
	if err != nil {
		return Letter{}, err
	}
	letter := Letter{To: name, kind: letterEmail, from: d.cfg.Provider.Label}
	switch {
	case known:
		letter.kind = letterKnown
	case !d.mayRegister(name):
		letter.To = ""
	}
	void := known || letter.To == ""
	letter.code, err = d.keep(ctx, out{For: forEmail, Holder: holder, Name: name, Person: id, Void: void})
	return letter, err
}

// ConfirmEmail moves a person to the address that the code was sent to, and gives
// the address that they had.
func (d *Directory) ConfirmEmail(ctx context.Context, id, holder, email, code string) (p Person, before string, err error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Person{}, "", err
	}
	if _, err := d.take(ctx, out{For: forEmail, Holder: holder, Name: name, Person: id}, code); err != nil {
		return Person{}, "", err
	}
	p, err = d.change(ctx, id, func(e *entry) error { before, e.Person.Email = e.Person.Email, name; return nil })
	if errors.Is(err, ErrTaken) { // by somebody who confirmed it meanwhile
		return Person{}, "", ErrWrong
	}
	return p, before, err
}
