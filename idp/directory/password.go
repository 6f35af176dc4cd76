package directory

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/secure/precis"

	"github.com/rolecall/rolecall/config/secret"
)

// maxPassword bounds what is hashed, in bytes; a sentence fits.
const maxPassword = 1024

// parameters are those that OWASP recommends first for argon2id: 19 MiB, two
// passes, one lane (RFC 9106 section 4 gives the trade). A hash carries its own, and
// is made anew at the next login where these have changed.
func parameters() *argon2id.Params {
	return &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// nobodysHash is what a password is compared with where there is nobody: the
// parameters are those of everybody, the key is all zeros and matches nothing.
func nobodysHash() string {
	p := parameters()
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.Memory, p.Iterations, p.Parallelism, strings.Repeat("A", 22), strings.Repeat("A", 43))
}

// Weak says why a password is not taken; it may be shown to who chose it.
type Weak struct{ Why string }

// Error implements error.
func (w *Weak) Error() string { return "the password is not taken: " + w.Why }

// prepare is the form in which passwords are compared: the OpaqueString profile
// (RFC 8265) as NIST SP 800-63B wants, so that the same keys pressed on another
// keyboard give the same password.
func prepare(password secret.String) (string, error) {
	text := password.Reveal()
	if len(text) > maxPassword {
		return "", &Weak{fmt.Sprintf("it is longer than %d bytes", maxPassword)}
	}
	if !utf8.ValidString(text) {
		return "", &Weak{"it is not UTF-8 text"}
	}
	prepared, err := precis.OpaqueString.String(text)
	if err != nil {
		return "", &Weak{"it holds control characters or characters that no keyboard has"}
	}
	return prepared, nil
}

// Acceptable says whether a password may be chosen by somebody of that address.
// Length counts, composition does not (NIST SP 800-63B section 3.1.1.2).
func (d *Directory) Acceptable(email string, password secret.String) error {
	prepared, err := prepare(password)
	if err != nil {
		return err
	}
	least := max(d.cfg.Provider.Password.MinLength, 8)
	if n := utf8.RuneCountInString(prepared); n < least {
		return &Weak{fmt.Sprintf("it has %d characters; %d are the least", n, least)}
	}
	folded := strings.ToLower(prepared)
	local, domain, _ := strings.Cut(strings.ToLower(email), "@")
	for _, own := range []string{email, local, domain, d.name, "rolecall"} {
		if own = strings.ToLower(own); len(own) >= 3 && strings.Contains(folded, own) && meager(strings.ReplaceAll(folded, own, "")) {
			return &Weak{"it is little more than the address or the name of this service"}
		}
	}
	if d.denied[folded] || d.denied[core(folded)] || meager(folded) {
		return &Weak{"it is among the passwords that are tried first; take a few words that do not belong together"}
	}
	return nil
}

// core is what is left of a password without the decoration that rules have taught
// people: digits and signs at the ends, and digits that stand for letters.
func core(folded string) string {
	trimmed := strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	return strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "!", "i").Replace(trimmed)
}

// meager says that a text has next to nothing in it: few different characters, one
// piece again and again, or a walk along the alphabet or the digits.
func meager(s string) bool {
	runes := []rune(s)
	different := map[rune]bool{}
	steps := 0
	for i, r := range runes {
		different[r] = true
		if i > 0 && (r-runes[i-1] == 1 || r-runes[i-1] == -1 || r == runes[i-1]) {
			steps++
		}
	}
	if len(different) < 4 || steps*4 >= len(runes)*3 {
		return true
	}
	for size := 1; size <= len(runes)/3; size++ {
		if strings.HasPrefix(strings.Repeat(string(runes[:size]), len(runes)/size+1), s) {
			return true
		}
	}
	return false
}

//go:embed denied.txt
var deniedText string

// deniedPasswords are those that attackers try first, as they stand in lists of
// breaches, at least as long as can be chosen here, and the cores of decorated ones.
func deniedPasswords() map[string]bool {
	denied := map[string]bool{}
	for line := range strings.Lines(deniedText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			denied[line] = true
		}
	}
	return denied
}

// newPassword judges and hashes.
func (d *Directory) newPassword(email string, password secret.String) (string, error) {
	if err := d.Acceptable(email, password); err != nil {
		return "", err
	}
	prepared, err := prepare(password)
	if err != nil {
		return "", err
	}
	return argon2id.CreateHash(prepared, parameters())
}

// Check gives the person whom an address and a password prove. Whoever is not here,
// is barred or has no password costs the same work and gets the same ErrWrong.
func (d *Directory) Check(ctx context.Context, email string, password secret.String) (Person, error) {
	name, err := ParseEmail(email)
	if err != nil {
		name = "" // nobody; the work is done all the same
	}
	e, found, err := d.maybe(ctx, name)
	if err != nil {
		return Person{}, err
	}
	return d.compare(ctx, e, found && !e.Person.Disabled, password)
}

// maybe finds somebody who may not be there.
func (d *Directory) maybe(ctx context.Context, name string) (e entry, found bool, err error) {
	e, err = d.find(ctx, "", name)
	switch {
	case errors.Is(err, ErrNotFound):
		return entry{}, false, nil
	case err != nil:
		return entry{}, false, err
	}
	return e, true, nil
}

// compare computes one hash whoever it is, and another one where the parameters
// have changed since.
func (d *Directory) compare(ctx context.Context, e entry, may bool, password secret.String) (Person, error) {
	prepared, weak := prepare(password)
	hash := d.nobody
	if may && e.secrets.Password != "" && weak == nil {
		hash = e.secrets.Password
	}
	match, used, err := argon2id.CheckHash(prepared, hash)
	if err != nil {
		return Person{}, fmt.Errorf("directory %s: the stored password of %s: %w", d.name, e.row.ID, err)
	}
	if !match || hash == d.nobody {
		return Person{}, ErrWrong
	}
	if *used == *parameters() {
		return e.person(), nil
	}
	anew, err := argon2id.CreateHash(prepared, parameters())
	if err != nil {
		return Person{}, err
	}
	return d.change(ctx, e.row.ID, func(now *entry) error {
		if now.secrets.Password == hash { // nobody has set another one meanwhile
			now.secrets.Password = anew
		}
		return nil
	})
}

// Confirmed reports whether the password is that of a person who is known already.
func (d *Directory) Confirmed(ctx context.Context, id string, password secret.String) error {
	e, err := d.find(ctx, id, "")
	if err != nil {
		return err
	}
	_, err = d.compare(ctx, e, !e.Person.Disabled, password)
	return err
}

// SetPassword replaces a person's password.
func (d *Directory) SetPassword(ctx context.Context, id string, password secret.String) (Person, error) {
	e, err := d.find(ctx, id, "")
	if err != nil {
		return Person{}, err
	}
	hash, err := d.newPassword(e.Person.Email, password)
	if err != nil {
		return Person{}, err
	}
	return d.change(ctx, id, func(e *entry) error {
		e.secrets.Password, e.Person.Changed = hash, d.now()
		return nil
	})
}

// ChangePassword is SetPassword for somebody who shows the current one.
func (d *Directory) ChangePassword(ctx context.Context, id string, current, next secret.String) (Person, error) {
	if err := d.Confirmed(ctx, id, current); err != nil {
		return Person{}, err
	}
	return d.SetPassword(ctx, id, next)
}
