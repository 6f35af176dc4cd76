package directory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// The methods that a sign-in shows (RFC 8176). A passkey is a key in hardware or
// software that the person unlocked: possession and presence, and two factors.
const (
	methodPassword = "pwd"
	methodOTP      = "otp"
	methodMFA      = "mfa"
)

// asked is what a challenge remembers.
type asked struct {
	Person string    `json:"person"`
	Until  time.Time `json:"until"`
}

// VerifyPassword implements idp.PasswordVerifier.
func (d *Directory) VerifyPassword(ctx context.Context, username string, password secret.String) (idp.Login, error) {
	p, err := d.Check(ctx, username, password)
	if err != nil {
		return idp.Login{}, asRejection(err)
	}
	if !p.TOTP {
		return d.login(p, methodPassword), nil
	}
	data, err := json.Marshal(asked{p.ID, d.cfg.Now().Add(challengeLife)})
	if err != nil {
		return idp.Login{}, err
	}
	return idp.Login{}, &idp.Challenge{Kind: "totp", Identity: d.Identity(p, []string{methodPassword}), Data: data}
}

// AnswerChallenge implements idp.PasswordVerifier: a one-time or recovery code.
func (d *Directory) AnswerChallenge(ctx context.Context, data []byte, answer secret.String) (idp.Login, error) {
	var a asked
	if err := json.Unmarshal(data, &a); err != nil {
		return idp.Login{}, idp.Reject("malformed-challenge", "the challenge cannot be read")
	}
	if !d.cfg.Now().Before(a.Until) {
		return idp.Login{}, idp.Reject("expired", "the code came later than five minutes after the password")
	}
	p, err := d.CheckCode(ctx, a.Person, answer.Reveal())
	if err != nil {
		return idp.Login{}, asRejection(err)
	}
	return d.login(p, methodPassword, methodOTP, methodMFA), nil
}

// LoginByPasskey is FinishLogin as a login.
func (d *Directory) LoginByPasskey(ctx context.Context, holder string, body []byte) (idp.Login, error) {
	p, err := d.FinishLogin(ctx, holder, body)
	if err != nil {
		return idp.Login{}, asRejection(err)
	}
	return d.login(p, "hwk", "user", methodMFA), nil
}

func (d *Directory) login(p Person, methods ...string) idp.Login {
	return idp.Login{Identity: d.Identity(p, methods)}
}

// asRejection says the same of everything that is wrong.
func asRejection(err error) error {
	if errors.Is(err, ErrWrong) || errors.Is(err, ErrNotFound) {
		r := idp.Reject("wrong-credentials", "the address, password or code is wrong")
		r.Cause = err
		return r
	}
	return err
}

// maxSeen is how many devices and browsers of a person are remembered.
const maxSeen = 20

// Knows reports whether somebody has signed in with this device or browser before:
// their own tries are then counted apart from those of strangers.
func (d *Directory) Knows(ctx context.Context, email, holder string) (bool, error) {
	name, err := ParseEmail(email)
	if err != nil || holder == "" {
		return false, nil //nolint:nilerr // who has no address is nobody
	}
	e, found, err := d.maybe(ctx, name)
	return found && slices.Contains(e.Person.Seen, seenHash(holder)), err
}

// Remember notes that a person has signed in with a device or browser.
func (d *Directory) Remember(ctx context.Context, id, holder string) error {
	hash := seenHash(holder)
	e, err := d.find(ctx, id, "")
	if err != nil || holder == "" || slices.Contains(e.Person.Seen, hash) {
		return err
	}
	_, err = d.change(ctx, id, func(e *entry) error {
		if !slices.Contains(e.Person.Seen, hash) {
			e.Person.Seen = append(e.Person.Seen, hash)
			e.Person.Seen = e.Person.Seen[max(0, len(e.Person.Seen)-maxSeen):]
		}
		return nil
	})
	return err
}

func seenHash(holder string) string {
	sum := sha256.Sum256([]byte("seen:" + holder))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
