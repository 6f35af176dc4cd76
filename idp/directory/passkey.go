package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/rolecall/rolecall/idp"
)

// Bounds of passkeys.
const (
	maxPasskeys     = 20
	maxPasskeyBody  = 64 << 10
	maxPasskeyLabel = 64
	challengeLife   = 5 * time.Minute
)

// ErrNoPasskeys says that the relying party is an address, so that no browser would
// make a passkey for it.
var ErrNoPasskeys = errors.New("passkeys need a domain in server.url, or passkeys.rp_id")

// Passkey is what people see of one.
type Passkey struct {
	ID      string    `json:"id"`
	Label   string    `json:"label"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"last_used,omitzero"`
}

// passkey is one as the store keeps it.
type passkey struct {
	Label      string              `json:"label"`
	Created    time.Time           `json:"created"`
	Used       time.Time           `json:"used,omitzero"`
	Credential webauthn.Credential `json:"credential"`
}

func (k passkey) id() string { return base64.RawURLEncoding.EncodeToString(k.Credential.ID) }

func (k passkey) shown() Passkey {
	return Passkey{ID: k.id(), Label: k.Label, Created: k.Created, Used: k.Used}
}

// user is a person as the library wants them.
type user struct{ entry }

func (u user) WebAuthnID() []byte          { return []byte(u.row.ID) }
func (u user) WebAuthnName() string        { return u.Person.Email }
func (u user) WebAuthnDisplayName() string { return u.Person.Email }
func (u user) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(u.Person.Passkeys))
	for i, k := range u.Person.Passkeys {
		all[i] = k.Credential
	}
	return all
}

// ceremony is what is kept between the two halves, by its challenge.
type ceremony struct {
	Session webauthn.SessionData `json:"session"`
}

// challengeKey finds a ceremony: what it is for, of which holder, by its challenge.
func (d *Directory) challengeKey(what, holder, challenge string) [32]byte {
	text, _ := json.Marshal([]string{d.name, what, holder, challenge}) // strings always encode
	return sha256.Sum256(text)
}

func (d *Directory) keepCeremony(ctx context.Context, what, holder, person string, session *webauthn.SessionData) error {
	plain, err := json.Marshal(ceremony{*session})
	if err != nil {
		return fmt.Errorf("encode a challenge: %w", err)
	}
	err = d.cfg.Store.PutPersonCode(ctx, CodeRow{
		Key: d.challengeKey(what, holder, session.Challenge), Directory: d.name, Person: person,
		Tries: 1, Expires: d.now().Add(challengeLife), Data: plain,
	})
	if err != nil {
		return fmt.Errorf("directory %s: keep a challenge: %w", d.name, err)
	}
	return nil
}

// takeCeremony gives a ceremony once.
func (d *Directory) takeCeremony(ctx context.Context, what, holder, challenge string) (webauthn.SessionData, error) {
	key := d.challengeKey(what, holder, challenge)
	row, err := d.cfg.Store.TryPersonCode(ctx, key, d.now())
	if errors.Is(err, ErrNotFound) {
		return webauthn.SessionData{}, ErrWrong
	}
	if err != nil {
		return webauthn.SessionData{}, fmt.Errorf("directory %s: take a challenge: %w", d.name, err)
	}
	var c ceremony
	if err := json.Unmarshal(row.Data, &c); err != nil {
		return webauthn.SessionData{}, fmt.Errorf("directory %s: a challenge cannot be read: %w", d.name, err)
	}
	return c.Session, nil
}

// BeginPasskey gives the options for navigator.credentials.create.
func (d *Directory) BeginPasskey(ctx context.Context, id, holder string) (json.RawMessage, error) {
	if d.webauthn == nil {
		return nil, ErrNoPasskeys
	}
	e, err := d.find(ctx, id, "")
	if err != nil {
		return nil, err
	}
	options, session, err := d.webauthn.BeginRegistration(user{e},
		webauthn.WithExclusions(webauthn.Credentials(user{e}.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, fmt.Errorf("begin a passkey: %w", err)
	}
	if err := d.keepCeremony(ctx, "passkey", holder, id, session); err != nil {
		return nil, err
	}
	return json.Marshal(options)
}

// FinishPasskey keeps the passkey that the person's device has made.
func (d *Directory) FinishPasskey(ctx context.Context, id, holder, label string, body []byte) (Passkey, error) {
	if d.webauthn == nil {
		return Passkey{}, ErrNoPasskeys
	}
	parsed, err := parseCreation(body)
	if err != nil {
		return Passkey{}, err
	}
	session, err := d.takeCeremony(ctx, "passkey", holder, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return Passkey{}, err
	}
	var made passkey
	_, err = d.change(ctx, id, func(e *entry) error {
		if len(e.Person.Passkeys) >= maxPasskeys {
			return idp.Reject("too-many-passkeys", "%d are kept already", maxPasskeys)
		}
		credential, err := d.webauthn.CreateCredential(user{*e}, session, parsed)
		if err != nil {
			return rejected(err)
		}
		credential.Attestation = webauthn.CredentialAttestation{} // not asked for, not kept
		made = passkey{Label: cleanLabel(label), Created: d.now(), Credential: *credential}
		if slices.ContainsFunc(e.Person.Passkeys, func(k passkey) bool { return bytes.Equal(k.Credential.ID, credential.ID) }) {
			return idp.Reject("passkey-known", "the passkey is here already")
		}
		e.Person.Passkeys = append(e.Person.Passkeys, made)
		return nil
	})
	return made.shown(), err
}

// RemovePasskey forgets one; ErrNotFound where there is none of that id.
func (d *Directory) RemovePasskey(ctx context.Context, id, which string) error {
	_, err := d.change(ctx, id, func(e *entry) error {
		i := slices.IndexFunc(e.Person.Passkeys, func(k passkey) bool { return k.id() == which })
		if i < 0 {
			return ErrNotFound
		}
		e.Person.Passkeys = slices.Delete(e.Person.Passkeys, i, i+1)
		return nil
	})
	return err
}

// BeginLogin gives the options for navigator.credentials.get. They name nobody: the
// passkey itself knows whose it is.
func (d *Directory) BeginLogin(ctx context.Context, holder string) (json.RawMessage, error) {
	if d.webauthn == nil {
		return nil, ErrNoPasskeys
	}
	options, session, err := d.webauthn.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fmt.Errorf("begin a sign-in by passkey: %w", err)
	}
	if err := d.keepCeremony(ctx, "login", holder, "", session); err != nil {
		return nil, err
	}
	return json.Marshal(options)
}

// FinishLogin gives the person whose passkey has signed the challenge.
func (d *Directory) FinishLogin(ctx context.Context, holder string, body []byte) (Person, error) {
	if d.webauthn == nil {
		return Person{}, ErrNoPasskeys
	}
	parsed, err := parseAssertion(body)
	if err != nil {
		return Person{}, err
	}
	session, err := d.takeCeremony(ctx, "login", holder, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return Person{}, err
	}
	id := string(parsed.Response.UserHandle)
	p, err := d.change(ctx, id, func(e *entry) error {
		if e.Person.Disabled {
			return ErrWrong
		}
		lookup := func(_, _ []byte) (webauthn.User, error) { return user{*e}, nil }
		_, credential, err := d.webauthn.ValidatePasskeyLogin(lookup, session, parsed)
		if err != nil {
			return rejected(err)
		}
		if credential.Authenticator.CloneWarning {
			return idp.Reject("passkey-cloned", "the passkey's counter went back: there may be a copy of it")
		}
		for i := range e.Person.Passkeys {
			if k := &e.Person.Passkeys[i]; bytes.Equal(k.Credential.ID, credential.ID) {
				k.Credential, k.Used = *credential, d.now()
				k.Credential.Attestation = webauthn.CredentialAttestation{}
			}
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) { // deleted, or of another service
		return Person{}, ErrWrong
	}
	return p, err
}

func parseCreation(body []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(body) > maxPasskeyBody {
		return nil, idp.Reject("too-large", "%d bytes", len(body))
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(body)
	if err != nil {
		return nil, rejected(err)
	}
	return parsed, nil
}

func parseAssertion(body []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(body) > maxPasskeyBody {
		return nil, idp.Reject("too-large", "%d bytes", len(body))
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(body)
	if err != nil {
		return nil, rejected(err)
	}
	return parsed, nil
}

// rejected is the library's refusal as ours.
func rejected(err error) error {
	if own, ok := errors.AsType[*idp.Rejection](err); ok {
		return own
	}
	r := idp.Reject("passkey", "the passkey's answer was not accepted")
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		r.Detail = "passkey: " + e.Details
	}
	r.Cause = err
	return r
}

func cleanLabel(label string) string {
	label = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(label, ""))
	if runes := []rune(strings.TrimSpace(label)); len(runes) > maxPasskeyLabel {
		label = string(runes[:maxPasskeyLabel])
	}
	if label = strings.TrimSpace(label); label == "" {
		return "passkey"
	}
	return label
}
