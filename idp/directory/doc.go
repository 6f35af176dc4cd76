// Package directory is the built-in user directory: people with an e-mail address,
// a password, and where they want it a second factor or passkeys. It is for the
// people of apps, and a sign-in of last resort for the portal.
//
//	Register, Confirm                  register.go  a person, once the code from the mail is typed on the same device
//	AskReset, Invite, Reset            reset.go     a new password by a code or a link
//	AskEmail, ConfirmEmail             email.go     another address, by a code sent to it
//	Check, ChangePassword              password.go  argon2id, the same work for strangers
//	BeginTOTP, ConfirmTOTP, CheckCode  totp.go      codes that count once; recovery codes
//	BeginPasskey ... FinishLogin       passkey.go   WebAuthn with user verification
//	VerifyPassword, AnswerChallenge    signin.go    the same as idp's vocabulary, for the portal
//	Add, List, Change, Delete          people.go    what operators and people do with entries
//
// States of a person: asked (a code is out; nothing is there yet) -> person ->
// disabled <-> person -> deleted. A subject is random and is never used again.
//
// States of a code: out (10 to 15 minutes, five tries) -> taken once | spent | too
// old. A code belongs to who asked for it (the holder: a device, a browser): a
// code that somebody else asked for in one's name is of no use to them without the
// mail, and of no use to the owner of the mail either, so nobody is made to confirm
// a password that a stranger has chosen.
//
// Nobody learns from an answer, or from the time that it takes, who has an entry:
// where there is none, the same hash is computed and the same row written.
//
// Secrets are hashed (passwords, recovery codes) and then, together with what must
// be kept readable (TOTP secrets), sealed with the key file: a copy of the store
// alone gives nobody anything to guess at.
package directory
