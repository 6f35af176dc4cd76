package oauth

import (
	"strconv"
	"strings"
)

// client is one registered application.
type client struct {
	id   string
	name string
	// app says that it is one of Config.Apps: its devices get their tokens elsewhere,
	// and refresh them here.
	app bool
}

// cli is the client that people type commands to: public, native, on the machine of its user.
var cli = client{id: "rolecall-cli", name: "rolecall CLI"} // never written

// clientOf finds a client by its id.
func (s *Server) clientOf(id string) (client, bool) {
	if id == cli.id {
		return cli, true
	}
	name, ok := s.cfg.Apps[id]
	return client{id: id, name: name, app: true}, ok
}

// redirects reports whether the client may get its answer at uri (RFC 8252
// section 7.3): a literal loopback address, any port, the path /callback and
// nothing else. The bytes are compared, not a parser's reading of them.
func (client) redirects(uri string) bool {
	for _, origin := range []string{"http://127.0.0.1", "http://[::1]"} {
		if rest, ok := strings.CutPrefix(uri, origin); ok {
			port, ok := strings.CutSuffix(rest, "/callback")
			return ok && (port == "" || isPort(port))
		}
	}
	return false
}

// isPort accepts :1 to :65535 without leading zeros.
func isPort(s string) bool {
	digits, ok := strings.CutPrefix(s, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	return ok && err == nil && n > 0 && strconv.FormatUint(n, 10) == digits
}
