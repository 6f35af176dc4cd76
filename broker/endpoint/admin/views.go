package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
)

// maxRows is how many sessions one page shows; a filter finds the others.
const maxRows = 100

type moment struct {
	At   time.Time
	Text string
}

func (e *Endpoint) moment(t time.Time) moment {
	if t.IsZero() {
		return moment{Text: "not known"}
	}
	t = t.UTC()
	layout := "15:04:05"
	if t.Format(time.DateOnly) != e.cfg.Now().UTC().Format(time.DateOnly) {
		layout = "2 Jan 15:04:05"
	}
	return moment{t, t.Format(layout)}
}

type overviewView struct {
	operate.Overview
	AsOf    moment
	Refused []recordRow
}

func (e *Endpoint) overviewView(o operate.Overview) overviewView {
	view := overviewView{Overview: o, AsOf: e.moment(e.cfg.Now())}
	for _, r := range o.Last {
		view.Refused = append(view.Refused, e.recordRow(r))
	}
	return view
}

// Total is the figure of refusals; Refused is taken by the list.
func (v overviewView) Total() int { return v.Overview.Refused }

type sessionsView struct {
	Query            string
	Providers, Kinds []page.Option
	Rows             []liveRow
	All, Found       int
	More, Ended      bool
}

type liveRow struct {
	ID, Person, Subject, Kind, Provider string
	Since, Used, Ends                   moment
}

type revokeView struct {
	Row  liveRow
	Same int // live sessions of that person
}

var kinds = map[string]string{"browser": "Browser", "cli": "Command line", "device": "Command line, device code", "exchange": "Token exchange", "tvm": "App"}

func kindName(kind string) string {
	if name := kinds[kind]; name != "" {
		return name
	}
	return kind
}

func (e *Endpoint) liveRow(l operate.Live) liveRow {
	return liveRow{l.ID, l.Username, l.Subject, kindName(l.Kind), e.providerLabel(l.Provider), e.moment(l.Since), e.moment(l.LastSeen), e.moment(l.Ends)}
}

func (e *Endpoint) providerLabel(name string) string {
	for _, p := range e.cfg.Door.Sessions.SignInProviders() {
		if p.Name == name && p.Label != "" {
			return p.Label
		}
	}
	return name
}

func fits(l operate.Live, text, provider, kind string) bool {
	text = strings.ToLower(text)
	found := text == ""
	for _, field := range []string{l.Username, l.Subject, l.ID} {
		found = found || strings.Contains(strings.ToLower(field), text)
	}
	return found && (provider == "" || l.Provider == provider) && (kind == "" || l.Kind == kind)
}

// choices are the providers and kinds that there are now.
func (e *Endpoint) choices(all []operate.Live, provider, kind string) (providers, ways []page.Option) {
	providers, ways = []page.Option{{Text: "All providers", Chosen: provider == ""}}, []page.Option{{Text: "All kinds", Chosen: kind == ""}}
	has := func(list []page.Option, value string) bool {
		return slices.ContainsFunc(list, func(o page.Option) bool { return o.Value == value })
	}
	for _, l := range all {
		if !has(providers, l.Provider) {
			providers = append(providers, page.Option{Value: l.Provider, Text: e.providerLabel(l.Provider), Chosen: l.Provider == provider})
		}
		if !has(ways, l.Kind) {
			ways = append(ways, page.Option{Value: l.Kind, Text: kindName(l.Kind), Chosen: l.Kind == kind})
		}
	}
	return providers, ways
}

type auditView struct {
	Query                   string
	Events, Outcomes, Since []page.Option
	Rows                    []recordRow
	Read                    int
	Whole, More             bool
}

var (
	eventChoices   = []page.Option{{Text: "Everything"}, {Value: "signin", Text: "Sign-ins"}, {Value: "credentials", Text: "Access keys"}, {Value: "console", Text: "Consoles"}, {Value: "token", Text: "Tokens"}, {Value: "session.", Text: "Ended sessions"}, {Value: "admin.", Text: "Administration"}}
	outcomeChoices = []page.Option{{Text: "Any"}, {Value: "granted", Text: "Done"}, {Value: "refused", Text: "Refused"}, {Value: "failed", Text: "Failed"}}
	sinceChoices   = []page.Option{{Value: "1h", Text: "1 hour"}, {Value: "24h", Text: "24 hours"}, {Value: "168h", Text: "7 days"}, {Value: "2160h", Text: "90 days"}}
)

// pick marks what was asked for; what is no choice is the first one.
func pick(choices []page.Option, asked string) (string, []page.Option) {
	options := slices.Clone(choices)
	i := max(0, slices.IndexFunc(options, func(o page.Option) bool { return o.Value == asked }))
	options[i].Chosen = true
	return options[i].Value, options
}

type recordRow struct {
	When                            moment
	Who, What, On, From, RequestID  string
	Word, Outcome, Detail, Provider string
}

func (e *Endpoint) recordRow(r operate.Entry) recordRow {
	row := recordRow{When: e.moment(r.Time), Who: r.Username, What: r.Event.Event, On: r.Role, From: r.Address, RequestID: r.RequestID, Detail: r.Detail, Provider: e.providerLabel(r.Provider)}
	if row.Who == "" {
		row.Who = r.Subject
	}
	if arn, err := iam.ParseRoleARN(r.Role); err == nil {
		row.On = arn.Account + "/" + arn.Name
	}
	switch r.Outcome {
	case "granted":
		row.Word, row.Outcome = "good", "done"
	case "refused":
		row.Word, row.Outcome = "bad", "refused"
	case "failed":
		row.Word, row.Outcome = "warn", "failed"
	default:
		row.Word, row.Outcome = "none", "intended"
	}
	if r.Reason != "" {
		row.Outcome += ": " + r.Reason
	}
	if r.Count > 1 {
		row.Outcome += fmt.Sprintf(", %d times", r.Count)
	}
	return row
}

// bounded keeps what a page repeats short.
func bounded(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200])
	}
	return s
}
