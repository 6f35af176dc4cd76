package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func fetchAsset(t *testing.T, pages *Pages, path, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	return ask(t, pages, r, nil)
}

func TestAnAssetIsKeptForEverAndComesCompressed(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	for path, kind := range map[string]string{pages.assets.Style: "text/css; charset=utf-8", pages.assets.Script: "text/javascript; charset=utf-8", pages.assets.Icon: "image/svg+xml"} {
		zipped := fetchAsset(t, pages, path, "br;q=1.0, gzip")
		if got := zipped.Header().Get("Content-Type"); got != kind {
			t.Errorf("%s: Content-Type is %q", path, got)
		}
		if got := zipped.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
		if got := zipped.Header().Get("Content-Encoding"); got != "gzip" {
			t.Errorf("%s: Content-Encoding is %q", path, got)
		}
		reader, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if plain := fetchAsset(t, pages, path, "gzip;q=0"); plain.Header().Get("Content-Encoding") != "" || !bytes.Equal(content, plain.Body.Bytes()) {
			t.Errorf("%s: plain and compressed content differ", path)
		}
	}
}

func TestTheIconAnswersAtItsOldAddressToo(t *testing.T) {
	t.Parallel()
	w := fetchAsset(t, newPages(t, Config{}), "/favicon.ico", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/svg+xml" {
		t.Errorf("answers %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
}

func TestAnOldDigestIsNotFound(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	for _, path := range []string{"/assets/rolecall-000000000000.css", "/assets/..%2f..%2fpage.go", "/assets/1-tokens.css"} {
		if w := fetchAsset(t, pages, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

// The budgets are those of the visual reference: style sheet and script included.
func TestPagesStayWithinTheirBudgetCompressed(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	common := len(pages.assets.byName[strings.TrimPrefix(pages.assets.Style, "/assets/")].zipped) +
		len(pages.assets.byName[strings.TrimPrefix(pages.assets.Script, "/assets/")].zipped)
	for _, c := range []struct {
		name     string
		accounts int
		budget   int
	}{{"20 accounts", 20, 18 << 10}, {"300 accounts with 8 roles each", 300, 49 << 10}} {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := ask(t, pages, r, func(w http.ResponseWriter, r *http.Request) error {
			return pages.Home(w, r, Home{Person: alice, Accounts: manyAccounts(c.accounts, 8)})
		})
		if w.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: the page is not compressed", c.name)
		}
		size := w.Body.Len() + common
		t.Logf("%s: %d bytes, of them %d style sheet and script", c.name, size, common)
		if size > c.budget {
			t.Errorf("%s: %d bytes compressed, at most %d", c.name, size, c.budget)
		}
	}
}

func TestAPageThatRepeatsTheRequestIsNotCompressed(t *testing.T) {
	t.Parallel()
	pages := newPages(t, Config{})
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := ask(t, pages, r, func(w http.ResponseWriter, r *http.Request) error {
		return pages.Home(w, r, Home{Query: "guess of the token"})
	})
	if got := w.Header().Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding is %q: with the token in it, lengths would tell", got)
	}
}

func TestAcceptEncodingIsReadAsTheRFCSays(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{"": false, "gzip": true, "deflate, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "x-gzip": false, "br": false, "gzip;q=x": false} {
		if got := takesGzip(header); got != want {
			t.Errorf("takesGzip(%q) = %v", header, got)
		}
	}
}
