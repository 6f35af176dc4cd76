package portal

import (
	"embed"
	"net/http"

	"github.com/rolecall/rolecall/broker/endpoint/page"
)

//go:embed templates
var templates embed.FS

// RolePages renders the pages of one role: its console, its access keys, and why
// somebody has it or not. It is safe for concurrent use.
type RolePages struct{ set *page.Set }

// NewRolePages parses the templates.
func NewRolePages(pages *page.Pages) (*RolePages, error) {
	set, err := pages.Further(templates, "templates/*.html")
	return &RolePages{set}, err
}

func (p *RolePages) render(w http.ResponseWriter, r *http.Request, name, title string, status int, person page.Person, view any) error {
	return p.set.Render(w, r, page.Look{Name: name, Title: title, Status: status, Person: &person}, view)
}

// Console renders the page that opens a role's console.
func (p *RolePages) Console(w http.ResponseWriter, r *http.Request, view Console) error {
	return p.render(w, r, "console", view.Role.Ref, view.Role.status(), view.Person, view)
}

// Opening renders the page that is on its way to the console.
func (p *RolePages) Opening(w http.ResponseWriter, r *http.Request, view Opening) error {
	return p.render(w, r, "opening", "Opening "+view.Role.Ref, http.StatusOK, view.Person, view)
}

// Keys renders the page of a role's access keys.
func (p *RolePages) Keys(w http.ResponseWriter, r *http.Request, view Keys) error {
	return p.render(w, r, "keys", "Access keys: "+view.Role.Ref, view.Role.status(), view.Person, view)
}

// Why renders why the person has a role, or not.
func (p *RolePages) Why(w http.ResponseWriter, r *http.Request, view Why) error {
	title := "Why not " + view.Role.Ref
	if view.Why.Granted {
		title = "Why " + view.Role.Ref
	}
	return p.render(w, r, "why", title, http.StatusOK, view.Person, view)
}

// status is what a role's page answers: a role that is withheld is refused.
func (r Role) status() int {
	switch {
	case r.StepUp:
		return http.StatusUnauthorized
	case r.Withheld != "":
		return http.StatusForbidden
	}
	return http.StatusOK
}
