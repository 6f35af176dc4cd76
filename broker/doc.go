// Package broker is the path to credentials and nothing else, one file per verb:
//
//	Begin, SignIn   signin.go    evidence of a provider becomes a session
//	Session         session.go   a cookie becomes a Caller
//	Roles           roles.go     what policy lets the caller have
//	Vend            vend.go      a granted role becomes credentials
//	Console         console.go   a granted role becomes a console address
//	Exchange        exchange.go  a token that a program brings becomes credentials; Admit makes it a Caller
//	Explain         explain.go   the same decision, printed
//	Departed        departed.go  a provider says that somebody has signed out there
//	SignOut         signout.go   a session ends
//
// States of a sign-in: begun (pending row, bound to the browser) -> taken (once)
// -> session | refused. States of an order: limit -> decision -> intent on disk
// -> STS -> outcome. Each step is audited; a failure to audit stops the order.
package broker
