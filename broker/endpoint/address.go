package endpoint

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress is the address of the peer, or, where the peer is a trusted
// proxy, the right-most entry of X-Forwarded-For that is not one.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := parseAddress(r.RemoteAddr)
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !isTrusted(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a := parseAddress(strings.TrimSpace(hop))
		if !a.IsValid() {
			return peer
		}
		if !isTrusted(a) {
			return a
		}
		peer = a
	}
	return peer
}

// parseAddress reads ADDRESS or ADDRESS:PORT; IPv4-mapped addresses become IPv4.
func parseAddress(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone("")
	}
	return netip.Addr{}
}
