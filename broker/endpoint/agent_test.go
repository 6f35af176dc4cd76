package endpoint

import (
	"strings"
	"testing"
)

func TestABrowserIsNamedByAWord(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36":                            "Chrome on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                          "Chrome on ChromeOS",
		"curl/8.5.0":                          "curl 8.5.0",
		"rolecall/1.2.3 (linux; amd64)":       "rolecall 1.2.3",
		"":                                    "",
		"Go-http-client/1.1":                  "Go-http-client 1.1",
		"\x1b[31mred/1":                       "[31mred 1",
		"na\u202eme/1":                        "name 1",
		strings.Repeat("x", 500) + "/1 more":  strings.Repeat("x", 40),
		"<script>alert(1)</script>/9 Mozilla": "<script>alert(1)< script>/9",
	} {
		if got := agent(header); got != want {
			t.Errorf("%.60q is %q, want %q", header, got, want)
		}
	}
}
