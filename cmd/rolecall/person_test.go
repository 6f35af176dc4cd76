package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/html"
)

// personMain is the browser of the scripts, and who sits before it: it opens the
// address in its argument and signs in as $PERSON at $PROVIDER. Where something is
// wrong it tells the waiting rolecall, so that no script waits for nothing. Where
// a device's code is asked for it is $USER_CODE.
func personMain() {
	address := os.Args[1]
	if err := browse(address, os.Getenv("PROVIDER"), os.Getenv("PERSON")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		asked, _ := url.Parse(address)
		q := url.Values{"state": {asked.Query().Get("state")}, "iss": {os.Getenv("URL")}, "error": {"browser"}, "error_description": {err.Error()}}
		_, _ = http.Get(asked.Query().Get("redirect_uri") + "?" + q.Encode())
		os.Exit(1)
	}
}

// browse follows what a person would click until there is nothing left to do.
func browse(address, provider, name string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar}
	resp, err := client.Get(address)
	for range 12 {
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode >= 400 {
			return fmt.Errorf("%s answered %s", resp.Request.URL, resp.Status)
		}
		page, err2 := html.Parse(strings.NewReader(string(text)))
		if err2 != nil {
			return err2
		}
		action, form := nextForm(page, name)
		switch here := resp.Request.URL; {
		case here.Path == "/callback", here.Path == "/device" && action == "":
			return nil
		case action != "":
			to, err2 := here.Parse(action)
			if err2 != nil {
				return err2
			}
			req, err2 := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(form.Encode()))
			if err2 != nil {
				return err2
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", here.Scheme+"://"+here.Host)
			resp, err = client.Do(req)
		case strings.HasSuffix(here.Path, "/login"):
			resp, err = client.Get(linkTo(page, here, "/"+provider+"/login"))
		default:
			return fmt.Errorf("nothing to do at %s", here)
		}
	}
	return errors.New("the sign-in does not end")
}

// nextForm is the form that goes on: the password, an auto-post, or consent.
func nextForm(page *html.Node, name string) (string, url.Values) {
	for n := range page.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" {
			continue
		}
		values := url.Values{}
		for c := range n.Descendants() {
			field := attribute(c, "name")
			switch {
			case c.Data == "input" && field != "":
				values.Set(field, attribute(c, "value"))
			case c.Data == "button" && field != "" && !values.Has(field):
				values.Set(field, attribute(c, "value"))
			}
		}
		switch {
		case values.Has("password"):
			values.Set("username", name)
			values.Set("password", os.Getenv("PASSWORD_"+name))
		case values.Has("user_code") && !values.Has("decision"):
			values.Set("user_code", os.Getenv("USER_CODE"))
		case values.Get("decision") == "approve" && os.Getenv("CONSENT") == "no":
			values.Set("decision", "deny")
		case values.Get("decision") == "approve", values.Has("SAMLResponse"), values.Has("SAMLRequest"):
		default:
			continue
		}
		return attribute(n, "action"), values
	}
	return "", nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func linkTo(page *html.Node, here *url.URL, part string) string {
	for n := range page.Descendants() {
		if href := attribute(n, "href"); n.Data == "a" && strings.Contains(href, part) {
			if to, err := here.Parse(href); err == nil {
				return to.String()
			}
		}
	}
	return "no link to " + part
}
