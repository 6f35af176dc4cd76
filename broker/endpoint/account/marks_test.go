package account

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	own "github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/marks"
)

// fakeMarks has one marked account and remembers what it was told.
type fakeMarks struct {
	put     []own.Mark
	favours []string
	err     error
}

func (f *fakeMarks) Marks(context.Context, broker.Caller) (own.Marks, error) {
	return own.Marks{Marks: map[string]own.Mark{"111122223333": {Account: "111122223333", Label: "prod", Colour: "red", Favourite: true}}}, nil
}

func (f *fakeMarks) Mark(_ context.Context, _ broker.Caller, m own.Mark) error {
	f.put = append(f.put, m)
	return f.err
}

func (f *fakeMarks) Favour(_ context.Context, _ broker.Caller, account string, on bool) error {
	f.favours = append(f.favours, account+map[bool]string{true: "+", false: "-"}[on])
	return f.err
}

func (f *fakeMarks) Roles(context.Context, broker.Origin, broker.Caller) ([]broker.Role, error) {
	return []broker.Role{{AccountID: "111122223333", AccountName: "production"}, {AccountID: "444455556666"}}, nil
}

func TestAnAccountIsMarkedByItsForm(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	w := post(h, "/accounts/111122223333", "/accounts/111122223333", url.Values{"label": {"prod eu"}, "colour": {"blue"}, "favourite": {"1"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/#a-111122223333" {
		t.Errorf("answered %d to %s", w.Code, w.Header().Get("Location"))
	}
	post(h, "/accounts/111122223333", "/accounts/111122223333", url.Values{"label": {""}, "colour": {"grey"}})
	want := []own.Mark{{Account: "111122223333", Label: "prod eu", Colour: "blue", Favourite: true}, {Account: "111122223333"}}
	if !slices.Equal(f.put, want) {
		t.Errorf("put %+v", f.put)
	}
}

func TestAStarSaysWhatItWants(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	for _, form := range []url.Values{{"on": {"444455556666"}}, {"on": {"444455556666"}}, {"off": {"111122223333"}}} {
		if w := post(h, "/sessions", "/favourites", form); w.Code != http.StatusSeeOther {
			t.Errorf("%v: answered %d", form, w.Code)
		}
	}
	if got := strings.Join(f.favours, " "); got != "444455556666+ 444455556666+ 111122223333-" {
		t.Errorf("got %s", got)
	}
}

func TestAnAccountOfOthersIsNoPageAndTakesNoMark(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	for _, id := range []string{"999999999999", "production", "%3Cscript%3E"} {
		if w := visit(h, "/accounts/"+id); w.Code != http.StatusNotFound {
			t.Errorf("%s: answered %d", id, w.Code)
		}
		if w := post(h, "/sessions", "/accounts/"+id, url.Values{"label": {"x"}}); w.Code != http.StatusNotFound {
			t.Errorf("post to %s: answered %d", id, w.Code)
		}
		post(h, "/sessions", "/favourites", url.Values{"on": {id}})
	}
	if len(f.put)+len(f.favours) > 0 {
		t.Errorf("kept %v %v", f.put, f.favours)
	}
}

func TestAMarkThatCannotBeKeptIsAPage(t *testing.T) {
	t.Parallel()
	f := demo()
	f.fakeMarks.err = broker.Fail(broker.InvalidRequest, "malformed_mark", "This cannot be kept: a label has at most 24 characters.")
	w := post(site(t, f), "/sessions", "/accounts/111122223333", url.Values{"label": {"x"}})
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "at most 24 characters") {
		t.Errorf("answered %d", w.Code)
	}
}

func TestThePageOffersTheColoursThatAreKept(t *testing.T) {
	t.Parallel()
	if !slices.Equal(colours, marks.Colours()) {
		t.Errorf("the page has %v", colours)
	}
}

var (
	_ Marker = (*own.Service)(nil)
	_ Roles  = (*broker.Broker)(nil)
)
