package fetch

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// private opens with AllowPrivate.
func privateRanges() []netip.Prefix {
	return prefixes("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
}

// shutRanges never opens: this network, link-local, protocol assignments,
// documentation, benchmarks, multicast, reserved, IPv4 inside IPv6 (compatible,
// NAT64, 6to4, Teredo), discard, site-local, and the clouds' metadata addresses.
func shutRanges() []netip.Prefix {
	return prefixes(
		"0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
		"5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8",
		"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::/32",
	)
}

// judgeAddr refuses an address that is not public, or with private one that is
// neither public nor private.
func judgeAddr(addr netip.Addr, private bool) error {
	addr = addr.Unmap()
	if addr.Zone() != "" {
		return fmt.Errorf("address %s with a zone is not allowed", addr)
	}
	holds := func(p netip.Prefix) bool { return p.Contains(addr) }
	open := slices.ContainsFunc(privateRanges(), holds)
	switch {
	case addr == netip.IPv6Loopback() && private:
		return nil
	case slices.ContainsFunc(shutRanges(), holds):
		return fmt.Errorf("address %s is not allowed", addr)
	case open && private:
		return nil
	case open:
		return fmt.Errorf("address %s is not public; allow_private would allow it", addr)
	case addr.Is6() && !netip.MustParsePrefix("2000::/3").Contains(addr):
		return fmt.Errorf("address %s is not allowed", addr)
	}
	return nil
}

// isLoopbackName reports whether a host of a URL is loopback by its very text.
func isLoopbackName(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
