package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/operate/insight"
)

// maxRows is how many rows one page shows.
const maxRows = 100

type sessionsView struct {
	Query            string
	Providers, Kinds []page.Option
	Rows             []liveRow
	All, People      int
	Pager            pager
	More, Ended      bool
}

type liveRow struct {
	ID, Person, Subject, Kind, Provider string
	// Client is the program, From the address and Agent the browser of the sign-in.
	Client, From, Agent string
	Since, Used, Ends   moment
}

func (e *Endpoint) liveRow(l operate.Live) liveRow {
	row := liveRow{
		ID: l.ID, Person: cmp.Or(l.Username, l.Subject), Subject: l.Subject, Kind: kindName(l.Kind), Provider: e.providerLabel(l.Provider),
		Client: l.Client, From: l.Address, Agent: l.Agent, Since: e.moment(l.Since), Used: e.moment(l.LastSeen), Ends: e.moment(l.Ends),
	}
	if l.Client == "rolecall-cli" {
		row.Client = ""
	}
	return row
}

func (e *Endpoint) sessions(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	all, more, err := e.cfg.Service.Live(r.Context(), caller)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	text, provider, kind := bounded(strings.TrimSpace(query.Get("q"))), query.Get("provider"), query.Get("kind")
	view := sessionsView{Query: text, All: len(all), More: more, Ended: query.Get("ended") == "1"}
	view.Providers, view.Kinds = e.choices(all, provider, kind)
	people := map[[2]string]bool{}
	var found []operate.Live
	for _, l := range all {
		people[[2]string{l.Provider, l.Subject}] = true
		if fits(l, text, provider, kind) {
			found = append(found, l)
		}
	}
	view.People = len(people)
	slices.SortStableFunc(found, func(a, b operate.Live) int { return lastUse(b).Compare(lastUse(a)) })
	var begin, end int
	begin, end, view.Pager = pages(r, "skip", len(found), maxRows)
	for _, l := range found[begin:end] {
		view.Rows = append(view.Rows, e.liveRow(l))
	}
	return e.show(w, r, caller, "live", "Live sessions", view)
}

func fits(l operate.Live, text, provider, kind string) bool {
	if text == "" {
		return (provider == "" || l.Provider == provider) && (kind == "" || l.Kind == kind)
	}
	text = strings.ToLower(text)
	found := false
	for _, field := range []string{l.Username, l.Subject, l.ID, l.Address, l.Agent, l.Client} {
		found = found || strings.Contains(strings.ToLower(field), text)
	}
	return found && fits(l, "", provider, kind)
}

type peopleView struct {
	Query string
	Rows  []personRow
	Pager pager
	More  bool
}

type personRow struct {
	insight.Person
	Label string // of the provider
	Seen  moment
}

func (e *Endpoint) people(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	view := peopleView{Query: bounded(strings.TrimSpace(r.URL.Query().Get("q")))}
	found, more, err := e.cfg.Insight.People(r.Context(), caller, view.Query)
	if err != nil {
		return err
	}
	var begin, end int
	begin, end, view.Pager = pages(r, "skip", len(found), maxRows)
	view.More = more
	for _, p := range found[begin:end] {
		view.Rows = append(view.Rows, personRow{p, e.providerLabel(p.Provider), e.moment(p.Last)})
	}
	return e.show(w, r, caller, "people", "People", view)
}

// lastUse is the newest that is known of a session.
func lastUse(l operate.Live) time.Time {
	if l.LastSeen.IsZero() {
		return l.Since
	}
	return l.LastSeen
}
