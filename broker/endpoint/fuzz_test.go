package endpoint

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzLocalPath: where somebody goes on to is on this site for every reader: the
// standard library's and a browser's, which takes \ for / and drops tabs and breaks.
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/keys?role=a/b", "//evil.example", "/\\evil.example", "/\t/evil.example", "/..//evil.example", "https://evil.example", "/x\r\nSet-Cookie: a=b", "/%2f/evil.example", "/@evil.example", "?x", "/#//evil.example"} {
		f.Add(seed)
	}
	base := &url.URL{Scheme: "https", Host: "sso.example.com", Path: "/oidc/staff/callback"}
	f.Fuzz(func(t *testing.T, asked string) {
		got := LocalPath(asked)
		if got != asked && got != "/" {
			t.Fatalf("%q became %q", asked, got)
		}
		browser := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(strings.TrimSpace(got))
		if !strings.HasPrefix(browser, "/") || strings.HasPrefix(browser, "//") {
			t.Errorf("%q leads a browser away", got)
		}
		if strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q breaks out of a header", got)
		}
		to, err := base.Parse(got)
		if err == nil && (to.Host != base.Host || to.Scheme != base.Scheme || to.User != nil) {
			t.Errorf("%q leads to %s", got, to)
		}
	})
}

// FuzzClientAddress: whoever is not a trusted proxy is themselves, whatever they say;
// behind one, nobody can name an address that the proxy did not see.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range []string{"", "192.0.2.7", "192.0.2.7, 10.0.0.1", "evil", "::ffff:10.0.0.1", "[2001:db8::1]:443, 198.51.100.7", ",,,", "127.0.0.1\x00", "fe80::1%eth0"} {
		f.Add("198.51.100.9:1234", seed)
		f.Add("10.0.0.1:1234", seed)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		peer, got := parseAddress(remote), clientAddress(r, trusted)
		hops := strings.Split(forwarded, ",")
		last := parseAddress(strings.TrimSpace(hops[len(hops)-1]))
		switch {
		case !trusted[0].Contains(peer) && got != peer:
			t.Errorf("a stranger at %s is taken for %s by saying %q", peer, got, forwarded)
		case trusted[0].Contains(peer) && last.IsValid() && !trusted[0].Contains(last) && got != last:
			t.Errorf("the proxy saw %s, and %s is believed", last, got)
		case trusted[0].Contains(peer) && !last.IsValid() && got != peer:
			t.Errorf("of %q the address %s is believed", forwarded, got)
		}
	})
}
