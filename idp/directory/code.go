package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrWrong says that what somebody showed does not prove who they are. It says no
// more: not which part was wrong, nor whether there is such a person.
var ErrWrong = errors.New("the address, password or code is wrong, or the code has expired")

// What codes are for.
const (
	forRegister = "register"
	forReset    = "reset"
	forInvite   = "invite"
	forEmail    = "email"
)

// Lives and bounds of codes.
const (
	codeLife    = 15 * time.Minute // of a code from a mail
	inviteLife  = 24 * time.Hour   // of a link from an operator
	codeTries   = 5
	codeLetters = 8
)

// out is a code that is out, and what it will do.
type out struct {
	For    string `json:"for"`
	Holder string `json:"-"`
	Name   string `json:"name"`
	Person string `json:"person,omitempty"`
	// Password is the hash that a registration brings.
	Password string `json:"password,omitempty"`
	// Void is a row that stands for nothing, so that writing it tells nobody anything.
	Void bool   `json:"void,omitempty"`
	Code string `json:"code"`
}

func (o out) key(directory string) [32]byte {
	text, _ := json.Marshal([]string{directory, o.For, o.Holder, o.Name, o.personKey()}) // strings always encode
	return sha256.Sum256(text)
}

// personKey binds a change of address to whose it is; the others are found by
// address alone.
func (o out) personKey() string {
	if o.For == forEmail {
		return o.Person
	}
	return ""
}

// keep makes a code, keeps it and gives it. An earlier one for the same is replaced.
func (d *Directory) keep(ctx context.Context, o out) (string, error) {
	code, life, tries := newCode(), codeLife, codeTries
	if o.For == forInvite {
		code, life = newSecret(), inviteLife
	}
	o.Code = hashCode(code)
	plain, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode a code: %w", err)
	}
	key := o.key(d.name)
	row := CodeRow{
		Key: key, Directory: d.name, Person: o.Person, Tries: tries, Expires: d.now().Add(life),
		Data: d.cfg.Sealer.Seal(plain, codePlace(key)),
	}
	if err := d.cfg.Store.PutPersonCode(ctx, row); err != nil {
		return "", fmt.Errorf("directory %s: keep a code: %w", d.name, err)
	}
	return code, nil
}

func codePlace(key [32]byte) string { return "code/" + base64.RawURLEncoding.EncodeToString(key[:]) }

// take spends a try at a code, and the code where it is right.
func (d *Directory) take(ctx context.Context, o out, code string) (out, error) {
	key := o.key(d.name)
	row, err := d.cfg.Store.TryPersonCode(ctx, key, d.now())
	if errors.Is(err, ErrNotFound) {
		return out{}, ErrWrong
	}
	if err != nil {
		return out{}, fmt.Errorf("directory %s: read a code: %w", d.name, err)
	}
	plain, err := d.cfg.Sealer.Open(row.Data, codePlace(key))
	if err != nil {
		return out{}, fmt.Errorf("directory %s: a code: %w", d.name, err)
	}
	found := out{Holder: o.Holder}
	if err := json.Unmarshal(plain, &found); err != nil {
		return out{}, fmt.Errorf("directory %s: a code cannot be read: %w", d.name, err)
	}
	if subtle.ConstantTimeCompare([]byte(found.Code), []byte(hashCode(cleanCode(code, o.For == forInvite)))) != 1 || found.Void {
		return out{}, ErrWrong
	}
	switch won, err := d.cfg.Store.TakePersonCode(ctx, key, row.Data); {
	case err != nil:
		return out{}, fmt.Errorf("directory %s: take a code: %w", d.name, err)
	case !won:
		return out{}, ErrWrong
	}
	return found, nil
}

// newCode makes eight of A-Z and 2-7: 40 bits, and five tries.
func newCode() string { return rand.Text()[:codeLetters] }

// newSecret makes 256 random bits for a link.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashCode(code string) string {
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// cleanCode is what counts of a code that somebody typed: no spaces and hyphens,
// capital letters, and the letters for the digits that no code has (0, 1, 8). Of a
// link's secret every letter counts.
func cleanCode(typed string, link bool) string {
	if len(typed) > 128 {
		return ""
	}
	if link {
		return typed
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(typed) {
		if r == ' ' || r == '-' || r == '\u00A0' || r == '\t' {
			continue
		}
		if i := strings.IndexRune("018", r); i >= 0 {
			r = rune("OIB"[i])
		}
		b.WriteRune(r)
	}
	return b.String()
}
