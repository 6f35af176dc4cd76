package oauth_test

import (
	"context"
	"sync"
	"time"

	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
)

// memory is a session.Store, as far as this service reaches it, and a replay
// cache. fails is what every method answers where it is set.
type memory struct {
	session.SessionStore // what is not implemented here panics
	session.ListStore

	mu       sync.Mutex
	fails    error
	sessions map[string]bool // live ones
	consents map[string]bool
	codes    map[session.Hash]*keptCode
	families map[string]session.Row
	ended    map[string]bool
	tokens   map[session.Hash]*keptToken
	proofs   map[string]time.Time
}

type keptCode struct {
	row   session.Row
	taken bool
}

type keptToken struct {
	session.TokenRow
	family string
}

func newMemory() *memory {
	return &memory{
		sessions: map[string]bool{"session-1": true, "session-2": true}, consents: map[string]bool{}, codes: map[session.Hash]*keptCode{},
		families: map[string]session.Row{}, ended: map[string]bool{}, tokens: map[session.Hash]*keptToken{}, proofs: map[string]time.Time{},
	}
}

func (m *memory) lock() func() {
	m.mu.Lock()
	return m.mu.Unlock
}

// signOut is what EndSession does.
func (m *memory) signOut(id string) {
	defer m.lock()()
	delete(m.sessions, id)
	for _, c := range m.codes {
		if c.row.Session == id {
			m.ended[c.row.ID] = true
		}
	}
	for family, row := range m.families {
		if row.Session == id {
			m.ended[family] = true
		}
	}
}

func (m *memory) PutConsent(_ context.Context, id, client string) error {
	defer m.lock()()
	if m.fails == nil && !m.sessions[id] {
		return session.ErrNotFound
	}
	m.consents[id+" "+client] = true
	return m.fails
}

func (m *memory) HasConsent(_ context.Context, id, client string) (bool, error) {
	defer m.lock()()
	return m.consents[id+" "+client], m.fails
}

func (m *memory) PutCode(_ context.Context, code session.Hash, row session.Row) error {
	defer m.lock()()
	m.codes[code] = &keptCode{row: row}
	return m.fails
}

func (m *memory) TakeCode(_ context.Context, code session.Hash, now time.Time) (session.Row, error) {
	defer m.lock()()
	c, ok := m.codes[code]
	switch {
	case m.fails != nil:
		return session.Row{}, m.fails
	case ok && c.taken:
		m.ended[c.row.ID] = true
		return session.Row{ID: c.row.ID}, session.ErrReused
	case !ok || !now.Before(c.row.Expires):
		return session.Row{}, session.ErrNotFound
	}
	c.taken = true
	return c.row, nil
}

func (m *memory) PutFamily(_ context.Context, row session.Row, tokens []session.TokenRow) error {
	defer m.lock()()
	if m.fails == nil && (row.Session != "" && !m.sessions[row.Session] || m.ended[row.ID]) {
		return session.ErrNotFound
	}
	m.families[row.ID] = row
	m.add(row.ID, tokens)
	return m.fails
}

func (m *memory) add(family string, tokens []session.TokenRow) {
	for _, t := range tokens {
		m.tokens[t.Hash] = &keptToken{t, family}
	}
}

func (m *memory) FindToken(_ context.Context, token session.Hash) (session.TokenRow, session.Row, error) {
	defer m.lock()()
	t, ok := m.tokens[token]
	if m.fails != nil {
		return session.TokenRow{}, session.Row{}, m.fails
	}
	if !ok || m.ended[t.family] {
		return session.TokenRow{}, session.Row{}, session.ErrNotFound
	}
	return t.TokenRow, m.families[t.family], nil
}

func (m *memory) Rotate(_ context.Context, old session.Hash, next []session.TokenRow) error {
	defer m.lock()()
	t, ok := m.tokens[old]
	switch {
	case m.fails != nil:
		return m.fails
	case !ok || m.ended[t.family]:
		return session.ErrNotFound
	case t.Used:
		m.ended[t.family] = true
		return session.ErrReused
	}
	t.Used = true
	m.add(t.family, next)
	return nil
}

func (m *memory) RotateAgain(context.Context, session.Hash, []session.TokenRow, time.Time, time.Duration, time.Time) error {
	panic("not asked for")
}

func (m *memory) EndFamily(_ context.Context, id string) error {
	defer m.lock()()
	m.ended[id] = true
	return m.fails
}

func (m *memory) Use(_ context.Context, scope, key string, until time.Time) error {
	defer m.lock()()
	if _, there := m.proofs[scope+" "+key]; there {
		return replay.ErrReplayed
	}
	m.proofs[scope+" "+key] = until
	return m.fails
}

// What nobody asks for here.

func (m *memory) PutPending(context.Context, session.Hash, session.Hash, []byte, time.Time) error {
	panic("not asked for")
}

func (m *memory) TakePending(context.Context, session.Hash, session.Hash, time.Time) ([]byte, error) {
	panic("not asked for")
}

func (m *memory) EndSubject(context.Context, string, string) error { panic("not asked for") }
func (m *memory) EndUpstream(context.Context, string, string, []string) ([]session.Row, error) {
	panic("not asked for")
}

func (m *memory) ClaimName(context.Context, string, string, string) (bool, error) {
	panic("not asked for")
}
