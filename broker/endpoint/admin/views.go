package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/operate/insight"
)

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
	AsOf      moment
	Refused   []recordRow
	Attention []attention
}

// attention is one thing that wants a look. Word is bad or warn.
type attention struct{ Word, Title, Text, Link, Go string }

func (e *Endpoint) overviewView(o operate.Overview, h insight.Health, c insight.Configuration) overviewView {
	view := overviewView{Overview: o, AsOf: e.moment(e.cfg.Now()), Attention: attentionOf(h)}
	if c.NotTaken != nil {
		view.Attention = append([]attention{{"bad", "A newer configuration was not taken", "at " + e.moment(c.NotTaken.At).Text + " UTC; the one before stays in force", "/admin/configuration", "Configuration"}}, view.Attention...)
	}
	if n := len(c.Warnings); n > 0 {
		view.Attention = append(view.Attention, attention{"warn", counted(n, "warning"), "about the configuration that runs", "/admin/configuration", "Configuration"})
	}
	view.Reasons = slices.Clone(o.Reasons)
	for i, r := range view.Reasons {
		view.Reasons[i].Event = cmp.Or(eventNames[r.Event], r.Event)
		view.Reasons[i].Provider = e.providerLabel(r.Provider)
	}
	for _, r := range o.Last {
		view.Refused = append(view.Refused, e.recordRow(r))
	}
	return view
}

// Total is the figure of refusals; Refused is taken by the list.
func (v overviewView) Total() int { return v.Overview.Refused }

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

func (e *Endpoint) providerLabel(name string) string {
	for _, p := range e.cfg.Door.Sessions.SignInProviders() {
		if p.Name == name && p.Label != "" {
			return p.Label
		}
	}
	return name
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

// pick marks what was asked for; what is no choice is the first one.
func pick(choices []page.Option, asked string) (string, []page.Option) {
	options := slices.Clone(choices)
	i := max(0, slices.IndexFunc(options, func(o page.Option) bool { return o.Value == asked }))
	options[i].Chosen = true
	return options[i].Value, options
}

// bounded keeps what a page repeats short.
func bounded(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200])
	}
	return s
}

// counted is "1 grant", "12 grants".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// pager leads through a list that is shown in parts.
type pager struct {
	From, To, All       int // from 1
	Previous, Following string
}

// pages cuts a list of all into parts of size, and gives where the part begins and
// ends. The query keeps what else it holds; name is where to begin.
func pages(r *http.Request, name string, all, size int) (begin, end int, p pager) {
	begin, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || begin < 0 || begin >= all {
		begin = 0
	}
	end = min(all, begin+size)
	p = pager{From: begin + 1, To: end, All: all}
	if begin > 0 {
		p.Previous = with(r, name, strconv.Itoa(max(0, begin-size)))
	}
	if end < all {
		p.Following = with(r, name, strconv.Itoa(end))
	}
	return begin, end, p
}

// with is the address of this page with one parameter changed, and without others.
func with(r *http.Request, name, value string, without ...string) string {
	query := url.Values{}
	for key, values := range r.URL.Query() {
		if len(values) > 0 && values[0] != "" && len(values[0]) <= maxParameter {
			query.Set(key, values[0])
		}
	}
	for _, other := range without {
		query.Del(other)
	}
	if query.Del(name); value != "" && value != "0" {
		query.Set(name, value)
	}
	if len(query) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + query.Encode()
}

// maxParameter bounds what a page repeats of its own address.
const maxParameter = 4096
