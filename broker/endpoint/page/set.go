package page

import (
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
)

// sectionAdmin is the part of the bar that has a style sheet of its own.
const sectionAdmin = "admin"

// Set is further templates in the frame of the pages, for an endpoint package
// that keeps its own: each begins with {{template "open" .}} and ends with
// {{template "close" .}}; what it shows is .View.
type Set struct {
	pages *Pages
	set   *template.Template
}

// Look is how a page of a Set differs from others outside its view.
type Look struct {
	Name   string // of the template
	Title  string
	Status int // 0 is 200
	Person *Person
	// Section of the bar is roles, sessions or admin.
	Section string
}

// Further parses the templates of files that pattern names.
func (p *Pages) Further(files fs.FS, pattern string) (*Set, error) {
	set, err := p.set.Clone()
	if err != nil {
		return nil, fmt.Errorf("copy the page templates: %w", err)
	}
	if set, err = set.ParseFS(files, pattern); err != nil {
		return nil, fmt.Errorf("parse the page templates: %w", err)
	}
	return &Set{p, set}, nil
}

// Render writes a page.
func (s *Set) Render(w http.ResponseWriter, r *http.Request, l Look, view any) error {
	return s.pages.render(w, r, look{name: l.Name, title: l.Title, status: l.Status, person: l.Person, section: l.Section, set: s.set}, view)
}
