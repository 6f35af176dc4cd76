package scripted

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

// Browser is a person's browser without JavaScript: cookies, redirects, forms. It
// does not model SameSite.
type Browser struct {
	Client *http.Client
	Page   Page
	// Hold names a field; SignIn stops at a form that has it, before sending it.
	Hold string
}

// Page is what the browser shows.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Text   string
	Root   *html.Node
}

// New is a browser that has seen nothing yet.
func New() (*Browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &Browser{Client: &http.Client{Jar: jar, Timeout: 20 * time.Second}}, nil
}

// Get opens an address.
func (b *Browser) Get(address string) error {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	return b.Send(req)
}

// Send sends any request; the answer, after redirects, is the Page.
func (b *Browser) Send(req *http.Request) error {
	resp, err := b.Client.Do(req)
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
	b.Page = Page{resp.Request.URL, resp.StatusCode, resp.Header, string(body), root}
	return nil
}

// Form is a form of the page as a person would send it: with its first button.
type Form struct {
	Method, Action string
	Values         url.Values
	Password       bool
	Fields         map[string]bool
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// Forms are the forms of the page, in its order.
func (p Page) Forms() []Form {
	var found []Form
	for n := range p.Root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			found = append(found, readForm(n))
		}
	}
	return found
}

func readForm(n *html.Node) Form {
	f := Form{Values: url.Values{}, Fields: map[string]bool{}, Method: "get"}
	if m, ok := attr(n, "method"); ok {
		f.Method = strings.ToLower(m)
	}
	f.Action, _ = attr(n, "action")
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
				f.Values.Set(name, value)
				f.Fields[name] = true
			}
			f.Password = f.Password || kind == "password"
		case "select":
			if named {
				f.Fields[name] = true
			}
		case "button":
			if !pressed && kind != "button" {
				pressed = true
				if named {
					f.Values.Set(name, value)
				}
			}
		}
	}
	return f
}

// Submit sends a form with some fields filled in.
func (b *Browser) Submit(f Form, fill map[string]string) error {
	for name, value := range fill {
		f.Values.Set(name, value)
	}
	target, err := b.Page.URL.Parse(f.Action)
	if err != nil {
		return err
	}
	if f.Method != "post" {
		target.RawQuery = f.Values.Encode()
		return b.Get(target.String())
	}
	req, err := http.NewRequest(http.MethodPost, target.String(), strings.NewReader(f.Values.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.Page.URL.Scheme+"://"+b.Page.URL.Host)
	req.Header.Set("Sec-Fetch-Site", fetchSite(b.Page.URL, target))
	return b.Send(req)
}

func fetchSite(from, to *url.URL) string {
	switch {
	case from.Scheme == to.Scheme && from.Host == to.Host:
		return "same-origin"
	case from.Hostname() == to.Hostname():
		return "same-site"
	}
	return "cross-site"
}

// Link finds the first link of the page whose address contains part.
func (p Page) Link(part string) (string, bool) {
	for n := range p.Root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "a" {
			continue
		}
		if href, ok := attr(n, "href"); ok && strings.Contains(href, part) {
			target, err := p.URL.Parse(href)
			return target.String(), err == nil
		}
	}
	return "", false
}

// Person is somebody with a password at an identity provider.
type Person struct{ Name, Password string }

// SignIn opens an address and does what a person does until there is nothing
// left to fill in: choose the provider, type the password, let forms go on,
// approve a program.
func (b *Browser) SignIn(address, provider string, who Person) error {
	if err := b.Get(address); err != nil {
		return err
	}
	for range 12 {
		next, err := b.step(provider, who)
		if err != nil || !next {
			return err
		}
	}
	return errors.New("the sign-in does not come to an end at " + b.Page.URL.String())
}

func (b *Browser) step(provider string, who Person) (bool, error) {
	if b.Page.Status >= 400 {
		return false, nil
	}
	for _, f := range b.Page.Forms() {
		switch {
		case b.Hold != "" && f.Fields[b.Hold]:
			return false, nil
		case f.Password:
			before := b.Page.URL
			if err := b.Submit(f, map[string]string{"username": who.Name, "password": who.Password}); err != nil {
				return false, err
			}
			if b.Page.Status >= 400 && b.Page.URL.Host == before.Host {
				return false, fmt.Errorf("%s refused the password: %d", before, b.Page.Status)
			}
			return true, nil
		case f.Fields["SAMLResponse"] || f.Fields["SAMLRequest"], f.Fields["code"] && f.Fields["state"], f.Values.Get("decision") == "approve":
			return true, b.Submit(f, nil)
		}
	}
	if strings.HasSuffix(b.Page.URL.Path, "/login") {
		if to, ok := b.Page.Link("/" + provider + "/login"); ok {
			return true, b.Get(to)
		}
		return false, fmt.Errorf("the sign-in page offers no provider %s", provider)
	}
	return false, nil
}
