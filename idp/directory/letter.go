package directory

import (
	"fmt"
	"strings"
	"time"
)

// Letter is a mail that is to be sent. To is empty where there is nobody to send it
// to; whoever asked must not see the difference.
type Letter struct {
	To   string
	kind string
	code string
	from string // who we are, for people
	page string // where to type the code of an invitation
}

// The kinds of letters.
const (
	letterConfirm  = "confirm"
	letterKnown    = "known" // somebody tried to register the address of a person
	letterReset    = "reset"
	letterEmail    = "email"
	letterPassword = "password-changed"
	letterMoved    = "email-changed"
	letterInvite   = "invite"
)

// Kind names the letter, for the record.
func (l Letter) Kind() string { return l.kind }

// Code is the code in the letter, "" where it has none.
func (l Letter) Code() string {
	if l.kind == letterKnown {
		return ""
	}
	return l.code
}

// Invitation brings the code of Invite and the page to type it on.
func (d *Directory) Invitation(p Person, page, code string) Letter {
	return Letter{To: p.Email, kind: letterInvite, code: code, from: d.cfg.Provider.Label, page: page}
}

// PasswordChanged tells a person that their password was set.
func (d *Directory) PasswordChanged(p Person) Letter {
	return Letter{To: p.Email, kind: letterPassword, from: d.cfg.Provider.Label}
}

// EmailChanged tells the address before that a person has moved.
func (d *Directory) EmailChanged(before string) Letter {
	return Letter{To: before, kind: letterMoved, from: d.cfg.Provider.Label}
}

// Write gives the words. app is what people call the program that asked; no word of
// whoever asked is in a letter, so that nobody can send text of theirs by us.
func (l Letter) Write(app string) (subject, text string) {
	if app == "" || app == l.from {
		app = l.from
	} else {
		app += " (" + l.from + ")"
	}
	code := fmt.Sprintf("    %s\n\nIt works once, for %d minutes, in the app or browser where it was asked for. Nobody\nof ours will ever ask you for it.\n",
		spaced(l.code), int(codeLife/time.Minute))
	switch l.kind {
	case letterConfirm:
		return "Your code for " + app, "Somebody, hopefully you, wants to make an account with this address at\n" + app +
			". To confirm it, type this code there:\n\n" + code + "\nIf that was not you, do nothing: without the code there is no account.\n"
	case letterKnown:
		return "You have an account at " + app, "Somebody tried to make an account with this address at\n" + app +
			". You have one already, and nothing has changed.\n\nIf that was you, log in; if you do not know the password any more, ask for a new\none in the app. If it was not you, do nothing.\n"
	case letterReset:
		return "Your code for a new password", "Somebody, hopefully you, wants to set a new password at\n" + app + ". To do that, type this code there:\n\n" + code +
			"\nIf that was not you, do nothing: your password stays as it is.\n"
	case letterEmail:
		return "Your code for " + app, "To use this address for your account at\n" + app + ", type this code there:\n\n" + code +
			"\nIf you did not ask for that, do nothing.\n"
	case letterInvite:
		return "Set your password", "An administrator asks you to set a password for your account at\n" + app + ". Open this page,\n\n    " + l.page +
			"\n\nand type this code there, once, within a day:\n\n    " + l.code + "\n\nIf you do not expect this, ask your administrators before you do.\n"
	case letterPassword:
		return "Your password was changed", "The password of your account at " + app + " was changed just now, and\nyou were signed out everywhere else.\n\n" +
			"If that was not you, ask for a new password in the app at once, and tell whoever\nlooks after it.\n"
	case letterMoved:
		return "Your address was changed", "Your account at " + app + " now has another address; this one is\nno longer used.\n\n" +
			"If that was not you, tell whoever looks after it at once.\n"
	}
	return "", ""
}

// spaced is ABCD-EFGH, which reads better.
func spaced(code string) string {
	if half := len(code) / 2; half > 0 {
		return strings.Join([]string{code[:half], code[half:]}, "-")
	}
	return code
}
