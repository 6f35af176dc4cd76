package revoke

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

const (
	sid = "RolecallRevoke"
	// useful is how long an entry denies something: what it denies has ended after the
	// longest life of a role's session, and a quarter of an hour later even a console
	// whose sign-in address lay unused for as long as AWS takes it.
	useful = iam.MaxDuration + 15*time.Minute
	// maxInline is what IAM takes of all inline policies of a role together, white
	// space not counted.
	maxInline = 10240
)

// entry denies sessions that were issued before a whole second: those of one
// source identity, or everybody's where it is "".
type entry struct {
	before time.Time
	source string
}

// policy is the policy of a role, taken apart.
type policy struct {
	entries []entry
	// foreign are statements that somebody else wrote; they are kept as they are.
	foreign []json.RawMessage
}

// statement is one of ours, and nothing else has its form.
type statement struct {
	Sid       string
	Effect    string
	Action    string
	Resource  string
	Condition map[string]map[string]any
}

// parse reads what a role has; "" is nothing. A document that cannot be read is an
// error: it is not ours to overwrite.
func parse(text string) (policy, error) {
	var p policy
	if text == "" {
		return p, nil
	}
	var document struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := strict([]byte(text), &document); err != nil || document.Version != "2012-10-17" || document.ID != "" || len(document.Statement) == 0 {
		return p, errors.New("it is not a policy of the version 2012-10-17")
	}
	list := []json.RawMessage{document.Statement}
	if bytes.HasPrefix(bytes.TrimSpace(document.Statement), []byte("[")) {
		if err := json.Unmarshal(document.Statement, &list); err != nil {
			return p, err
		}
	}
	for _, raw := range list {
		if found, ours := read(raw); ours {
			p.entries = append(p.entries, found...)
		} else {
			p.foreign = append(p.foreign, raw)
		}
	}
	return p, nil
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// read takes one of our statements apart.
func read(raw json.RawMessage) (entries []entry, ours bool) {
	var s struct {
		Sid, Effect, Action, Resource string
		Condition                     struct {
			DateLessThan map[string]string
			StringEquals map[string][]string
		}
	}
	if strict(raw, &s) != nil || !strings.HasPrefix(s.Sid, sid) || s.Effect != "Deny" || s.Action != "*" || s.Resource != "*" {
		return nil, false
	}
	before, err := time.Parse(time.RFC3339, s.Condition.DateLessThan["aws:TokenIssueTime"])
	who := s.Condition.StringEquals["aws:SourceIdentity"]
	switch {
	case err != nil, len(s.Condition.DateLessThan) != 1:
		return nil, false
	case s.Condition.StringEquals == nil:
		return []entry{{before: before.UTC()}}, true
	case len(s.Condition.StringEquals) != 1, len(who) == 0, slices.Contains(who, ""):
		return nil, false
	}
	for _, source := range who {
		entries = append(entries, entry{before.UTC(), source})
	}
	return entries, true
}

// merge adds entries and drops those that deny nothing any more: too old ones, and
// those that a later one covers.
func (p policy) merge(more []entry, now time.Time) policy {
	latest := map[string]time.Time{}
	for _, e := range append(slices.Clone(p.entries), more...) {
		if now.Before(e.before.Add(useful)) && e.before.After(latest[e.source]) {
			latest[e.source] = e.before
		}
	}
	merged := policy{foreign: p.foreign}
	for source, before := range latest {
		if source == "" || before.After(latest[""]) {
			merged.entries = append(merged.entries, entry{before, source})
		}
	}
	merged.sort()
	return merged
}

func (p policy) sort() {
	slices.SortFunc(p.entries, func(a, b entry) int {
		if c := a.before.Compare(b.before); c != 0 {
			return c
		}
		return strings.Compare(a.source, b.source)
	})
}

// has reports whether everything that entries deny is denied.
func (p policy) has(entries []entry) bool {
	for _, want := range entries {
		if !slices.ContainsFunc(p.entries, func(e entry) bool {
			return (e.source == want.source || e.source == "") && !e.before.Before(want.before)
		}) {
			return false
		}
	}
	return true
}

// statements are those that the entries make, one for each time and kind.
func (p policy) statements() []any {
	var made []any
	for i := 0; i < len(p.entries); {
		first := p.entries[i]
		condition := map[string]map[string]any{"DateLessThan": {"aws:TokenIssueTime": first.before.UTC().Format(time.RFC3339)}}
		var who []string
		for ; i < len(p.entries) && p.entries[i].before.Equal(first.before) && (p.entries[i].source == "") == (first.source == ""); i++ {
			who = append(who, p.entries[i].source)
		}
		if first.source != "" {
			condition["StringEquals"] = map[string]any{"aws:SourceIdentity": who}
		}
		name := sid
		if len(made) > 0 {
			name = fmt.Sprintf("%s%d", sid, len(made)+1)
		}
		made = append(made, statement{name, "Deny", "*", "*", condition})
	}
	for _, raw := range p.foreign {
		made = append(made, raw)
	}
	return made
}

// document is the policy as text, "" where it holds nothing.
func (p policy) document(indent string) string {
	statements := p.statements()
	if len(statements) == 0 {
		return ""
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	document := struct {
		Version   string
		Statement []any
	}{"2012-10-17", statements}
	if err := e.Encode(document); err != nil {
		return "" // what was parsed encodes
	}
	return strings.TrimSpace(text.String())
}
