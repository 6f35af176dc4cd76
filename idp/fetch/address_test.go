package fetch

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	const public, private, never = "public", "private", "never"
	for text, kind := range map[string]string{
		"93.184.216.34": public, "8.8.8.8": public, "172.32.0.1": public, "100.128.0.1": public, "192.167.255.255": public,
		"2606:4700::1111": public, "2a00:1450:4001::200e": public, "::ffff:8.8.8.8": public,
		"127.0.0.1": private, "127.255.0.9": private, "::1": private, "10.1.2.3": private, "172.16.0.1": private, "172.31.255.255": private,
		"192.168.1.1": private, "100.64.0.1": private, "fc00::1": private, "fd12:3456::1": private, "::ffff:10.0.0.1": private,
		"0.0.0.0": never, "::": never, "169.254.169.254": never, "169.254.0.1": never, "fe80::1": never, "fd00:ec2::254": never,
		"fd00:ec2::23": never, "100.100.100.200": never, "168.63.129.16": never, "fd20:ce::254": never,
		"64:ff9b::7f00:1": never, "64:ff9b:1::1": never, "2002:7f00:1::": never, "2001:0:1::1": never, "::127.0.0.1": never,
		"224.0.0.1": never, "ff02::1": never, "255.255.255.255": never, "240.0.0.1": never, "192.0.2.1": never, "198.18.0.1": never,
		"fec0::1": never, "2001:db8::1": never, "4000::1": never, "fe80::1%eth0": never, "2606:4700::1%eth0": never,
	} {
		addr := netip.MustParseAddr(text)
		if got := judgeAddr(addr, false) == nil; got != (kind == public) {
			t.Errorf("%s without allow_private: allowed %v", text, got)
		}
		if got := judgeAddr(addr, true) == nil; got != (kind != never) {
			t.Errorf("%s with allow_private: allowed %v", text, got)
		}
	}
}

func TestLoopbackNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "::1": true, "127.9.9.9": true,
		"localhost.example.com": false, "127.0.0.1.nip.io": false, "127.1": false, "0x7f.1": false, "localhost.": false, "10.0.0.1": false, "": false,
	} {
		if got := isLoopbackName(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestProxyOfTheConfigurationIsUsedAndThatOfTheEnvironmentIsNot(t *testing.T) {
	asked := make(chan string, 4)
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		http.Error(w, "no", http.StatusBadGateway)
	})
	t.Setenv("HTTPS_PROXY", proxy)
	t.Setenv("https_proxy", proxy)
	direct := client(t, Config{})
	if p := direct.http.Transport.(*guard).next.(*http.Transport).Proxy; p != nil {
		t.Error("the client without proxy asks for one")
	}
	through := client(t, Config{Proxy: proxy})
	failing(t, through, "https://idp.example.com/metadata?canary", "Bad Gateway")
	if got := <-asked; got != "CONNECT idp.example.com:443" {
		t.Errorf("the proxy was asked %q", got)
	}
	failing(t, through, "https://10.0.0.1/", "not public")
	failing(t, through, "https://169.254.169.254/", "not allowed")
	if len(asked) != 0 {
		t.Errorf("the proxy was asked for a private address: %s", <-asked)
	}
}

func TestLoopbackDoesNotGoThroughTheProxy(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "direct") })
	body, _, err := client(t, Config{Proxy: "http://127.0.0.1:9", AllowPrivate: true}).Get(t.Context(), url)
	if err != nil || string(body) != "direct" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestProxyThatIsNoURL(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"proxy:3128", "socks5://proxy", "http://", "://x", "http://u:canary@[bad"} {
		_, err := New(Config{Proxy: text})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
	g, transport := &guard{}, &http.Transport{}
	if err := g.useProxy(transport, &net.Dialer{}, "https://proxy.example.com"); err != nil {
		t.Error(err)
	}
}

// bomb is a megabyte of zeroes as gzip.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
