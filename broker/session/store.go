package session

import (
	"context"
	"time"

	"github.com/rolecall/rolecall/idp/device"
)

// Row is what a store keeps of a session, a code or a family: what it must find
// and compare, and the rest as bytes that it does not read.
type Row struct {
	// ID is the public id; of a code, that of the family that it will make.
	ID string
	// Session is the browser session that a code or family came from, "" for none.
	Session string
	// Device is, of a family, the device of an app that it belongs to, "" for none, and
	// Generation the one of the device that it is for. They are written, not read.
	Device     string
	Generation int64
	// Registers is, of a family, the device that is registered in the same step.
	Registers *device.Device
	Provider  string
	Subject   string
	Expires   time.Time
	// Keep is, of a code, until when its use must be remembered; at least Expires. Of
	// a session it is until when Arrivals gives it; zero is not at all.
	Keep time.Time
	// Seen is, of a session, its last request.
	Seen time.Time
	// NameID and SessionIndex are, of a session, the provider's own names for it, ""
	// where it has none. They are written and searched for, not read.
	NameID, SessionIndex string
	Data                 []byte
	// Arrival is, of a session, what Arrivals gives as Data: what of it may be known
	// when it has ended.
	Arrival []byte
}

// TokenRow is what a store keeps of an access or refresh token.
type TokenRow struct {
	Hash       Hash
	Refresh    bool
	Thumbprint string // "" or of the DPoP key that it is bound to
	// Used is set when a refresh token has been rotated, and UsedAt where it may be
	// used once more for a while after that.
	Used    bool
	UsedAt  time.Time
	Expires time.Time
}

// Store keeps everything of this package. Each method is atomic and has taken
// effect durably when it returns nil; an error that is neither ErrNotFound nor
// ErrReused leaves open whether it has. Rows are judged by the times given, not
// by a clock of the store.
type Store interface {
	SessionStore
	SignInStore
	TokenStore
	PeopleStore
	ListStore
}

// SessionStore keeps browser sessions.
type SessionStore interface {
	PutSession(ctx context.Context, token Hash, row Row) error
	// SessionByToken and SessionByID give ErrNotFound for none; age is the caller's to judge.
	SessionByToken(ctx context.Context, token Hash) (Row, error)
	SessionByID(ctx context.Context, id string) (Row, error)
	// TouchSession moves Seen forward, never back; an absent session is no error.
	TouchSession(ctx context.Context, id string, seen time.Time) error
	// EndSession removes a session with its consents and codes and ends its
	// families; an absent session is no error, and its families end all the same.
	EndSession(ctx context.Context, id string) error
}

// SignInStore keeps what a sign-in or an authorization leaves for its next step.
type SignInStore interface {
	PutPending(ctx context.Context, handle, browser Hash, data []byte, expires time.Time) error
	// TakePending removes and gives a row whose handle and browser are both right
	// and which has not expired; else ErrNotFound, and the row stays.
	TakePending(ctx context.Context, handle, browser Hash, now time.Time) ([]byte, error)
	PutCode(ctx context.Context, code Hash, row Row) error
	// TakeCode gives a row the first time. The second time it ends the family with
	// the row's ID, made or not, and gives ErrReused with the ID alone. Expired and
	// never taken is ErrNotFound.
	TakeCode(ctx context.Context, code Hash, now time.Time) (Row, error)
}

// TokenStore keeps families of tokens.
type TokenStore interface {
	// PutFamily makes a family with its first tokens; ErrNotFound where the session
	// that it names is gone or the family was ended before it was made. A family of a
	// device takes the place of the one that the device has; ErrNotFound where the
	// device is revoked or of another generation, or where another device has the key
	// of the one that is registered with it.
	PutFamily(ctx context.Context, row Row, tokens []TokenRow) error
	// FindToken gives a token, used or not, of a family that has not been ended.
	FindToken(ctx context.Context, token Hash) (TokenRow, Row, error)
	// Rotate marks a refresh token used and adds its successors. Where it was used
	// before, the family is ended and the answer is ErrReused; ErrNotFound where
	// token or family is gone.
	Rotate(ctx context.Context, old Hash, next []TokenRow) error
	// RotateAgain is Rotate for families whose clients may ask again for an answer that
	// was lost. A token that was used less than grace before now, once, and whose
	// successor has not been used, gets other successors beside those. The first use of
	// one ends its siblings, whose use then ends the family. The family ends at until.
	RotateAgain(ctx context.Context, old Hash, next []TokenRow, now time.Time, grace time.Duration, until time.Time) error
	// EndFamily removes the tokens of a family for good; its id cannot be used
	// again. An absent one is no error.
	EndFamily(ctx context.Context, id string) error
}

// PeopleStore keeps what belongs to people rather than to one sign-in.
type PeopleStore interface {
	// EndSubject is EndSession for all sessions and families of one subject.
	EndSubject(ctx context.Context, provider, subject string) error
	// EndUpstream is EndSession for all sessions that provider knows as nameID, of
	// those indexes if there are any; a session without an index is one of each. It
	// gives the sessions that it ended.
	EndUpstream(ctx context.Context, provider, nameID string, indexes []string) ([]Row, error)
	// ClaimName gives a name to whoever asks first and reports whether it is theirs.
	ClaimName(ctx context.Context, name, provider, subject string) (bool, error)
	// PutConsent gives ErrNotFound where the session is gone.
	PutConsent(ctx context.Context, session, client string) error
	HasConsent(ctx context.Context, session, client string) (bool, error)
}

// ListStore finds what is live, for those who want to end it. With provider ""
// the answer is about everybody. Of sessions those used last come first, of
// families those that live longest; at most limit of each. Age and idleness are
// the caller's to judge.
type ListStore interface {
	SessionsOf(ctx context.Context, provider, subject string, limit int) ([]Row, error)
	// FamiliesOf leaves out families that have been ended.
	FamiliesOf(ctx context.Context, provider, subject string, limit int) ([]Row, error)
	// Arrivals gives the newest sign-in of each person, the newest first, as
	// PutSession was given it, ended or not, until its Keep, which is Expires here.
	Arrivals(ctx context.Context, provider, subject string, limit int) ([]Row, error)
	// NameOwner is who has a name by ClaimName; "" is nobody. It claims nothing.
	NameOwner(ctx context.Context, name string) (provider, subject string, err error)
}
