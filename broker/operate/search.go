package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
)

// Bounds of one search of the record, and of one export.
const (
	maxFound       = 100
	maxBytes       = 32 << 20
	maxExported    = 100_000
	maxExportBytes = 512 << 20
)

// Filter says which records a search wants; zero fields want all.
type Filter struct {
	Text    string // somewhere in the record, in any case
	Person  string // in the user name or the subject, in any case
	Event   string // the beginning of its event
	Outcome string
	Role    string // ACCOUNT/ROLE, or a part of its ARN in any case
	Address string // the beginning of it
	Request string // the whole request id
	// Since is so long ago at most; From and Until are instants.
	Since       time.Duration
	From, Until time.Time
	// Before and After are places to go on from, as Records has them.
	Before, After int64
}

// Entry is one record as it stands in the file; Position is one with its place in
// the chain.
type (
	Entry    = audit.Record
	Position = audit.Position
)

// Records is what a search found, newest first.
type Records struct {
	List        []Entry
	Read        int
	Whole, More bool
	// Older is where to go on Before, 0 where there is nothing older; Newer where to go
	// on After, 0 where the list begins at the newest.
	Older, Newer int64
}

// Search looks through this node's record. The search is a record itself. Places
// stay right whatever is appended.
func (d *Desk) Search(ctx context.Context, origin broker.Origin, caller broker.Caller, f Filter) (Records, error) {
	if err := d.admit(ctx, caller); err != nil {
		return Records{}, err
	}
	event := d.event(origin, caller, "admin.audit")
	event.Detail = f.detail()
	if err := d.record(ctx, event); err != nil {
		return Records{}, err
	}
	q := d.query(f)
	q.Limit, q.Bytes = maxFound, maxBytes
	found, err := d.cfg.Record.Search(ctx, q)
	if err == nil && q.After > 0 && len(found.Records) < maxFound { // the newest page, whole
		q.After, f.Before = 0, 0
		found, err = d.cfg.Record.Search(ctx, q)
	}
	if err != nil {
		return Records{}, noPlace(err)
	}
	r := Records{List: found.Records, Read: found.Read, Whole: found.Whole, More: found.More}
	if found.More || q.After > 0 {
		r.Older = found.Next
	}
	switch {
	case len(found.Records) > 0 && (q.Before > 0 || q.After > 0):
		r.Newer = found.Records[0].At + 1
	case q.Before > 0:
		r.Newer = q.Before
	}
	return r, nil
}

// Entry gives the record that begins at a place, with the chain up to it. Reading
// it is a record itself.
func (d *Desk) Entry(ctx context.Context, origin broker.Origin, caller broker.Caller, at int64) (Position, error) {
	if err := d.admit(ctx, caller); err != nil {
		return Position{}, err
	}
	found, err := d.cfg.Record.Position(ctx, at)
	if err != nil {
		return Position{}, noPlace(err)
	}
	event := d.event(origin, caller, "admin.audit")
	event.Detail = fmt.Sprintf("record %d, request %s", found.Number, found.RequestID)
	return found, d.record(ctx, event)
}

// Export hands every record that fits to each, newest first, byte for byte as it
// stands in the file, up to a bound; more says that the bound ended it. It is a
// record itself.
func (d *Desk) Export(ctx context.Context, origin broker.Origin, caller broker.Caller, f Filter, each func(line []byte) error) (more bool, err error) {
	if err := d.admit(ctx, caller); err != nil {
		return false, err
	}
	event := d.event(origin, caller, "admin.export")
	event.Detail = f.detail()
	if err := d.record(ctx, event); err != nil {
		return false, err
	}
	q := d.query(f)
	q.After, q.Limit, q.Bytes = 0, maxExported, maxExportBytes
	found, err := d.cfg.Record.Walk(ctx, q, func(_ audit.Record, line []byte) error { return each(line) })
	if err != nil {
		return false, noPlace(err)
	}
	return found.More, nil
}

func noPlace(err error) error {
	if errors.Is(err, audit.ErrNoRecord) {
		return broker.Fail(broker.InvalidRequest, "no_record", "There is no such record in the audit file of this server. It may be in the file of another one.").Because(err)
	}
	return fmt.Errorf("search the record: %w", err)
}

func (d *Desk) query(f Filter) audit.Query {
	whole := ""
	if role, err := d.cfg.ResolveRole(f.Role); err == nil {
		whole = role.String()
	}
	q := audit.Query{Since: f.From, Until: f.Until, Before: f.Before, After: f.After, Match: f.matcher(whole)}
	if f.Since > 0 {
		if since := d.cfg.Now().Add(-f.Since); since.After(q.Since) {
			q.Since = since
		}
	}
	if f.Request != "" { // only where JSON writes it as it is
		if !strings.ContainsFunc(f.Request, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(`"\\<>&`, c) }) {
			q.Contains = []byte(`"request_id":"` + f.Request + `"`)
		}
	}
	return q
}

// matcher judges a record by all fields of the filter. Whole is the role's ARN
// where Role names one.
func (f Filter) matcher(whole string) func(audit.Record) bool {
	text, person, role := strings.ToLower(f.Text), strings.ToLower(f.Person), strings.ToLower(f.Role)
	ofRole := func(arn string) bool { return contains(arn, role) }
	if whole != "" {
		ofRole = func(arn string) bool { return arn == whole || arn == f.Role } // a refused order has what was asked for
	}
	return func(r audit.Record) bool {
		return strings.HasPrefix(r.Event.Event, f.Event) && strings.HasPrefix(r.Address, f.Address) &&
			(f.Outcome == "" || string(r.Outcome) == f.Outcome) && (f.Request == "" || r.RequestID == f.Request) &&
			(person == "" || contains(r.Username, person) || contains(r.Subject, person)) && ofRole(r.Role) && holds(r, text)
	}
}

func contains(field, lower string) bool { return strings.Contains(strings.ToLower(field), lower) }

// holds reports whether one of the fields of a record that people search by holds text.
func holds(r audit.Record, text string) bool {
	if text == "" {
		return true
	}
	for _, field := range []string{r.Username, r.Subject, r.Role, r.Address, r.RequestID, r.AccessKeyID, r.Session, r.Grant, r.Provider, r.Detail, r.Reason, r.SessionName, r.SourceIdentity} {
		if contains(field, text) {
			return true
		}
	}
	return false
}

// detail is what was searched for, for the record.
func (f Filter) detail() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%s %q", name, cut(value)))
		}
	}
	add("text", f.Text)
	add("person", f.Person)
	add("event", f.Event)
	add("outcome", f.Outcome)
	add("role", f.Role)
	add("address", f.Address)
	add("request", f.Request)
	if f.Since > 0 {
		parts = append(parts, "the last "+strings.TrimSuffix(strings.TrimSuffix(f.Since.String(), "0s"), "0m"))
	}
	for _, bound := range []struct {
		name string
		at   time.Time
	}{{"from", f.From}, {"until", f.Until}} {
		if !bound.at.IsZero() {
			parts = append(parts, bound.name+" "+bound.at.UTC().Format(time.RFC3339))
		}
	}
	if f.Before > 0 || f.After > 0 {
		parts = append(parts, "a further page")
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}

func cut(s string) string { return s[:min(len(s), maxReason)] }
