// Package endpoint is the HTTP edge. Every request passes, in this order:
//
//	request id, panic barrier, access log      edge.go
//	Host check (421), client address           edge.go, address.go
//	security headers, body limit (413)         headers.go, edge.go
//	the route of one endpoint package          mux.go
//	the error adapter of its protocol          problem.go
//
// One sub-package per wire protocol translates it into a call of a service
// (broker, broker/oauth) and the answer back; it mounts itself on a Mux. None
// of them holds a rule about who may have what.
package endpoint
