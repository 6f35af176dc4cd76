package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/operate/insight"
)

// Bounds of one drawing: how many grants it has, and how many roles of one grant
// are boxes of their own, when the whole policy is shown and when one looks closer.
const (
	maxDrawn  = 40
	maxBoxes  = 8
	maxCloser = 200
)

type accessView struct {
	Query, Digest string
	In            []page.Option
	LoadedAt      moment
	Focus, Clear  string // what is looked at, and the address of everything
	Kind          string // of it, in words
	All           int    // grants of the policy
	Pager         pager
	Drawing       drawing
	Rows          []accessRow
}

type accessRow struct {
	Number int
	Grant  link
	Deny   bool
	Who    []link
	Roles  []link
	More   int // roles that are not listed
	Terms  string
	When   string
}

// link is a name that leads to what leads to it and from it.
type link struct{ Text, Note, URL string }

var inChoices = []page.Option{{Text: "Anything"}, {Value: "who", Text: "Group or person"}, {Value: "grant", Text: "Grant"}, {Value: "role", Text: "Role"}}

// kindWords say what a node is.
var kindWords = map[string]string{
	"group": "group", "pattern": "pattern of groups", "user": "person", "everyone": "everyone", "guests": "guests", "role": "role", "roles": "roles known with the person", "grant": "grant",
}

func (e *Endpoint) access(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	a, err := e.cfg.Insight.Access(r.Context(), caller)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	view := accessView{Query: bounded(strings.TrimSpace(query.Get("q"))), Digest: a.Digest[:min(12, len(a.Digest))], LoadedAt: e.moment(a.Loaded), All: len(a.Grants), Clear: "/admin/access"}
	var in string
	in, view.In = pick(inChoices, query.Get("in"))
	kind, name, focused := strings.Cut(query.Get("focus"), ":")
	if focused && kindWords[kind] != "" {
		view.Focus, view.Kind = bounded(name), kindWords[kind]
		view.Clear = with(r, "focus", "", "page")
	} else {
		kind, name = "", ""
	}
	grants := narrow(a.Grants, strings.ToLower(view.Query), in, kind, name)
	var begin, end int
	begin, end, view.Pager = pages(r, "page", len(grants), maxDrawn)
	shown := grants[begin:end]
	roles := 0
	for _, g := range shown {
		roles += len(g.Roles)
	}
	closer, listed := kind == "grant" || roles <= maxDrawn, maxListed
	if roles > maxListed*10 {
		listed = fewListed
	}
	if kind == "grant" {
		listed = maxCloser
	}
	view.Drawing = draw(shown, closer)
	for _, g := range shown {
		view.Rows = append(view.Rows, accessRowOf(g, listed))
	}
	return e.show(w, r, caller, "access", "Access", view)
}

// narrow keeps the grants that a focus leads through and a text is found in, and of
// their ends those that fit.
func narrow(grants []insight.Grant, text, in, kind, name string) []insight.Grant {
	var kept []insight.Grant
	for _, g := range grants {
		g, ok := focus(g, kind, name)
		if ok {
			g, ok = search(g, text, in)
		}
		if ok {
			kept = append(kept, g)
		}
	}
	return kept
}

func focus(g insight.Grant, kind, name string) (insight.Grant, bool) {
	pick := func(nodes []insight.Node) []insight.Node {
		for _, n := range nodes {
			if n.Kind == kind && n.Name == name {
				return []insight.Node{n}
			}
		}
		return nil
	}
	switch kind {
	case "":
		return g, true
	case "grant":
		return g, g.Name == name
	case "role", "roles":
		g.Roles = pick(g.Roles)
		return g, g.Roles != nil
	}
	g.Who = pick(g.Who)
	return g, g.Who != nil
}

// search narrows the ends where the text is found in them, so that a grant of many
// roles shows the one that was looked for.
func search(g insight.Grant, text, in string) (insight.Grant, bool) {
	if text == "" {
		return g, true
	}
	among := func(nodes []insight.Node) (found []insight.Node) {
		for _, n := range nodes {
			if strings.Contains(strings.ToLower(n.Name), text) {
				found = append(found, n)
			}
		}
		return found
	}
	if in != "who" && in != "role" && strings.Contains(strings.ToLower(g.Name), text) {
		return g, true
	}
	who, roles := among(g.Who), among(g.Roles)
	switch {
	case in == "who":
		roles = nil
	case in == "role":
		who = nil
	case in == "grant":
		who, roles = nil, nil
	}
	if who != nil {
		g.Who = who
	}
	if roles != nil {
		g.Roles = roles
	}
	return g, who != nil || roles != nil
}

func focusURL(kind, name string) string {
	return "/admin/access?" + url.Values{"focus": {kind + ":" + name}}.Encode()
}

// How many roles of one grant the table lists, and how many where many grants have many.
const (
	maxListed = 30
	fewListed = 6
)

func accessRowOf(g insight.Grant, listed int) accessRow {
	row := accessRow{Number: g.Number, Grant: link{Text: g.Name, URL: focusURL("grant", g.Name)}, Deny: g.Deny, Terms: strings.Join(g.Terms, ", "), When: g.When}
	for _, n := range g.Who {
		row.Who = append(row.Who, link{Text: n.Name, Note: noteOf(n), URL: focusURL(n.Kind, n.Name)})
	}
	for i, n := range g.Roles {
		if i == listed {
			row.More = len(g.Roles) - listed
			break
		}
		l := link{Text: n.Name, URL: focusURL(n.Kind, n.Name)}
		if n.Kind == "roles" && !g.Deny {
			l.Note = "known with the person"
		}
		row.Roles = append(row.Roles, l)
	}
	return row
}

// title and description of the drawing, for whoever does not see it.
func (d drawing) Title() string { return "Access graph" }

// Description is what the drawing shows, in a sentence.
func (d drawing) Description() string {
	return fmt.Sprintf("Groups and people on the left (%d) lead to grants in the middle (%d), which give the roles on the right (%d). The table below says the same.",
		d.counts[0], d.counts[1], d.counts[2])
}
