package directory

import (
	"context"

	"github.com/rolecall/rolecall/config/secret"
)

// AskReset gives the letter with a code for a new password; where nobody has the
// address, a letter to nobody, for the same work.
func (d *Directory) AskReset(ctx context.Context, holder, email string) (Letter, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Letter{}, err
	}
	e, found, err := d.maybe(ctx, name)
	if err != nil {
		return Letter{}, err
	}
	letter := Letter{kind: letterReset, from: d.cfg.Provider.Label}
	o := out{For: forReset, Holder: holder, Name: name, Void: true}
	if found && !e.Person.Disabled {
		letter.To, o.Person, o.Void = name, e.row.ID, false
	}
	letter.code, err = d.keep(ctx, o)
	return letter, err
}

// Invite makes the secret of a link with which a person sets a password: for
// operators, who hand it on themselves.
func (d *Directory) Invite(ctx context.Context, id string) (link string, err error) {
	e, err := d.find(ctx, id, "")
	if err != nil {
		return "", err
	}
	return d.keep(ctx, out{For: forInvite, Name: e.Person.Email, Person: id})
}

// Reset sets a password by a code of AskReset with its holder, or with an empty
// holder by the secret of Invite. A password that is not taken spends no code.
// Ending what the person has open is the caller's.
func (d *Directory) Reset(ctx context.Context, holder, email, code string, password secret.String) (Person, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Person{}, ErrWrong
	}
	if err := d.Acceptable(name, password); err != nil {
		return Person{}, err
	}
	o := out{For: forReset, Holder: holder, Name: name}
	if holder == "" {
		o.For = forInvite
	}
	hash, err := d.newPassword(name, password)
	if err != nil {
		return Person{}, err
	}
	asked, err := d.take(ctx, o, code)
	if err != nil {
		return Person{}, err
	}
	p, err := d.change(ctx, asked.Person, func(e *entry) error {
		if e.Person.Disabled || e.Person.Email != name {
			return ErrWrong
		}
		e.secrets.Password, e.Person.Changed = hash, d.now()
		return nil
	})
	return p, err
}
