// Package marks keeps how a person likes to see accounts: a label and a colour of
// their own, favourites, and the roles they used last. Nothing is decided by a
// mark; it only orders and paints lists. The server keeps it, per provider and
// subject, so that it is the same on every device.
package marks

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Mark is how one person sees one account. Without label, colour and favourite it
// is not kept.
type Mark struct {
	Account   string // twelve digits
	Label     string // at most 24 characters
	Colour    string // one of Colours, "" for none
	Favourite bool
}

// Recent is a role that a person used, by its ARN.
type Recent struct {
	Role string
	Used time.Time
}

// Kept is everything of one person.
type Kept struct {
	Marks  map[string]Mark // by account
	Recent []Recent        // newest first, at most MaxRecent
}

// Bounds on what is kept of one person.
const (
	MaxLabel  = 24 // characters
	MaxRecent = 8
)

// Colours are the eight that an account may have, in the order of the page.
func Colours() []string {
	return []string{"red", "amber", "green", "teal", "blue", "violet", "pink", "grey"}
}

// ErrInvalid says that a mark cannot be kept as it is; the error says why.
var ErrInvalid = errors.New("not a mark")

// Store keeps marks. Each method is atomic and durable when it returns nil.
type Store interface {
	Marks(ctx context.Context, provider, subject string) ([]Mark, error)
	// PutMark replaces a mark; one that says nothing is removed.
	PutMark(ctx context.Context, provider, subject string, mark Mark) error
	// PutFavourite changes only whether an account is a favourite.
	PutFavourite(ctx context.Context, provider, subject, account string, favourite bool) error
	// RecentRoles are newest first.
	RecentRoles(ctx context.Context, provider, subject string) ([]Recent, error)
	// PutRecentRole moves a role to the front and forgets all but the newest MaxRecent.
	PutRecentRole(ctx context.Context, provider, subject string, recent Recent) error
}

// Book is the marks of everybody. It is safe for concurrent use.
type Book struct {
	store Store
	now   func() time.Time

	mu   sync.Mutex
	last map[[2]string]Recent // by person, for Use
}

// Use writes a role that was used last anyway no more often than each useEvery: a
// program that fetches credentials all day must not write all day. maxLast bounds
// how many people that is known of.
const (
	useEvery = 5 * time.Minute
	maxLast  = 10_000
)

// NewBook makes a Book.
func NewBook(store Store, now func() time.Time) *Book {
	return &Book{store: store, now: now, last: map[[2]string]Recent{}}
}

// Of gives what is kept of one person.
func (b *Book) Of(ctx context.Context, provider, subject string) (Kept, error) {
	found, err := b.store.Marks(ctx, provider, subject)
	if err != nil {
		return Kept{}, fmt.Errorf("marks: %w", err)
	}
	kept := Kept{Marks: make(map[string]Mark, len(found))}
	for _, m := range found {
		kept.Marks[m.Account] = m
	}
	if kept.Recent, err = b.store.RecentRoles(ctx, provider, subject); err != nil {
		return Kept{}, fmt.Errorf("recent roles: %w", err)
	}
	return kept, nil
}

var accountID = regexp.MustCompile(`^\d{12}$`)

// Put keeps a mark. Spaces around the label are dropped. What cannot be kept is
// ErrInvalid.
func (b *Book) Put(ctx context.Context, provider, subject string, m Mark) error {
	m.Label = strings.Join(strings.Fields(m.Label), " ")
	switch {
	case !accountID.MatchString(m.Account):
		return fmt.Errorf("%w: an account has twelve digits", ErrInvalid)
	case utf8.RuneCountInString(m.Label) > MaxLabel:
		return fmt.Errorf("%w: a label has at most %d characters", ErrInvalid, MaxLabel)
	case !utf8.ValidString(m.Label) || strings.ContainsFunc(m.Label, unfit):
		return fmt.Errorf("%w: a label is made of letters, digits and signs", ErrInvalid)
	case m.Colour != "" && !slices.Contains(Colours(), m.Colour):
		return fmt.Errorf("%w: the colour is none of the eight", ErrInvalid)
	}
	return b.store.PutMark(ctx, provider, subject, m)
}

// unfit are characters that show nothing or turn the text around.
func unfit(r rune) bool { return !unicode.IsPrint(r) }

// Favour sets or clears the star of an account.
func (b *Book) Favour(ctx context.Context, provider, subject, account string, favourite bool) error {
	if !accountID.MatchString(account) {
		return fmt.Errorf("%w: an account has twelve digits", ErrInvalid)
	}
	return b.store.PutFavourite(ctx, provider, subject, account, favourite)
}

// Use remembers that a role was used now.
func (b *Book) Use(ctx context.Context, provider, subject, role string) error {
	used := Recent{Role: role, Used: b.now()}
	if !b.isNews([2]string{provider, subject}, used) {
		return nil
	}
	if err := b.store.PutRecentRole(ctx, provider, subject, used); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.last, [2]string{provider, subject})
		return err
	}
	return nil
}

// isNews reports whether a use changes the list, or its time by much.
func (b *Book) isNews(who [2]string, used Recent) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := b.last[who]; last.Role == used.Role && used.Used.Sub(last.Used) < useEvery {
		return false
	}
	if len(b.last) >= maxLast {
		clear(b.last)
	}
	b.last[who] = used
	return true
}
