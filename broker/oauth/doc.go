// Package oauth is the authorization server for the command line (OAuth 2.1 with
// PKCE, OpenID Connect, DPoP). It never vends: a token only says who calls.
//
//	Authorize, Decide   authorize.go     a browser's session becomes a code
//	Token               token.go         a code or refresh token becomes tokens
//	Exchange            exchange.go      evidence that a program brings becomes an access token (RFC 8693)
//	StartDevice, FindDevice, AnswerDevice   device.go   a person answers for a program elsewhere (RFC 8628)
//	Introspect          introspect.go    what a token is worth, for its own client (RFC 7662)
//	Revoke              revoke.go        a family of tokens ends (RFC 7009)
//	Authenticate        authenticate.go  an access token becomes a broker.Caller
//
// States of a code: kept (60 s) -> taken, once -> tokens | refused; taken again,
// its tokens end. States of a family: made by a code -> its refresh token rotates
// -> ended by age, by sign-out, by revocation, or by a second use of a refresh token.
//
// There is one client with redirects, rolecall-cli: public, on loopback. The apps of
// the configuration refresh the tokens of their devices here (package apps gives the
// first ones): always bound to the device's key, and a refresh token that was used
// within the last 30 seconds may be used once more by the same key. Every grant and
// refusal is recorded before it is answered.
package oauth
