// Package session keeps what the broker must remember of people between two
// requests: sign-ins that are under way, browser sessions, authorization codes,
// token families, consents, and who owns a session name.
//
//	Keep, Take                           pending.go   a sign-in at a provider, taken once by the browser that began it (10 min)
//	Create, Get, ByID, End, EndAll       session.go   a browser session (max and idle life)
//	IDToken                              idtoken.go   what the provider wants at sign-out, sealed
//	KeepLogin, TakeLogin                 pending.go   somebody sent here unasked, until they confirm it (10 min)
//	EndUpstream                          session.go   the sessions that a provider says have ended
//	KeepCode, TakeCode                   code.go      an authorization code, used once (60 s)
//	Tokens: Begin, Rotate, Access, ...   token.go     access tokens (10 min) and rotating refresh tokens, in families
//	Live                                 list.go      what of a person, or of everybody, is live now
//	Consent, Consented, ClaimName        people.go    consent per browser session and client; session names
//
// Secrets (cookie values, handles, codes, tokens) are 256 random bits; the store
// gets their SHA-256 only and never sees one. A session and a family also have a
// public id, which is no secret and opens nothing.
//
// States of a session: live -> ended by sign-out | too old | idle. Sign-out ends
// the codes, consents and token families made from the session in the same
// transaction; age and idleness end the session alone, because a command line may
// outlive the browser up to its family's Until. States of a refresh token: fresh -> used
// (its successor is fresh) ; a second use ends the family.
//
// Everything that counts once is consumed by one atomic operation of the store,
// so that two nodes cannot both win.
package session
