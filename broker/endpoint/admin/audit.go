package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
)

type auditView struct {
	Query                                  string
	Person, Role, Address, Request         string
	From, Until                            string
	Events, Outcomes, Since                []page.Option
	Fault                                  string // a time that cannot be read
	Further                                bool   // a field of the fold is set
	Rows                                   []recordRow
	Read                                   int
	Whole, More                            bool
	Older, Newer, Newest, Download, Forget string
}

var (
	eventChoices = []page.Option{{Text: "Everything"}, {Value: "signin", Text: "Sign-ins"}, {Value: "credentials", Text: "Access keys"}, {Value: "console", Text: "Consoles"}, {Value: "token", Text: "Tokens"}, {Value: "device", Text: "Device codes"},
		{Value: "session.", Text: "Ended sessions"}, {Value: "revoke", Text: "Revocations"}, {Value: "admin.", Text: "Administration"}, {Value: "config.", Text: "Configuration"}}
	outcomeChoices = []page.Option{{Text: "Any"}, {Value: "granted", Text: "Done"}, {Value: "refused", Text: "Refused"}, {Value: "failed", Text: "Failed"}}
	sinceChoices   = []page.Option{{Value: "1h", Text: "1 hour"}, {Value: "24h", Text: "24 hours"}, {Value: "168h", Text: "7 days"}, {Value: "2160h", Text: "90 days"}, {Value: "all", Text: "All"}}
)

// filter reads the form. A time that cannot be read is said in the view.
func (v *auditView) filter(query url.Values) operate.Filter {
	field := func(name string) string { return bounded(strings.TrimSpace(query.Get(name))) }
	v.Query, v.Person, v.Role, v.Address, v.Request = field("q"), field("person"), field("role"), field("address"), field("request")
	f := operate.Filter{Text: v.Query, Person: v.Person, Role: v.Role, Address: v.Address, Request: v.Request}
	f.Event, v.Events = pick(eventChoices, query.Get("event"))
	f.Outcome, v.Outcomes = pick(outcomeChoices, query.Get("outcome"))
	v.From, v.Until = field("from"), field("until")
	var failed [2]error
	f.From, failed[0] = instant(v.From)
	f.Until, failed[1] = instant(v.Until)
	for i, name := range []string{"from", "until"} {
		if failed[i] != nil {
			v.Fault = "The time in " + name + " cannot be read; write it like 2026-11-24T09:00."
		}
	}
	since := query.Get("since")
	if since == "" && (v.From != "" || v.Until != "" || v.Request != "") {
		since = "all" // a range or one request says enough
	}
	since, v.Since = pick(sinceChoices, since)
	if d, err := time.ParseDuration(since); err == nil {
		f.Since = d
	}
	f.Before, f.After = place(query.Get("before")), place(query.Get("after"))
	v.Further = v.Person+v.Role+v.Address+v.Request+v.From+v.Until != ""
	return f
}

// instant reads what a datetime-local field sends, in UTC, or RFC 3339.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

func place(text string) int64 {
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(0, at)
}

func (e *Endpoint) audit(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	var view auditView
	filter := view.filter(r.URL.Query())
	view.Download = strings.Replace(with(r, "before", "", "after"), "/admin/audit", "/admin/audit/records", 1)
	if view.Fault != "" {
		view.Whole = true
		return e.show(w, r, caller, "audit", "Audit", view)
	}
	found, err := e.cfg.Service.Search(r.Context(), endpoint.Origin(r), caller, filter)
	if err != nil {
		return err
	}
	view.Read, view.Whole, view.More = found.Read, found.Whole, found.More
	for _, record := range found.List {
		view.Rows = append(view.Rows, e.recordRow(record))
	}
	if found.Older > 0 {
		view.Older = with(r, "before", strconv.FormatInt(found.Older, 10), "after")
	}
	if found.Newer > 0 {
		view.Newer = with(r, "after", strconv.FormatInt(found.Newer, 10), "before")
		view.Newest = with(r, "before", "", "after")
	}
	return e.show(w, r, caller, "audit", "Audit", view)
}

type recordRow struct {
	At                              int64
	When                            moment
	Who, What, On, From, RequestID  string
	Word, Outcome, Detail, Provider string
}

func (e *Endpoint) recordRow(r operate.Entry) recordRow {
	row := recordRow{
		At: r.At, When: e.moment(r.Time), Who: cmp.Or(r.Username, r.Subject), What: cmp.Or(eventNames[r.Event.Event], r.Event.Event), On: e.shortRole(r.Role), From: r.Address,
		RequestID: r.RequestID, Detail: r.Detail, Provider: e.providerLabel(r.Provider),
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

// shortRole is ACCOUNT/ROLE of an ARN; other text stays.
func (e *Endpoint) shortRole(text string) string {
	if arn, err := iam.ParseRoleARN(text); err == nil {
		return cmp.Or(e.cfg.AccountName(arn.Account), arn.Account) + "/" + arn.Name
	}
	return text
}

// eventNames are events in words; what has none is shown as it is.
var eventNames = map[string]string{
	"signin": "sign-in", "credentials": "access keys", "console": "console", "signout": "signed out", "authorize": "program allowed", "authenticate": "request with a token",
	"token.code": "program signed in", "token.authorization_code": "program signed in", "token.refresh": "program renewed", "token.refresh_token": "program renewed", "token.exchange": "token exchange",
	"device.start": "device code asked for", "device.approve": "device code answered", "logout.provider": "signed out at the provider", "audit.recovered": "record recovered",
	"session.end": "session ended", "session.end_all": "signed out everywhere", "revoke": "revoked by an operator", "config.reload": "configuration reloaded",
	"admin.audit": "record read", "admin.explain": "explained", "admin.export": "record exported", "admin.revoke": "session revoked", "admin.revoke_all": "all sessions revoked",
}

type recordView struct {
	recordRow
	operate.Position
	Facts []fact
	// JSON is the line, indented.
	JSON string
	// Lead on: to all of this request, of this person, and to the explanation.
	Same, Person, Explain string
}

type fact struct{ Name, Value string }

func (e *Endpoint) record(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	at, err := strconv.ParseInt(r.URL.Query().Get("at"), 10, 64)
	if err != nil {
		return endpoint.ErrNoPage
	}
	p, err := e.cfg.Service.Entry(r.Context(), endpoint.Origin(r), caller, at)
	if err != nil {
		return err
	}
	view := recordView{recordRow: e.recordRow(p.Record), Position: p, Facts: facts(p.Record)}
	view.Same = "/admin/audit?" + url.Values{"request": {p.RequestID}}.Encode()
	if p.Subject != "" {
		view.Person = "/admin/audit?" + url.Values{"person": {p.Subject}, "since": {"2160h"}}.Encode()
		q := url.Values{"person": {p.Provider + "=" + p.Subject}, "at": {p.Time.UTC().Format("2006-01-02T15:04:05")}}
		for name, value := range map[string]string{"role": p.Role, "address": p.Address, "via": p.Via} {
			if value != "" {
				q.Set(name, value)
			}
		}
		view.Explain = "/admin/explain?" + q.Encode()
	}
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(p.Line), "", "  ") == nil {
		view.JSON = indented.String()
	}
	return e.show(w, r, caller, "record", fmt.Sprintf("Record %d", p.Number), view)
}

// facts are the fields of a record that have something to say.
func facts(r operate.Entry) []fact {
	var all []fact
	add := func(name, value string) {
		if value != "" {
			all = append(all, fact{name, value})
		}
	}
	add("Event", r.Event.Event)
	add("Subject", r.Subject)
	add("Session", r.Session)
	add("Via", r.Via)
	add("Client", r.Client)
	add("Role", r.Role)
	add("Grant", r.Grant)
	add("Session name", r.SessionName)
	add("SourceIdentity", r.SourceIdentity)
	if r.Duration > 0 {
		add("Lasts", (time.Duration(r.Duration) * time.Second).String())
	}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		add("Tag", key+" = "+r.Tags[key])
	}
	add("Access key id", r.AccessKeyID)
	add("Digest of the token", r.TokenDigest)
	if r.Cached {
		add("From", "the cache")
	}
	if r.Stale {
		add("Because", "AWS did not answer")
	}
	add("Reason", r.Reason)
	add("Detail", r.Detail)
	return all
}

// exportFor is how long one write of an export may take.
const exportFor = time.Minute

// export streams what the form finds, a record a line as it stands in the file. An
// answer that breaks off must not look whole, so the connection is cut then.
func (e *Endpoint) export(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	var view auditView
	filter := view.filter(r.URL.Query())
	if view.Fault != "" {
		return broker.Fail(broker.InvalidRequest, "malformed_time", view.Fault)
	}
	filter.Before, filter.After = 0, 0
	connection, begun := http.NewResponseController(w), false
	begin := func() {
		begun = true
		h := w.Header()
		h.Set("Content-Type", "application/jsonl; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="rolecall-audit-`+e.cfg.Now().UTC().Format("2006-01-02-1504")+`.jsonl"`)
	}
	written := 0
	_, err := e.cfg.Exporter.Export(r.Context(), endpoint.Origin(r), caller, filter, func(line []byte) error {
		if !begun {
			begin()
		}
		if written&0x3ff == 0 {
			_ = connection.SetWriteDeadline(time.Now().Add(exportFor)) // a recorder in a test has none
		}
		written++
		_, err := w.Write(append(line, '\n'))
		return err
	})
	switch {
	case err != nil && begun:
		panic(http.ErrAbortHandler)
	case err != nil:
		return err
	case !begun:
		begin()
		w.WriteHeader(http.StatusOK)
	}
	return nil
}
