package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	otplib "github.com/pquerna/otp"
	totplib "github.com/pquerna/otp/totp"
)

// ErrNoTOTP says that a person has no second factor by codes, or has not begun one.
var ErrNoTOTP = errors.New("no one-time codes are set up")

// Of codes: six digits each 30 seconds, one step of grace either way, and ten
// recovery codes of 60 bits.
const (
	totpPeriod   = 30
	totpSkew     = 1
	numRecovery  = 10
	recoveryHalf = 6
)

// totp is a person's second factor. Until it is confirmed it means nothing.
type totp struct {
	Secret    string `json:"secret"`
	Confirmed bool   `json:"confirmed,omitempty"`
	// Step is the last period whose code was used: a code counts once.
	Step int64 `json:"step,omitempty"`
	// Recovery are the hashes of the recovery codes that are left.
	Recovery []string `json:"recovery,omitempty"`
}

// Enrolment is what an authenticator app needs; it is shown once.
type Enrolment struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
}

// BeginTOTP makes a secret. One that is in use stays until the new one is confirmed
// by ConfirmTOTP; so it is refused to somebody who has one.
func (d *Directory) BeginTOTP(ctx context.Context, id string) (Enrolment, error) {
	var made *otplib.Key
	_, err := d.change(ctx, id, func(e *entry) error {
		if e.secrets.TOTP != nil && e.secrets.TOTP.Confirmed {
			return ErrTaken
		}
		var err error
		made, err = totplib.Generate(totplib.GenerateOpts{
			Issuer: d.cfg.Provider.Label, AccountName: e.Person.Email, Period: totpPeriod, SecretSize: 20, Rand: rand.Reader,
		})
		if err != nil {
			return fmt.Errorf("make a TOTP secret: %w", err)
		}
		e.secrets.TOTP = &totp{Secret: made.Secret()}
		return nil
	})
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: made.Secret(), URI: made.URL()}, nil
}

// ConfirmTOTP puts the secret of BeginTOTP into force by a code of it, and gives
// the recovery codes, this once.
func (d *Directory) ConfirmTOTP(ctx context.Context, id, code string) (recovery []string, err error) {
	_, err = d.change(ctx, id, func(e *entry) error {
		t := e.secrets.TOTP
		if t == nil || t.Confirmed {
			return ErrNoTOTP
		}
		step, ok := d.stepOf(t, code)
		if !ok {
			return ErrWrong
		}
		recovery, t.Recovery = newRecovery()
		t.Confirmed, t.Step = true, step
		return nil
	})
	return recovery, err
}

// CheckCode spends a code of the app or a recovery code.
func (d *Directory) CheckCode(ctx context.Context, id, code string) (Person, error) {
	return d.change(ctx, id, func(e *entry) error {
		t := e.secrets.TOTP
		if e.Person.Disabled || t == nil || !t.Confirmed {
			return ErrWrong
		}
		if step, ok := d.stepOf(t, code); ok {
			t.Step = step
			return nil
		}
		hash := recoveryHash(code)
		for i, kept := range t.Recovery {
			if subtle.ConstantTimeCompare([]byte(kept), []byte(hash)) == 1 {
				t.Recovery = slices.Delete(t.Recovery, i, i+1)
				return nil
			}
		}
		return ErrWrong
	})
}

// RemoveTOTP takes the second factor away.
func (d *Directory) RemoveTOTP(ctx context.Context, id string) (Person, error) {
	return d.change(ctx, id, func(e *entry) error { e.secrets.TOTP = nil; return nil })
}

// stepOf finds the period whose code it is, later than any that was used.
func (d *Directory) stepOf(t *totp, code string) (int64, bool) {
	code = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code)
	now := d.cfg.Now().Unix() / totpPeriod
	for step := now - totpSkew; step <= now+totpSkew; step++ {
		want, err := totplib.GenerateCodeCustom(t.Secret, time.Unix(step*totpPeriod, 0), totplib.ValidateOpts{
			Period: totpPeriod, Digits: otplib.DigitsSix, Algorithm: otplib.AlgorithmSHA1,
		})
		if err == nil && step > t.Step && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}

// newRecovery makes codes like ABCDEF-GHIJKL and their hashes. At 60 random bits
// they need no slow hash.
func newRecovery() (codes, hashes []string) {
	for range numRecovery {
		b := make([]byte, 8)
		_, _ = rand.Read(b)
		text := base32.StdEncoding.EncodeToString(b)[:2*recoveryHalf]
		codes = append(codes, text[:recoveryHalf]+"-"+text[recoveryHalf:])
		hashes = append(hashes, recoveryHash(text))
	}
	return codes, hashes
}

func recoveryHash(code string) string {
	sum := sha256.Sum256([]byte("recovery:" + cleanCode(code, false)))
	return hex.EncodeToString(sum[:])
}
