package policy

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// Ask is what a decision depends on beside the identity.
type Ask struct {
	// Role limits the decision to one role; the zero value lists all.
	Role iam.RoleARN
	// Address is the client's; the zero value is "not known", and a condition that reads it cannot be evaluated.
	Address netip.Addr
	// Time is now.
	Time time.Time
	// Device and App are those of the Token Vending Machine; "" is none.
	Device, App string
	// Guest says that nobody signed in: an anonymous device.
	Guest bool
	// Via is the way of arrival: browser, cli, device, exchange or tvm.
	Via string
	// NameTaken says that the store gave the username to another subject first.
	NameTaken bool
	// Since is when this session was signed in. No test reads it: the age of an
	// authentication is the provider's word (Identity.AuthenticatedAt), because a
	// provider may answer from a session of its own that is hours old.
	Since time.Time
}

// Decision is the answer. Its JSON form is `rolecalld explain --json`.
type Decision struct {
	Identity idp.Identity
	// Granted holds each role once, in file order of the grants that give it.
	Granted []Granted
	// Denied holds roles that some grant names for the identity but that are
	// withheld. The Role is zero where it could not even be named.
	Denied []Denied
	// Trace is set by Explain only.
	Trace []GrantTrace
}

// Account is one AWS account as people know it.
type Account struct{ ID, Name string }

// Granted is one role with every parameter of the order to STS.
type Granted struct {
	Grant   string
	Role    iam.RoleARN
	Account Account
	// Duration is what is given where nothing is asked for; MaxDuration what may be asked for.
	Duration, MaxDuration time.Duration
	SessionName           string
	SourceIdentity        string
	Tags                  []iam.Tag // sorted by key; shared, not to be changed
	TransitiveTags        []string
	Policy                string // compact JSON, "" is none
	PolicyARNs            []string
	Console               bool
	Mode                  string
	// HubRole and ExternalID are the account's, where the mode is assume-role.
	HubRole    iam.RoleARN
	ExternalID secret.String
	// SAMLProvider is the ARN of the provider that the account knows the broker as,
	// or the person's identity provider where OwnAssertion.
	SAMLProvider string
	// OwnAssertion says that the order is proven by the person's own assertion, which
	// a browser must bring.
	OwnAssertion bool
}

// Denied is one role that is withheld, and why.
type Denied struct {
	Role   iam.RoleARN `json:"role_arn"`
	Grant  string      `json:"grant"`
	Reason string      `json:"reason"`
	// StepUp is set where a fresh sign-in would give the role.
	StepUp *StepUp `json:"-"`
}

// StepUp is what a sign-in must bring.
type StepUp struct {
	MFA    bool
	MaxAge time.Duration
}

// GrantTrace is how one grant fared. Matched means that all its tests held.
type GrantTrace struct {
	Grant   string `json:"grant"`
	Matched bool   `json:"matched"`
	Tests   []Test `json:"tests"`
}

// Test is one test of a grant.
type Test struct {
	Test   string `json:"test"`
	Held   bool   `json:"held"`
	Detail string `json:"detail"`
}

// MarshalJSON gives the document of `explain --json`; lists are never null.
func (d Decision) MarshalJSON() ([]byte, error) {
	id := d.Identity
	id.Groups, id.Methods = list(id.Groups), list(id.Methods)
	if id.Attributes == nil {
		id.Attributes = map[string][]string{}
	}
	trace := make([]GrantTrace, len(d.Trace))
	for i, t := range d.Trace {
		t.Tests = list(t.Tests)
		trace[i] = t
	}
	return json.Marshal(struct {
		Identity idp.Identity `json:"identity"`
		Granted  []Granted    `json:"granted"`
		Denied   []Denied     `json:"denied"`
		Trace    []GrantTrace `json:"trace"`
	}{id, list(d.Granted), list(d.Denied), trace})
}

// MarshalJSON gives one entry of "granted".
func (g Granted) MarshalJSON() ([]byte, error) {
	tags := make(map[string]string, len(g.Tags))
	for _, t := range g.Tags {
		tags[t.Key] = t.Value
	}
	var sessionPolicy json.RawMessage // nil encodes as null
	if g.Policy != "" {
		sessionPolicy = json.RawMessage(g.Policy)
	}
	return json.Marshal(struct {
		Role           iam.RoleARN       `json:"role_arn"`
		Account        string            `json:"account"`
		Grant          string            `json:"grant"`
		Duration       int64             `json:"duration"`
		SessionName    string            `json:"session_name"`
		SourceIdentity string            `json:"source_identity"`
		Tags           map[string]string `json:"tags"`
		TransitiveTags []string          `json:"transitive_tags"`
		Policy         json.RawMessage   `json:"policy"`
		PolicyARNs     []string          `json:"policy_arns"`
		Console        bool              `json:"console"`
	}{
		g.Role, g.Account.ID, g.Grant, int64(g.Duration / time.Second), g.SessionName, g.SourceIdentity,
		tags, list(g.TransitiveTags), sessionPolicy, list(g.PolicyARNs), g.Console,
	})
}

// list makes a nil list an empty one.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
