package directory

import (
	"context"
	"errors"

	"github.com/rolecall/rolecall/config/secret"
)

// Register gives the letter to send to somebody who wants to be in the directory:
// with a code, or where they are in it already, the word that somebody tried. The
// work is the same. A password that is not taken is *Weak, whoever it is.
func (d *Directory) Register(ctx context.Context, holder, email string, password secret.String) (Letter, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Letter{}, err
	}
	hash, err := d.newPassword(name, password)
	if err != nil {
		return Letter{}, err
	}
	_, known, err := d.maybe(ctx, name)
	if err != nil {
		return Letter{}, err
	}
	letter := Letter{To: name, kind: letterConfirm, from: d.cfg.Provider.Label}
	if known {
		letter.kind = letterKnown
	}
	void := known || !d.Open() || !d.mayRegister(name)
	if void && !known {
		letter.To = "" // nobody asked for mail there, and nobody may come in
	}
	letter.code, err = d.keep(ctx, out{For: forRegister, Holder: holder, Name: name, Password: hash, Void: void})
	return letter, err
}

// Confirm makes the person whose holder asked for the code and types it.
func (d *Directory) Confirm(ctx context.Context, holder, email, code string) (Person, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Person{}, ErrWrong
	}
	asked, err := d.take(ctx, out{For: forRegister, Holder: holder, Name: name}, code)
	if err != nil {
		return Person{}, err
	}
	p, err := d.add(ctx, entry{
		row:     Row{ID: newID(), Version: 1},
		Person:  kept{Email: name, Created: d.now(), Changed: d.now()},
		secrets: secrets{Password: asked.Password},
	})
	if errors.Is(err, ErrTaken) { // by another device of theirs
		return Person{}, ErrWrong
	}
	return p, err
}
