package directory

import (
	"context"
	"errors"
	"time"
)

// What a Store answers.
var (
	// ErrNotFound says that there is no such person or code, or no longer.
	ErrNotFound = errors.New("no such person or code")
	// ErrTaken says that the address belongs to another person.
	ErrTaken = errors.New("the address belongs to somebody already")
	// ErrConflict says that a person was changed since they were read.
	ErrConflict = errors.New("changed by somebody else at the same time")
)

// Row is what a store keeps of a person.
type Row struct {
	Directory string // the provider's name
	ID        string
	// Name is the address as it is compared, unique in the directory.
	Name string
	// Version rises by one with each change.
	Version int64
	Data    []byte
}

// CodeRow is what a store keeps of a code or challenge that is out.
type CodeRow struct {
	Key [32]byte
	// Directory and Person are whose it is, "" where nobody knows yet; it goes with them.
	Directory, Person string
	Tries             int // that are left
	Expires           time.Time
	Data              []byte
}

// Store keeps people and codes. Each method is atomic and durable when it returns nil.
type Store interface {
	PeopleStore
	CodeStore
}

// PeopleStore keeps people.
type PeopleStore interface {
	// AddPerson is ErrTaken where the name is somebody's.
	AddPerson(ctx context.Context, row Row) error
	// FindPerson gives a person by id, or by name where id is empty.
	FindPerson(ctx context.Context, directory, id, name string) (Row, error)
	// UpdatePerson replaces a row of the version given and raises it; ErrConflict where
	// the version is another, ErrNotFound where there is none, ErrTaken by name.
	UpdatePerson(ctx context.Context, row Row) error
	// DropPerson removes a person with their codes and with what else the store keeps of
	// them by provider and subject: marks, recent roles, the note of their last arrival.
	// Who has a session name keeps it. An absent person is no error.
	DropPerson(ctx context.Context, directory, id string) error
	// PeopleAfter gives people in the order of their names, after one.
	PeopleAfter(ctx context.Context, directory, name string, limit int) ([]Row, error)
}

// CodeStore keeps codes and challenges.
type CodeStore interface {
	// PutPersonCode keeps a code; one of the same key is replaced.
	PutPersonCode(ctx context.Context, row CodeRow) error
	// TryPersonCode spends a try and gives the row, ErrNotFound where none is left.
	TryPersonCode(ctx context.Context, key [32]byte, now time.Time) (CodeRow, error)
	// TakePersonCode removes a row with exactly these data and reports whether it was
	// there: of two that have the right code one wins.
	TakePersonCode(ctx context.Context, key [32]byte, data []byte) (bool, error)
}

// Sealer encrypts what the store keeps; keys.Sealer is one.
type Sealer interface {
	Seal(plain []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}
