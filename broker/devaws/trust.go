package devaws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker/iam"
)

// TrustPolicy is a trust policy that lets the principals (ARNs, or account ids
// for a whole account) assume the role with session tags and a source identity,
// with externalID where it is not empty.
func TrustPolicy(externalID string, principals ...string) string {
	statement := map[string]any{
		"Effect":    "Allow",
		"Principal": map[string]any{"AWS": principals},
		"Action":    []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"},
	}
	if externalID != "" {
		statement["Condition"] = map[string]any{"StringEquals": map[string]any{"sts:ExternalId": externalID}}
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{statement}})
	if err != nil {
		return "" // strings always encode
	}
	return string(text)
}

// trust is a role's trust policy, compiled.
type trust struct{ statements []statement }

type statement struct {
	deny       bool
	principals []string // "*", an account id, an ARN or a unique id
	federated  []string // ARNs of identity providers
	actions    []string // lower case, with * and ?
	conditions []condition
}

type policyDocument struct {
	Version   string
	ID        string `json:"Id"`
	Statement json.RawMessage
}

type policyStatement struct {
	Sid       string
	Effect    string
	Principal json.RawMessage
	Action    values
	Condition map[string]map[string]values
}

// values is one scalar of JSON, or a list of them, as text.
type values []string

// UnmarshalJSON implements json.Unmarshaler.
func (v *values) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		raw = []json.RawMessage{data}
	} else if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*v = make(values, 0, len(raw))
	for _, item := range raw {
		var text string
		if err := json.Unmarshal(item, &text); err != nil || bytes.Equal(item, []byte("null")) {
			if !regexp.MustCompile(`^(true|false|-?[0-9.]+)$`).Match(item) {
				return errors.New("want text, a number, a boolean, or a list of these")
			}
			text = string(item)
		}
		*v = append(*v, text)
	}
	return nil
}

// parseTrust reads a trust policy; what IAM would not take, or this stand-in does
// not evaluate, is an error and not ignored.
func parseTrust(text string) (*trust, error) {
	raw, err := statementsOf(text)
	if err != nil {
		return nil, err
	}
	t := &trust{}
	for i, data := range raw {
		s, err := parseStatement(data)
		if err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		t.statements = append(t.statements, s)
	}
	return t, nil
}

// statementsOf takes a policy document apart.
func statementsOf(text string) ([]json.RawMessage, error) {
	var doc policyDocument
	if err := strictJSON([]byte(text), &doc); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "2008-10-17", "2012-10-17"}, doc.Version) {
		return nil, fmt.Errorf("version %q: want 2012-10-17", doc.Version)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(doc.Statement), []byte("[")) {
		return []json.RawMessage{doc.Statement}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(doc.Statement, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no statement")
	}
	return list, nil
}

func strictJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("text after the JSON document")
	}
	return nil
}

func parseStatement(data json.RawMessage) (statement, error) {
	var raw policyStatement
	if err := strictJSON(data, &raw); err != nil {
		return statement{}, err
	}
	s := statement{deny: raw.Effect == "Deny"}
	if raw.Effect != "Allow" && raw.Effect != "Deny" {
		return statement{}, fmt.Errorf("effect %q: want Allow or Deny", raw.Effect)
	}
	if len(raw.Action) == 0 {
		return statement{}, errors.New("no Action")
	}
	for _, action := range raw.Action {
		if action != "*" && !strings.HasPrefix(strings.ToLower(action), "sts:") {
			return statement{}, fmt.Errorf("action %q: a trust policy has actions of sts only", action)
		}
		s.actions = append(s.actions, strings.ToLower(action))
	}
	var err error
	if s.principals, s.federated, err = parsePrincipal(raw.Principal); err != nil {
		return statement{}, err
	}
	s.conditions, err = parseConditions(raw.Condition)
	return s, err
}

var principalARN = regexp.MustCompile(`^arn:(aws|aws-us-gov|aws-cn):(iam|sts)::[0-9]{12}:(root$|user/|role/|assumed-role/|federated-user/)[^*?]*$`)

var providerARN = regexp.MustCompile(`^arn:(aws|aws-us-gov|aws-cn):iam::[0-9]{12}:(oidc-provider|saml-provider)/[^*?]+$`)

// parsePrincipal reads "*" or {"AWS": ..., "Federated": ..., "Service": ...}. Nobody
// who calls here is a Service.
func parsePrincipal(data json.RawMessage) (principals, federated []string, err error) {
	var all string
	if json.Unmarshal(data, &all) == nil {
		if all != "*" {
			return nil, nil, fmt.Errorf(`principal %q: want "*" or an object`, all)
		}
		return []string{"*"}, nil, nil
	}
	var kinds map[string]values
	if err := json.Unmarshal(data, &kinds); err != nil || len(kinds) == 0 {
		return nil, nil, errors.New(`principal: want "*" or an object such as {"AWS": "arn:aws:iam::ACCOUNT:root"}`)
	}
	for kind, list := range kinds {
		switch kind {
		case "AWS":
			for _, p := range list {
				if p != "*" && !iam.ValidAccountID(p) && !principalARN.MatchString(p) && !accessKeyID.MatchString(p) {
					return nil, nil, fmt.Errorf("principal %q: want *, an account id, or the ARN of an account's root, a user or a role, without wildcards", p)
				}
				principals = append(principals, p)
			}
		case "Federated":
			for _, p := range list {
				if strings.HasPrefix(p, "arn:") && !providerARN.MatchString(p) {
					return nil, nil, fmt.Errorf("principal %q: want the ARN of an OIDC or SAML provider, without wildcards", p)
				}
				federated = append(federated, p)
			}
		case "Service", "CanonicalUser":
		default:
			return nil, nil, fmt.Errorf("principal of kind %q: want AWS, Federated or Service", kind)
		}
	}
	return principals, federated, nil
}

// allows evaluates the policy for one action: a deny wins, and without an allow
// the answer is no.
func (t *trust) allows(action string, who caller, keys keys) bool {
	allowed := false
	for _, s := range t.statements {
		if !s.covers(action) || !s.names(who) || !s.holds(keys) {
			continue
		}
		if s.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) covers(action string) bool {
	return slices.ContainsFunc(s.actions, func(pattern string) bool { return like(wild(pattern), strings.ToLower(action)) })
}

func (s statement) names(who caller) bool {
	if who.federated != "" {
		return slices.Contains(s.federated, who.federated)
	}
	return slices.ContainsFunc(s.principals, func(p string) bool {
		switch p {
		case "*", who.account, who.root(), who.arn, who.principal, who.id:
			return true
		}
		return false
	})
}

func (s statement) holds(keys keys) bool {
	return !slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(keys) })
}
