package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/directory"
)

// Phones are the devices that people are logged in on.
type Phones interface {
	DevicesOf(ctx context.Context, app, provider, subject string) ([]string, error)
	RevokeDevice(ctx context.Context, id string) error
}

// UsersConfig is what Users are made of. All fields are required.
type UsersConfig struct {
	Directory *directory.Directory
	Store     Store
	Phones    Phones
	Apps      []string // names of apps
	Audit     Auditor
	Operator  string
	Now       func() time.Time
}

// Users is what operators do with people of the built-in directory. The record comes
// first: without it nothing is changed. Running daemons see it at once, and within
// two seconds what they keep of the person is dead.
type Users struct{ cfg UsersConfig }

// NewUsers makes a Users.
func NewUsers(c UsersConfig) *Users { return &Users{c} }

// record writes down what is about to be done, does it, and writes down how it ended.
func (u *Users) record(ctx context.Context, name string, who directory.Person, detail string, do func() error) error {
	event := audit.Event{
		RequestID: "operator", Event: name, Via: "operator", Provider: u.cfg.Directory.Name(), Subject: who.ID, Username: who.Email,
		Detail: "by " + u.cfg.Operator,
	}
	if detail != "" {
		event.Detail += ", " + detail
	}
	if err := u.cfg.Audit.Append(ctx, event); err != nil {
		return fmt.Errorf("the record of operators cannot be written, so nothing was changed: %w", err)
	}
	err := do()
	event.Outcome = audit.Granted
	if err != nil {
		event.Outcome, event.Reason = audit.Failed, err.Error()
	}
	return errors.Join(err, u.cfg.Audit.Append(ctx, event))
}

// Add puts somebody into the directory. Without a password they come in by the code
// that Reset gives.
func (u *Users) Add(ctx context.Context, email string, password secret.String, groups []string) (directory.Person, error) {
	name, err := directory.ParseEmail(email)
	if err != nil {
		return directory.Person{}, err
	}
	if password.Reveal() != "" {
		if err := u.cfg.Directory.Acceptable(name, password); err != nil {
			return directory.Person{}, err
		}
	}
	var made directory.Person
	err = u.record(ctx, "user.add", directory.Person{Email: name}, fmt.Sprintf("groups %q", groups), func() error {
		var err error
		made, err = u.cfg.Directory.Add(ctx, name, password, groups)
		return err
	})
	return made, err
}

// List gives everybody, in the order of their addresses.
func (u *Users) List(ctx context.Context) ([]directory.Person, error) {
	const page = 500
	var all []directory.Person
	for after := ""; ; {
		found, err := u.cfg.Directory.List(ctx, after, page)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		if len(found) < page {
			return all, nil
		}
		after = found[len(found)-1].Email
	}
}

// Disable bars somebody and ends what they have open.
func (u *Users) Disable(ctx context.Context, email string) (directory.Person, error) {
	return u.change(ctx, email, "user.disable", func(who directory.Person) error {
		if _, err := u.cfg.Directory.Disable(ctx, who.ID, true); err != nil {
			return err
		}
		return u.end(ctx, who)
	})
}

// Enable lets somebody in again.
func (u *Users) Enable(ctx context.Context, email string) (directory.Person, error) {
	return u.change(ctx, email, "user.enable", func(who directory.Person) error {
		_, err := u.cfg.Directory.Disable(ctx, who.ID, false)
		return err
	})
}

// Groups replaces somebody's groups. What they have open keeps those of its sign-in,
// so it ends.
func (u *Users) Groups(ctx context.Context, email string, groups []string) (directory.Person, error) {
	return u.change(ctx, email, "user.groups", func(who directory.Person) error {
		if _, err := u.cfg.Directory.SetGroups(ctx, who.ID, groups); err != nil {
			return err
		}
		return u.end(ctx, who)
	})
}

// Reset gives a code with which somebody sets a password, once, within a day. With
// factors their one-time codes and passkeys go, and what they have open ends. The
// password that they have works until then.
func (u *Users) Reset(ctx context.Context, email string, factors bool) (who directory.Person, code secret.String, err error) {
	who, err = u.change(ctx, email, "user.invite", func(who directory.Person) error {
		if factors {
			if _, err := u.cfg.Directory.RemoveFactors(ctx, who.ID); err != nil {
				return err
			}
			if err := u.end(ctx, who); err != nil {
				return err
			}
		}
		text, err := u.cfg.Directory.Invite(ctx, who.ID)
		code = secret.New(text)
		return err
	})
	return who, code, err
}

// Delete removes somebody with what they have open and their devices. The session
// name that they have in AWS stays theirs.
func (u *Users) Delete(ctx context.Context, email string) (directory.Person, error) {
	return u.change(ctx, email, "user.delete", func(who directory.Person) error {
		for _, app := range u.cfg.Apps {
			devices, err := u.cfg.Phones.DevicesOf(ctx, app, u.cfg.Directory.Name(), who.ID)
			if err != nil {
				return fmt.Errorf("find the devices of %s: %w", who.Email, err)
			}
			for _, id := range devices {
				if err := u.cfg.Phones.RevokeDevice(ctx, id); err != nil {
					return fmt.Errorf("end a device of %s: %w", who.Email, err)
				}
			}
		}
		if err := u.cfg.Directory.Delete(ctx, who.ID); err != nil {
			return err
		}
		return u.end(ctx, who)
	})
}

func (u *Users) change(ctx context.Context, email, name string, do func(who directory.Person) error) (directory.Person, error) {
	who, err := u.cfg.Directory.ByEmail(ctx, email)
	if errors.Is(err, directory.ErrNotFound) {
		return directory.Person{}, fmt.Errorf("nobody in %s has the address %q", u.cfg.Directory.Name(), email)
	}
	if err != nil {
		return directory.Person{}, err
	}
	if err := u.record(ctx, name, who, "", func() error { return do(who) }); err != nil {
		return directory.Person{}, err
	}
	if name == "user.delete" {
		return who, nil
	}
	return u.cfg.Directory.ByID(ctx, who.ID)
}

// end ends what somebody has open: in the store at once, and by a number what
// running daemons keep.
func (u *Users) end(ctx context.Context, who directory.Person) error {
	provider := u.cfg.Directory.Name()
	_, err := u.cfg.Store.AddRevocation(ctx, revocation.Revocation{Kind: revocation.User, Target: provider + "=" + who.ID, At: u.cfg.Now().Truncate(time.Microsecond)})
	if err != nil {
		return fmt.Errorf("revoke what %s has: %w", who.Email, err)
	}
	if err := u.cfg.Store.EndSubject(ctx, provider, who.ID); err != nil {
		return fmt.Errorf("end the sessions of %s: %w", who.Email, err)
	}
	return nil
}
