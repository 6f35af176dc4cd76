// Package apps is what devices of apps do before they get credentials: show that
// they hold their key, register it, change it, give it up, and become the device of
// somebody who has logged in. It gives the tokens that say which device calls;
// package oauth refreshes them.
//
//	Register      register.go      a key becomes a device, and gets tokens
//	Rotate        rotate.go        the old key signs for a new one
//	Devices, Revoke   revoke.go    the person's devices; one ends
//	Authenticate  authenticate.go  a token with a proof becomes a broker.Caller
//	LogIn         login.go         somebody has proved who they are, on this device
//
// Every proof here needs a nonce of this server, so that a phone with a wrong clock
// gets in and an old proof does not. That a proof counts once is remembered by each
// node for itself, for the two minutes for which its nonce is good.
//
// States of a device's tokens: registered -> refreshed every ten minutes while it is
// used -> ended by refresh_max without use, by a login, a new key, or revocation. One
// device has one family of tokens; the same key registers again for another one.
package apps
