package devaws

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
)

// Organization is the tree of accounts as AWS Organizations knows it.
type Organization struct {
	// Management is the account that may ask for it.
	Management string
	// Root has the units and accounts.
	Root Unit
}

// Unit is an organisational unit: the accounts and units right below it.
type Unit struct {
	Name     string
	Units    []Unit
	Accounts []Member
}

// Member is an account of the organisation.
type Member struct {
	ID, Name, Email string
	// State is ACTIVE where empty.
	State string
	Tags  []iam.Tag
}

const (
	organizationsTarget = "AWSOrganizationsV20161128."
	// organizationsPage is smaller than AWS's, so that every caller has to turn pages.
	organizationsPage = 2
	maxTarget         = 64 << 10
)

// checkTree refuses a management account that does not exist.
func (a *AWS) checkTree() error {
	if a.tree == nil {
		return nil
	}
	if _, ok := a.accounts[a.tree.Management]; !ok {
		return fmt.Errorf("organization: the management account %q is not among the accounts", a.tree.Management)
	}
	return nil
}

// organizations answers one call of Organizations (AWS JSON 1.1).
func (a *AWS) organizations(w http.ResponseWriter, r *http.Request) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), organizationsTarget)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	result, err := a.answerOrganizations(r, action)
	if err != nil {
		code, message, _ := strings.Cut(err.Error(), ": ")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "Message": message})
		return
	}
	_ = json.NewEncoder(w).Encode(result)
}

type organizationsQuery struct {
	ParentID   string `json:"ParentId"`
	ResourceID string `json:"ResourceId"`
	NextToken  string
	MaxResults int
}

func (a *AWS) answerOrganizations(r *http.Request, action string) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxTarget))
	if err != nil {
		return nil, err
	}
	who, region, err := a.signer(r, body, "organizations")
	if err != nil {
		return nil, err
	}
	if !a.permitted(who, "organizations:"+action, "*", a.contextKeys(r, region, who, stswire.AssumeRole{}, ""), false) {
		return nil, stswire.Fail("AccessDeniedException", "You don't have permissions to access this resource.")
	}
	if a.tree == nil {
		return nil, stswire.Fail("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	}
	if who.account != a.tree.Management {
		return nil, stswire.Fail("AccessDeniedException", "You don't have permissions to access this resource.")
	}
	var query organizationsQuery
	if err := strictJSON(body, &query); err != nil {
		return nil, stswire.Fail("InvalidInputException", "You specified an invalid value.")
	}
	return a.organizationsResult(action, query)
}

func (a *AWS) organizationsResult(action string, query organizationsQuery) (any, error) {
	if action == "ListRoots" {
		return map[string]any{"Roots": []any{map[string]string{"Id": unitID(""), "Name": "Root", "Arn": "arn:aws:organizations::" + a.tree.Management + ":root/o-dev/" + unitID("")}}}, nil
	}
	if action == "ListTagsForResource" {
		member, ok := findMember(a.tree.Root, query.ResourceID)
		if !ok {
			return nil, stswire.Fail("TargetNotFoundException", "You specified a target that doesn't exist.")
		}
		return listed("Tags", member.Tags, query, func(t iam.Tag) any { return map[string]string{"Key": t.Key, "Value": t.Value} })
	}
	unit, path, ok := findUnit(a.tree.Root, "", query.ParentID)
	if !ok {
		return nil, stswire.Fail("ParentNotFoundException", "We can't find a root or OU with the ParentId that you specified.")
	}
	switch action {
	case "ListOrganizationalUnitsForParent":
		return listed("OrganizationalUnits", unit.Units, query, func(u Unit) any { return map[string]string{"Id": unitID(path + "/" + u.Name), "Name": u.Name} })
	case "ListAccountsForParent":
		return listed("Accounts", unit.Accounts, query, func(m Member) any {
			state := m.State
			if state == "" {
				state = "ACTIVE"
			}
			return map[string]string{"Id": m.ID, "Name": m.Name, "Email": m.Email, "State": state, "Status": state}
		})
	}
	return nil, stswire.Fail("UnknownOperationException", "")
}

// listed is one page of a list.
func listed[T any](name string, all []T, query organizationsQuery, show func(T) any) (any, error) {
	page, next, err := pageOf(all, query.NextToken, fmt.Sprint(organizationsPage))
	if err != nil {
		return nil, stswire.Fail("InvalidInputException", "You provided an invalid NextToken.")
	}
	shown := []any{}
	for _, item := range page {
		shown = append(shown, show(item))
	}
	result := map[string]any{name: shown}
	if next != "" {
		result["NextToken"] = next
	}
	return result, nil
}

// unitID is the id of the unit at a path, "" is the root.
func unitID(path string) string {
	if path == "" {
		return "r-dev1"
	}
	return "ou-dev1-" + strings.ToLower(uniqueID("", path))[:8]
}

func findUnit(unit Unit, path, id string) (Unit, string, bool) {
	if unitID(path) == id {
		return unit, path, true
	}
	for _, below := range unit.Units {
		if found, at, ok := findUnit(below, path+"/"+below.Name, id); ok {
			return found, at, true
		}
	}
	return Unit{}, "", false
}

func findMember(unit Unit, id string) (Member, bool) {
	if i := slices.IndexFunc(unit.Accounts, func(m Member) bool { return m.ID == id }); i >= 0 {
		return unit.Accounts[i], true
	}
	for _, below := range unit.Units {
		if found, ok := findMember(below, id); ok {
			return found, true
		}
	}
	return Member{}, false
}
