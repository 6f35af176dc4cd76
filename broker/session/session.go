package session

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// Defaults of Config and lives that are not configured.
const (
	defaultMax  = 12 * time.Hour
	defaultIdle = time.Hour
	pendingLife = 10 * time.Minute
	codeLife    = time.Minute
	accessLife  = 10 * time.Minute
	// touchEvery bounds how often a session in use is written.
	touchEvery = time.Minute
	// arrivalsKept is for how long a person's newest sign-in is remembered.
	arrivalsKept = 90 * 24 * time.Hour
)

// Config is what Sessions are made of. Store and Now are required.
type Config struct {
	Store Store
	// Max and Idle bound a browser session; zero is 12 h and 1 h.
	Max, Idle time.Duration
	Now       func() time.Time
	// Sealer encrypts what a logout at the provider needs; without one that is not kept.
	Sealer sealer
}

// Sessions is the memory of the broker. It is safe for concurrent use and keeps
// nothing itself: any node may answer any request.
type Sessions struct {
	cfg    Config
	claims claims
}

// NewSessions makes a Sessions.
func NewSessions(config Config) *Sessions {
	if config.Max <= 0 {
		config.Max = defaultMax
	}
	if config.Idle <= 0 {
		config.Idle = defaultIdle
	}
	return &Sessions{cfg: config}
}

// New is a sign-in that becomes a session.
type New struct {
	Login idp.Login
	Via   string
	// Address and Agent are where it was made: the client's address, and a word for
	// the browser ("Firefox on Linux"); "" is not known.
	Address, Agent string
}

// Session is one browser session of one person.
type Session struct {
	// ID is public: it names the session in the record, and opens nothing.
	ID       string
	Identity idp.Identity
	// Upstream is what a logout at the provider needs. Its IDToken is read by IDToken.
	Upstream idp.Upstream
	Via      string
	// Address and Agent are as of New.
	Address, Agent string
	// Since is the sign-in, Expires the end at the latest: Max after it, or NotAfter.
	Since, Expires time.Time
	// NotAfter is when the provider ends its own session; zero where it did not say.
	NotAfter time.Time
	// LastSeen is the last request, up to a minute late.
	LastSeen time.Time

	idToken []byte // sealed
}

// sessionData is what the store does not read.
type sessionData struct {
	Identity idp.Identity `json:"identity"`
	Upstream upstream     `json:"upstream"`
	Via      string       `json:"via"`
	Address  string       `json:"address,omitempty"`
	Agent    string       `json:"agent,omitempty"`
	Since    time.Time    `json:"since"`
	NotAfter time.Time    `json:"not_after,omitzero"`
	IDToken  []byte       `json:"id_token,omitempty"` // sealed
}

// upstream is idp.Upstream without its secret.
type upstream struct {
	NameID          string `json:"name_id,omitempty"`
	NameIDFormat    string `json:"name_id_format,omitempty"`
	NameQualifier   string `json:"name_qualifier,omitempty"`
	SPNameQualifier string `json:"sp_name_qualifier,omitempty"`
	SessionIndex    string `json:"session_index,omitempty"`
	Sid             string `json:"sid,omitempty"`
}

func kept(up idp.Upstream) upstream {
	return upstream{up.NameID, up.NameIDFormat, up.NameQualifier, up.SPNameQualifier, up.SessionIndex, up.Sid}
}

func (up upstream) full() idp.Upstream {
	return idp.Upstream{
		NameID: up.NameID, NameIDFormat: up.NameIDFormat, NameQualifier: up.NameQualifier,
		SPNameQualifier: up.SPNameQualifier, SessionIndex: up.SessionIndex, Sid: up.Sid,
	}
}

// Create makes a session and gives the cookie's value. Each call makes a new
// secret, so a value planted before the sign-in is worth nothing after it. A
// login whose NotAfter has passed is ErrNotFound: the provider's session is over.
func (s *Sessions) Create(ctx context.Context, n New) (token string, made Session, err error) {
	now, up := s.cfg.Now(), n.Login.Upstream
	made = Session{
		ID: newID(), Identity: n.Login.Identity, Upstream: up, Via: n.Via, Address: n.Address, Agent: n.Agent,
		Since: now, Expires: earlier(now.Add(s.cfg.Max), n.Login.NotAfter), NotAfter: n.Login.NotAfter, LastSeen: now,
	}
	if !made.Expires.After(now) {
		return "", Session{}, fmt.Errorf("the provider's session has ended: %w", ErrNotFound)
	}
	made.Upstream.IDToken = secret.String{}
	made.idToken = s.sealIDToken(made.ID, up.IDToken)
	record := sessionData{
		Identity: made.Identity, Via: made.Via, Since: made.Since, NotAfter: made.NotAfter,
		Upstream: kept(up), Address: made.Address, Agent: made.Agent,
	}
	arrival, err := json.Marshal(record) // without the ID token, which ends with the session
	if err != nil {
		return "", Session{}, fmt.Errorf("encode a session: %w", err)
	}
	data := arrival
	if record.IDToken = made.idToken; len(record.IDToken) > 0 {
		if data, err = json.Marshal(record); err != nil {
			return "", Session{}, fmt.Errorf("encode a session: %w", err)
		}
	}
	token = NewHandle()
	err = s.cfg.Store.PutSession(ctx, hash(token), Row{
		ID: made.ID, Provider: made.Identity.Provider, Subject: made.Identity.Subject,
		Expires: made.Expires, Keep: now.Add(arrivalsKept), Seen: now, Data: data, Arrival: arrival, NameID: up.NameID, SessionIndex: up.SessionIndex,
	})
	if err != nil {
		return "", Session{}, fmt.Errorf("keep a session: %w", err)
	}
	return token, made, nil
}

// Get gives the live session whose cookie holds token and notes that it is in use.
func (s *Sessions) Get(ctx context.Context, token string) (Session, error) {
	key, err := lookup(token)
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	row, err := s.cfg.Store.SessionByToken(ctx, key)
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	found, err := s.live(row)
	if err != nil {
		return Session{}, err
	}
	now := s.cfg.Now()
	if now.Sub(found.LastSeen) >= min(touchEvery, s.cfg.Idle/10) {
		if err := s.cfg.Store.TouchSession(ctx, found.ID, now); err != nil {
			return Session{}, fmt.Errorf("note a session's use: %w", err)
		}
		found.LastSeen = now
	}
	return found, nil
}

// ByID gives a live session by its public id. It does not count as use.
func (s *Sessions) ByID(ctx context.Context, id string) (Session, error) {
	row, err := s.cfg.Store.SessionByID(ctx, id)
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	return s.live(row)
}

// End ends a session for good, with every code, consent and token made from it.
func (s *Sessions) End(ctx context.Context, id string) error {
	return s.cfg.Store.EndSession(ctx, id)
}

// EndAll is End for every session and token family of one person.
func (s *Sessions) EndAll(ctx context.Context, provider, subject string) error {
	return s.cfg.Store.EndSubject(ctx, provider, subject)
}

// EndUpstream is End for every session that a provider knows as nameID, of those
// indexes if there are any; with indexes alone, whoever's they are. It gives what it ended, live or not.
func (s *Sessions) EndUpstream(ctx context.Context, provider, nameID string, indexes []string) ([]Session, error) {
	if nameID == "" && len(indexes) == 0 {
		return nil, fmt.Errorf("end the sessions of a provider's logout: it names nobody")
	}
	rows, err := s.cfg.Store.EndUpstream(ctx, provider, nameID, indexes)
	if err != nil {
		return nil, fmt.Errorf("end the sessions of a provider's logout: %w", err)
	}
	ended := make([]Session, len(rows))
	for i, row := range rows {
		if ended[i], err = decode(row); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// live decodes a row that is neither too old nor idle.
func (s *Sessions) live(row Row) (Session, error) {
	now := s.cfg.Now()
	if !now.Before(row.Expires) || !now.Before(row.Seen.Add(s.cfg.Idle)) {
		return Session{}, fmt.Errorf("session: expired: %w", ErrNotFound)
	}
	return decode(row)
}

func decode(row Row) (Session, error) {
	var data sessionData
	if err := json.Unmarshal(row.Data, &data); err != nil {
		return Session{}, fmt.Errorf("session %s: the store's data cannot be read: %w", row.ID, err)
	}
	return Session{
		ID: row.ID, Identity: data.Identity, Via: data.Via, Address: data.Address, Agent: data.Agent, Since: data.Since,
		Expires: row.Expires, NotAfter: data.NotAfter, LastSeen: row.Seen,
		Upstream: data.Upstream.full(), idToken: data.IDToken,
	}, nil
}

// earlier is the earlier of a and bound; a zero bound is none.
func earlier(a, bound time.Time) time.Time {
	if !bound.IsZero() && bound.Before(a) {
		return bound
	}
	return a
}
