package account

import (
	"context"
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/broker"
	own "github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// Marker is the part of account.Service that marks accounts.
type Marker interface {
	Marks(ctx context.Context, caller broker.Caller) (own.Marks, error)
	Mark(ctx context.Context, caller broker.Caller, mark own.Mark) error
	Favour(ctx context.Context, caller broker.Caller, account string, favourite bool) error
}

// Roles knows which accounts somebody has roles in: only those can be marked.
type Roles interface {
	Roles(ctx context.Context, origin broker.Origin, caller broker.Caller) ([]broker.Role, error)
}

// colours are those of the page, in its order.
var colours = []string{"red", "amber", "green", "teal", "blue", "violet", "pink", "grey"}

// accountView is the page of one account.
type accountView struct {
	ID, Name string
	Mark     own.Mark
	Colours  []page.Option
}

// accountName finds an account of the caller. One in which they have no role, and
// one that does not exist, are no page.
func (e *Endpoint) accountName(r *http.Request, caller broker.Caller, id string) (string, error) {
	roles, err := e.cfg.Roles.Roles(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return "", err
	}
	for _, role := range roles {
		if role.AccountID == id {
			if role.AccountName == "" {
				return id, nil
			}
			return role.AccountName, nil
		}
	}
	return "", endpoint.ErrNoPage
}

func (e *Endpoint) account(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	id := r.PathValue("id")
	name, err := e.accountName(r, caller, id)
	if err != nil {
		return err
	}
	kept, err := e.cfg.Marks.Marks(r.Context(), caller)
	if err != nil {
		return err
	}
	view := accountView{ID: id, Name: name, Mark: kept.Marks[id]}
	for _, c := range colours {
		view.Colours = append(view.Colours, page.Option{Value: c, Text: c, Chosen: c == view.Mark.Colour || c == "grey" && view.Mark.Colour == ""})
	}
	return e.show(w, r, caller, page.Look{Name: "account", Title: "Label and colour: " + name, Section: "roles"}, view)
}

func (e *Endpoint) mark(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	id := r.PathValue("id")
	if _, err := e.accountName(r, caller, id); err != nil {
		return err
	}
	mark := own.Mark{Account: id, Label: r.PostFormValue("label"), Colour: r.PostFormValue("colour"), Favourite: r.PostFormValue("favourite") != ""}
	if mark.Colour == "grey" { // what an account has without a choice
		mark.Colour = ""
	}
	if err := e.cfg.Marks.Mark(r.Context(), caller, mark); err != nil {
		return err
	}
	return back(w, r, id)
}

// favour answers the stars of the list: on=ACCOUNT or off=ACCOUNT, so that a
// second press of the same button changes nothing.
func (e *Endpoint) favour(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	id, on := r.PostFormValue("on"), true
	if id == "" {
		id, on = r.PostFormValue("off"), false
	}
	if _, err := e.accountName(r, caller, id); err != nil {
		return err
	}
	if err := e.cfg.Marks.Favour(r.Context(), caller, id, on); err != nil {
		return err
	}
	return back(w, r, id)
}

// back leads to the line of the account.
func back(w http.ResponseWriter, r *http.Request, id string) error {
	http.Redirect(w, r, "/#a-"+url.PathEscape(id), http.StatusSeeOther)
	return nil
}
