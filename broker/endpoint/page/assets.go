package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/rolecall/rolecall/broker/endpoint"
)

//go:embed static
var static embed.FS

// asset is a file that browsers keep for ever, plain and compressed.
type asset struct {
	kind          string
	plain, zipped []byte
}

// assets are all of them by name, and the addresses that pages use.
type assets struct {
	Style, Script, Icon string
	Admin               string // the further style sheet of administration
	Passkey             string // the further script of the passkey page
	byName              map[string]asset
}

// loadAssets joins the parts of the style sheet and of the script in the order
// of their names, and names each by a digest of its content.
func loadAssets() (assets, error) {
	a := assets{byName: map[string]asset{}}
	var err error
	add := func(pattern, base, ext, kind string) string {
		content, failed := join(pattern)
		if failed != nil {
			err = errors.Join(err, failed)
			return ""
		}
		zipped, failed := compress(content, gzip.BestCompression)
		err = errors.Join(err, failed)
		sum := sha256.Sum256(content)
		name := base + "-" + hex.EncodeToString(sum[:6]) + ext
		a.byName[name] = asset{kind: kind, plain: content, zipped: zipped}
		return "/assets/" + name
	}
	a.Style = add("static/[0-9]*.css", "rolecall", ".css", "text/css; charset=utf-8")
	a.Script = add("static/[0-9]*.js", "rolecall", ".js", "text/javascript; charset=utf-8")
	a.Admin = add("static/admin.css", "admin", ".css", "text/css; charset=utf-8")
	a.Passkey = add("static/passkey.js", "passkey", ".js", "text/javascript; charset=utf-8")
	a.Icon = add("static/icon.svg", "icon", ".svg", "image/svg+xml")
	return a, err
}

func join(pattern string) ([]byte, error) {
	names, err := fs.Glob(static, pattern)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no asset fits %s: %w", pattern, err)
	}
	var whole bytes.Buffer
	for _, name := range names {
		part, err := static.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read an asset: %w", err)
		}
		whole.Write(part)
	}
	return whole.Bytes(), nil
}

func compress(content []byte, level int) ([]byte, error) {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, level)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return zipped.Bytes(), nil
}

// Mount implements endpoint.Mounter.
func (p *Pages) Mount(mux *endpoint.Mux) {
	mux.Page("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) error {
		return p.asset(w, r, r.PathValue("name"), "public, max-age=31536000, immutable")
	})
	mux.Page("GET /help", func(w http.ResponseWriter, r *http.Request) error {
		return p.render(w, r, look{name: "help", title: "Keyboard"}, nil)
	})
	mux.Page("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) error {
		return p.asset(w, r, strings.TrimPrefix(p.assets.Icon, "/assets/"), "public, max-age=86400")
	})
}

func (p *Pages) asset(w http.ResponseWriter, r *http.Request, name, caching string) error {
	found, ok := p.assets.byName[name]
	if !ok {
		return endpoint.ErrNoPage
	}
	w.Header().Set("Content-Type", found.kind)
	w.Header().Set("Cache-Control", caching)
	send(w, r, http.StatusOK, found.plain, found.zipped)
	return nil
}

// send writes the compressed form to whoever takes it.
func send(w http.ResponseWriter, r *http.Request, status int, plain, zipped []byte) {
	h := w.Header()
	body := plain
	if zipped != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = zipped
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away is no error of ours
	}
}

// takesGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as gzip goes.
func takesGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			value, err := strconv.ParseFloat(q, 64)
			return !found || (err == nil && value > 0)
		}
	}
	return false
}
