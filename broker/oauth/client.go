package oauth

import (
	"slices"
	"strconv"
	"strings"
)

// client is one registered application.
type client struct {
	id   string
	name string
	// app says that it is one of Config.Apps: its devices get their first tokens
	// elsewhere, and refresh them here.
	app       bool
	uris      []string
	providers []string
}

// App is one app of the configuration.
type App struct {
	Label string
	// RedirectURIs are where a sign-in in the browser may return, letter by letter; one on
	// loopback without a port stands for every port.
	RedirectURIs []string
	// Providers are those whose people may log in to the app.
	Providers []string
}

// cli is the client that people type commands to: public, native, on the machine of its user.
var cli = client{id: "rolecall-cli", name: "rolecall CLI"} // never written

// clientOf finds a client by its id.
func (s *Server) clientOf(id string) (client, bool) {
	if id == cli.id {
		return cli, true
	}
	a, ok := s.cfg.Apps[id]
	return client{id: id, name: a.Label, app: true, uris: a.RedirectURIs, providers: a.Providers}, ok
}

// loopback are the origins at which a program waits for its own browser.
var loopback = []string{"http://127.0.0.1", "http://[::1]"} // never written

// redirects reports whether the client may get its answer at uri: an app at one of
// its own, the command line at the path /callback of a literal loopback address. An
// address there without a port stands for every port (RFC 8252 section 7.3). The bytes
// are compared, not a parser's reading of them.
func (c client) redirects(uri string) bool {
	if c.app {
		return uri != "" && slices.ContainsFunc(c.uris, func(own string) bool { return own == uri || anyPort(own, uri) })
	}
	return slices.ContainsFunc(loopback, func(origin string) bool {
		return uri == origin+"/callback" || anyPort(origin+"/callback", uri)
	})
}

// anyPort reports whether uri is own, an address on loopback without a port, with one.
func anyPort(own, uri string) bool {
	for _, origin := range loopback {
		path, ok := strings.CutPrefix(own, origin)
		if !ok || !strings.HasPrefix(path, "/") {
			continue
		}
		rest, ok := strings.CutPrefix(uri, origin)
		port, tail := strings.CutSuffix(rest, path)
		return ok && tail && isPort(port)
	}
	return false
}

// isPort accepts :1 to :65535 without leading zeros.
func isPort(s string) bool {
	digits, ok := strings.CutPrefix(s, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	return ok && err == nil && n > 0 && strconv.FormatUint(n, 10) == digits
}
