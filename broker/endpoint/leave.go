package endpoint

import (
	"context"
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/idp"
)

// LogoutService is the part of broker.Broker that signs people out together with
// their provider.
type LogoutService interface {
	Leave(ctx context.Context, req broker.LeaveRequest) (broker.Left, error)
}

// Leave takes what a browser brings from a provider about signing out: the answer
// to a logout of ours (returned), or the provider's word about one there. Then it
// sends the browser back to the provider, or shows that the person is signed out.
func (s SignIn) Leave(w http.ResponseWriter, r *http.Request, service LogoutService, kind string, returned func(idp.Answer) bool) error {
	NoStore(w)
	if r.Method == http.MethodPost {
		if err := ParseForm(r); err != nil {
			return err
		}
	}
	answer := idp.Answer{Method: r.Method, Query: r.URL.Query(), RawQuery: r.URL.RawQuery, Form: r.PostForm}
	left, err := service.Leave(r.Context(), broker.LeaveRequest{
		Origin: Origin(r), Provider: r.PathValue("provider"), Type: kind,
		Browser: s.Cookies.State(r), Answer: answer, Returned: returned(answer),
	})
	switch {
	case err != nil:
		return err
	case left.To == nil:
		http.Redirect(w, r, "/logout", http.StatusSeeOther)
		return nil
	case left.To.Form != nil:
		AllowFormAction(w, left.To.Form.Action)
		return s.Pages.AutoPost(w, r, *left.To.Form)
	}
	http.Redirect(w, r, left.To.URL, http.StatusSeeOther)
	return nil
}
