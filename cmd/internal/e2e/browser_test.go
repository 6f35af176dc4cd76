package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// browser is a person's browser without JavaScript: cookies, redirects, forms.
type browser struct {
	client *http.Client
	page   page
}

// page is what the browser shows.
type page struct {
	url    *url.URL
	status int
	header http.Header
	text   string
	root   *html.Node
}

func newBrowser() (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &browser{client: &http.Client{Jar: jar, Timeout: 20 * time.Second}}, nil
}

func (b *browser) get(address string) error {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	return b.send(req)
}

func (b *browser) send(req *http.Request) error {
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	root, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	b.page = page{resp.Request.URL, resp.StatusCode, resp.Header, string(body), root}
	return nil
}

// form is a form of the page as a person would send it: with its first button.
type form struct {
	method, action string
	values         url.Values
	password       bool
	fields         map[string]bool
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func (p page) forms() []form {
	var found []form
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			found = append(found, readForm(n))
		}
	}
	return found
}

func readForm(n *html.Node) form {
	f := form{values: url.Values{}, fields: map[string]bool{}, method: "get"}
	if m, ok := attr(n, "method"); ok {
		f.method = strings.ToLower(m)
	}
	f.action, _ = attr(n, "action")
	pressed := false
	for c := range n.Descendants() {
		if c.Type != html.ElementNode {
			continue
		}
		name, named := attr(c, "name")
		value, _ := attr(c, "value")
		kind, _ := attr(c, "type")
		switch c.Data {
		case "input":
			_, checked := attr(c, "checked")
			if named && (kind != "radio" && kind != "checkbox" || checked) && kind != "submit" {
				f.values.Set(name, value)
				f.fields[name] = true
			}
			f.password = f.password || kind == "password"
		case "select":
			if named {
				f.fields[name] = true
			}
		case "button":
			if !pressed && kind != "button" {
				pressed = true
				if named {
					f.values.Set(name, value)
				}
			}
		}
	}
	return f
}

// submit sends a form with some fields filled in.
func (b *browser) submit(f form, fill map[string]string) error {
	for name, value := range fill {
		f.values.Set(name, value)
	}
	target, err := b.page.url.Parse(f.action)
	if err != nil {
		return err
	}
	if f.method != "post" {
		target.RawQuery = f.values.Encode()
		return b.get(target.String())
	}
	req, err := http.NewRequest(http.MethodPost, target.String(), strings.NewReader(f.values.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.page.url.Scheme+"://"+b.page.url.Host)
	req.Header.Set("Sec-Fetch-Site", site(b.page.url, target))
	return b.send(req)
}

func site(from, to *url.URL) string {
	switch {
	case from.Scheme == to.Scheme && from.Host == to.Host:
		return "same-origin"
	case from.Hostname() == to.Hostname():
		return "same-site"
	}
	return "cross-site"
}

// link finds the first link of the page whose address contains part.
func (p page) link(part string) (string, bool) {
	for n := range p.root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "a" {
			continue
		}
		if href, ok := attr(n, "href"); ok && strings.Contains(href, part) {
			target, err := p.url.Parse(href)
			return target.String(), err == nil
		}
	}
	return "", false
}

// person is somebody with a password at the development identity provider.
type person struct{ name, password string }

// signIn opens an address and does what a person does until there is nothing
// left to fill in: choose the provider, type the password, let forms go on,
// approve a program.
func (b *browser) signIn(address, provider string, who person) error {
	if err := b.get(address); err != nil {
		return err
	}
	for range 12 {
		next, err := b.step(provider, who)
		if err != nil || !next {
			return err
		}
	}
	return errors.New("the sign-in does not come to an end at " + b.page.url.String())
}

func (b *browser) step(provider string, who person) (bool, error) {
	if b.page.status >= 400 {
		return false, nil
	}
	for _, f := range b.page.forms() {
		switch {
		case f.password:
			before := b.page.url.String()
			if err := b.submit(f, map[string]string{"username": who.name, "password": who.password}); err != nil {
				return false, err
			}
			if b.page.status >= 400 {
				return false, fmt.Errorf("%s refused the password: %d", before, b.page.status)
			}
			return true, nil
		case f.fields["SAMLResponse"] || f.fields["SAMLRequest"], f.values.Get("decision") == "approve":
			return true, b.submit(f, nil)
		}
	}
	if strings.HasSuffix(b.page.url.Path, "/login") {
		if to, ok := b.page.link("/" + provider + "/login"); ok {
			return true, b.get(to)
		}
		return false, fmt.Errorf("the sign-in page offers no provider %s", provider)
	}
	return false, nil
}
