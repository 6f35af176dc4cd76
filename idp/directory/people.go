package directory

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// Bounds of what an operator may give.
const (
	maxGroups    = 200
	maxGroupName = 256
)

// newID makes a subject: 130 random bits.
func newID() string { return rand.Text() }

// Add makes a person at once, as operators do; an empty password is none, so that
// they come in by Invite alone.
func (d *Directory) Add(ctx context.Context, email string, password secret.String, groups []string) (Person, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Person{}, err
	}
	if groups, err = cleanGroups(groups); err != nil {
		return Person{}, err
	}
	e := entry{row: Row{ID: newID(), Version: 1}, Person: kept{Email: name, Groups: groups, Created: d.now()}}
	if password.Reveal() != "" {
		if e.secrets.Password, err = d.newPassword(name, password); err != nil {
			return Person{}, err
		}
		e.Person.Changed = d.now()
	}
	return d.add(ctx, e)
}

func (d *Directory) add(ctx context.Context, e entry) (Person, error) {
	row, err := d.row(e)
	if err != nil {
		return Person{}, err
	}
	if err := d.cfg.Store.AddPerson(ctx, row); err != nil {
		return Person{}, fmt.Errorf("directory %s: %w", d.name, err)
	}
	return e.person(), nil
}

// now is the time as the store keeps it.
func (d *Directory) now() time.Time { return d.cfg.Now().UTC().Truncate(time.Microsecond) }

// ByID gives a person, disabled or not.
func (d *Directory) ByID(ctx context.Context, id string) (Person, error) {
	e, err := d.find(ctx, id, "")
	return e.person(), err
}

// ByEmail gives a person, disabled or not.
func (d *Directory) ByEmail(ctx context.Context, email string) (Person, error) {
	name, err := ParseEmail(email)
	if err != nil {
		return Person{}, err
	}
	e, err := d.find(ctx, "", name)
	return e.person(), err
}

// List gives people in the order of their addresses, after one.
func (d *Directory) List(ctx context.Context, after string, limit int) ([]Person, error) {
	rows, err := d.cfg.Store.PeopleAfter(ctx, d.name, after, limit)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", d.name, err)
	}
	people := make([]Person, len(rows))
	for i, row := range rows {
		e, err := d.decode(row)
		if err != nil {
			return nil, err
		}
		people[i] = e.person()
	}
	return people, nil
}

// Disable bars a person, or lets them in again. Ending what they have open is the
// caller's.
func (d *Directory) Disable(ctx context.Context, id string, disabled bool) (Person, error) {
	return d.change(ctx, id, func(e *entry) error { e.Person.Disabled = disabled; return nil })
}

// SetGroups replaces a person's groups.
func (d *Directory) SetGroups(ctx context.Context, id string, groups []string) (Person, error) {
	groups, err := cleanGroups(groups)
	if err != nil {
		return Person{}, err
	}
	return d.change(ctx, id, func(e *entry) error { e.Person.Groups = groups; return nil })
}

// RemoveFactors takes second factors and passkeys away, of somebody who has lost them.
func (d *Directory) RemoveFactors(ctx context.Context, id string) (Person, error) {
	return d.change(ctx, id, func(e *entry) error { e.secrets.TOTP, e.Person.Passkeys = nil, nil; return nil })
}

// Delete removes a person with everything here. Their subject is never used again.
func (d *Directory) Delete(ctx context.Context, id string) error {
	if err := d.cfg.Store.DropPerson(ctx, d.name, id); err != nil {
		return fmt.Errorf("directory %s: %w", d.name, err)
	}
	return nil
}

// cleanGroups refuses what no grant could name.
func cleanGroups(groups []string) ([]string, error) {
	clean := []string{}
	for _, g := range groups {
		if g = strings.TrimSpace(g); g == "" {
			continue
		}
		if len(g) > maxGroupName || strings.ContainsFunc(g, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			return nil, fmt.Errorf("group %.40q: at most %d bytes and no control characters", g, maxGroupName)
		}
		if !slices.Contains(clean, g) {
			clean = append(clean, g)
		}
	}
	if len(clean) > maxGroups {
		return nil, fmt.Errorf("%d groups; at most %d", len(clean), maxGroups)
	}
	return clean, nil
}
