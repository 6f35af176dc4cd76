package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// Config is what a Directory is made of. Store, Sealer and Now are required.
type Config struct {
	Provider config.Provider
	// URL is server.url: its host is the relying party of passkeys by default.
	URL    string
	Store  Store
	Sealer Sealer
	Now    func() time.Time
}

// Directory is one user directory. It is safe for concurrent use and keeps nothing
// itself: any node may answer any request. What hashes a password takes 20 ms and
// 19 MiB: whoever calls sees to it that not too many do at once.
type Directory struct {
	cfg      Config
	name     string
	webauthn *webauthn.WebAuthn
	denied   map[string]bool
	nobody   string // the hash that a password of nobody is compared with
}

// New makes a Directory. It does no I/O.
func New(c Config) (*Directory, error) {
	d := &Directory{cfg: c, name: c.Provider.Name.Value, denied: deniedPasswords()}
	var err error
	if d.webauthn, err = d.relyingParty(); err != nil {
		return nil, err
	}
	d.nobody = nobodysHash()
	return d, nil
}

// relyingParty is who we are for passkeys.
func (d *Directory) relyingParty() (*webauthn.WebAuthn, error) {
	keys := d.cfg.Provider.Passkeys
	public, err := url.Parse(d.cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("server.url: %w", err)
	}
	c := &webauthn.Config{
		RPID: keys.RPID.Value, RPDisplayName: d.cfg.Provider.Label,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		AttestationPreference: protocol.PreferNoAttestation,
	}
	if c.RPID == "" {
		c.RPID = public.Hostname()
	}
	c.RPOrigins = []string{d.cfg.URL}
	for _, o := range keys.Origins {
		if strings.Contains(o.Value, "://") {
			c.RPOrigins = append(c.RPOrigins, o.Value)
		} else {
			c.RPOpaqueOrigins = append(c.RPOpaqueOrigins, o.Value)
		}
	}
	// A relying party must be a domain: at an address there are no passkeys.
	if protocol.ValidateRPID(c.RPID) != nil && keys.RPID.Value == "" {
		return nil, nil //nolint:nilnil // a directory without passkeys
	}
	made, err := webauthn.New(c)
	if err != nil {
		return nil, config.Faults{{Pos: d.cfg.Provider.Pos, Message: "providers[].passkeys: " + err.Error()}}
	}
	return made, nil
}

// Name is the provider's.
func (d *Directory) Name() string { return d.name }

// HasPasskeys reports whether there can be any: the relying party is a domain.
func (d *Directory) HasPasskeys() bool { return d.webauthn != nil }

// Open reports whether people may register by themselves.
func (d *Directory) Open() bool { return d.cfg.Provider.Registration.Value == "open" }

// Person is somebody in the directory.
type Person struct {
	// ID is stable, random, and the subject of their identity.
	ID string `json:"id"`
	// Email is the address as it is compared: in lower case.
	Email    string    `json:"email"`
	Groups   []string  `json:"groups"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	// Changed is when the password was set last; zero where there is none.
	Changed  time.Time `json:"password_changed,omitzero"`
	TOTP     bool      `json:"totp"`
	Recovery int       `json:"recovery_codes"` // that are left
	Passkeys []Passkey `json:"passkeys"`
}

// Identity is who a person is once they have shown methods.
func (d *Directory) Identity(p Person, methods []string) idp.Identity {
	return idp.Identity{
		Provider: d.name, Subject: p.ID, Username: p.Email, Groups: slices.Clone(p.Groups),
		Attributes: map[string][]string{"email": {p.Email}}, Methods: methods, AuthenticatedAt: d.cfg.Now().UTC(),
	}
}

// entry is a person as the store keeps them.
type entry struct {
	Person  kept   `json:"person"`
	Sealed  []byte `json:"sealed"`
	secrets secrets
	row     Row
}

// kept is what of an entry is no secret.
type kept struct {
	Email    string    `json:"email"`
	Groups   []string  `json:"groups,omitempty"`
	Disabled bool      `json:"disabled,omitempty"`
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed,omitzero"`
	Passkeys []passkey `json:"passkeys,omitempty"`
	// Seen are the hashes of the last devices and browsers that signed in.
	Seen []string `json:"seen,omitempty"`
}

// secrets are sealed together.
type secrets struct {
	Password string `json:"password,omitempty"`
	TOTP     *totp  `json:"totp,omitempty"`
}

func (d *Directory) place(id string) string { return "directory/" + d.name + "/" + id }

// row is what the store gets of an entry.
func (d *Directory) row(e entry) (Row, error) {
	plain, err := json.Marshal(e.secrets)
	if err != nil {
		return Row{}, fmt.Errorf("encode a person's secrets: %w", err)
	}
	e.Sealed = d.cfg.Sealer.Seal(plain, d.place(e.row.ID))
	e.row.Directory, e.row.Name = d.name, e.Person.Email
	if e.row.Data, err = json.Marshal(e); err != nil {
		return Row{}, fmt.Errorf("encode a person: %w", err)
	}
	return e.row, nil
}

func (d *Directory) decode(row Row) (entry, error) {
	e := entry{row: row}
	if err := json.Unmarshal(row.Data, &e); err != nil {
		return entry{}, fmt.Errorf("person %s: the store's data cannot be read: %w", row.ID, err)
	}
	plain, err := d.cfg.Sealer.Open(e.Sealed, d.place(row.ID))
	if err != nil {
		return entry{}, fmt.Errorf("person %s: %w", row.ID, err)
	}
	if err := json.Unmarshal(plain, &e.secrets); err != nil {
		return entry{}, fmt.Errorf("person %s: the sealed data cannot be read: %w", row.ID, err)
	}
	return e, nil
}

// person is what others may see.
func (e entry) person() Person {
	p := Person{
		ID: e.row.ID, Email: e.Person.Email, Groups: append([]string{}, e.Person.Groups...), Disabled: e.Person.Disabled,
		Created: e.Person.Created, Changed: e.Person.Changed, Passkeys: []Passkey{},
	}
	if t := e.secrets.TOTP; t != nil && t.Confirmed {
		p.TOTP, p.Recovery = true, len(t.Recovery)
	}
	for _, k := range e.Person.Passkeys {
		p.Passkeys = append(p.Passkeys, k.shown())
	}
	return p
}

func (d *Directory) find(ctx context.Context, id, name string) (entry, error) {
	row, err := d.cfg.Store.FindPerson(ctx, d.name, id, name)
	if err != nil {
		return entry{}, fmt.Errorf("directory %s: %w", d.name, err)
	}
	return d.decode(row)
}

// maxConflicts is how often a change is tried again that met another one.
const maxConflicts = 20

// change edits a person atomically. edit may run several times, each time on what
// is there then.
func (d *Directory) change(ctx context.Context, id string, edit func(*entry) error) (Person, error) {
	for range maxConflicts {
		e, err := d.find(ctx, id, "")
		if err != nil {
			return Person{}, err
		}
		if err := edit(&e); err != nil {
			return Person{}, err
		}
		row, err := d.row(e)
		if err != nil {
			return Person{}, err
		}
		err = d.cfg.Store.UpdatePerson(ctx, row)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return Person{}, fmt.Errorf("directory %s: %w", d.name, err)
		}
		return e.person(), nil
	}
	return Person{}, fmt.Errorf("directory %s: person %s: %w", d.name, id, ErrConflict)
}
