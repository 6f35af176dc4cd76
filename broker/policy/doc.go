// Package policy decides who may have what. It is pure: Compile once, Decide
// often; no clock, network, file or store of its own (files that a grant names
// are read at Compile through a function that is handed in).
//
//	config.Grant --Compile--> grant   selectors, conditions (CEL), targets (roles), templates
//	identity, ask --Decide--> granted   every selector and condition holds, every value fits
//	                          denied    selected, but a condition, a deny or a bad value withholds
//	                          trace     which test of which grant held (Explain only)
//
// The order within Decide: candidates by index (group, user, the few that can
// select anybody) -> denying grants -> allowing grants in file order -> for each
// role: deny, when, require, values. What cannot be evaluated does not hold for
// an allowing grant and holds for a denying one.
//
// Explain is Decide over all grants with the trace; both run the same code, and
// a test holds them to the same answer.
package policy
