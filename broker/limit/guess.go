package limit

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/config"
)

// GuessConfig is what Guesses are made of. Now is required; a rate that is unset is
// the default.
type GuessConfig struct {
	// PerDevice is for a device that the account is known on: 10/h.
	PerDevice config.Rate
	// PerPair is for strangers of one address at one account: 5/h.
	PerPair config.Rate
	// PerAccount is for all strangers at one account together: 30/h. It must be several
	// times PerPair, or one stranger uses it up.
	PerAccount config.Rate
	// PerAddress is for strangers of one address at all accounts together: 100/h.
	PerAddress config.Rate
	// Store counts; nil is a NewMemory of this process.
	Store Store
	Now   func() time.Time
}

// Guesses slow the guessing of what people know: passwords and codes. Only wrong
// guesses count, since Right gives back what Try took; a guess is counted before it
// is judged, so that a thousand at once are no more than one after the other.
//
//	a device that the account is known on      its own count, and no other
//	a stranger     address at all accounts     stuffing: many names, one address
//	               address at one account      guessing: one name, one address
//	               everybody at one account    guessing: one name, many addresses
//
// Nobody is locked out: what a stranger uses up is the strangers' count. The owner's
// devices have theirs, other ways in (a passkey, a provider, a mailed code) are not
// counted here, and each wait ends by itself. It is safe for concurrent use.
type Guesses struct{ cfg GuessConfig }

// Guess is one try.
type Guess struct {
	// Kind is what is guessed: "password", "totp". Each is counted by itself.
	Kind string
	// Account is whose secret it is, by its id or, where there is no such account, by
	// what was typed, in one spelling (both must look alike from outside).
	Account string
	Address netip.Addr
	// Device is empty, a stranger, unless what tries has proved to be a device or
	// browser (a key, a cookie of ours) from which this very account has signed in
	// before. Never what the client says of itself.
	Device string
}

// NewGuesses makes Guesses.
func NewGuesses(c GuessConfig) *Guesses {
	c.PerDevice = orDefault(c.PerDevice, config.Rate{Events: 10, Period: time.Hour})
	c.PerPair = orDefault(c.PerPair, config.Rate{Events: 5, Period: time.Hour})
	c.PerAccount = orDefault(c.PerAccount, config.Rate{Events: 30, Period: time.Hour})
	c.PerAddress = orDefault(c.PerAddress, config.Rate{Events: 100, Period: time.Hour})
	if c.Store == nil {
		c.Store = NewMemory(0)
	}
	return &Guesses{c}
}

// Try counts a guess. Where it is not allowed the secret must not be looked at, not
// even to find out that it would have been right.
func (g *Guesses) Try(guess Guess) Decision {
	now := g.cfg.Now()
	counts := g.counts(guess)
	least := Decision{Allowed: true}
	for i, c := range counts {
		decision := g.cfg.Store.Take(c.key, c.rate, now)
		if !decision.Allowed {
			for _, taken := range counts[:i] {
				g.cfg.Store.Return(taken.key, taken.rate, now)
			}
			return decision
		}
		if i == 0 || decision.Remaining < least.Remaining {
			least = decision
		}
	}
	return least
}

// Right gives back what Try took: the guess was no guess.
func (g *Guesses) Right(guess Guess) {
	now := g.cfg.Now()
	for _, c := range g.counts(guess) {
		g.cfg.Store.Return(c.key, c.rate, now)
	}
}

type count struct {
	key  Key
	rate config.Rate
}

// counts are those of a guess, the narrowest of a stranger's last but one: what a
// single address may do never uses up what all share.
func (g *Guesses) counts(guess Guess) []count {
	kind := "guess." + guess.Kind
	if guess.Device != "" {
		return []count{{Key{Kind: kind + ".device", Subject: digest(guess.Account, guess.Device)}, g.cfg.PerDevice}}
	}
	from := network(guess.Address)
	return []count{
		{Key{Kind: kind + ".address", Address: from}, g.cfg.PerAddress},
		{Key{Kind: kind + ".pair", Address: from, Subject: digest(guess.Account)}, g.cfg.PerPair},
		{Key{Kind: kind + ".account", Subject: digest(guess.Account)}, g.cfg.PerAccount},
	}
}

// digest is a short name of texts, each with its length, so that no two lists of
// texts have one.
func digest(texts ...string) string {
	var b []byte
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}
