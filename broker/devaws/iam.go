package devaws

import (
	"cmp"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
)

// IAM's query API, as much of it as rolecall calls:
//
//	GetRolePolicy, PutRolePolicy, DeleteRolePolicy   an inline policy of a role
//	ListRoles, ListRoleTags                          by pages
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html
const (
	iamVersion   = "2010-05-08"
	iamNamespace = "https://iam.amazonaws.com/doc/2010-05-08/"
	iamPage      = 100
)

var inlineName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,128}$`)

// iam answers one call of IAM.
func (a *AWS) iam(w http.ResponseWriter, r *http.Request, requestID string, call *stswire.Call) {
	result, err := a.answerIAM(r, call)
	if err != nil {
		a.refuseCall(w, r, requestID, err)
		return
	}
	type metadata struct {
		RequestID string `xml:"RequestId"`
	}
	body, err := xml.Marshal(struct {
		XMLName  xml.Name
		Space    string `xml:"xmlns,attr"`
		Result   any
		Metadata metadata `xml:"ResponseMetadata"`
	}{xml.Name{Local: call.Action + "Response"}, iamNamespace, named{call.Action + "Result", result}, metadata{requestID}})
	if err != nil {
		a.refuseCall(w, r, requestID, err)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("x-amzn-RequestId", requestID)
	_, _ = w.Write(body)
}

// named gives a value its element name.
type named struct {
	name  string
	value any
}

// MarshalXML implements xml.Marshaler.
func (n named) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return e.EncodeElement(n.value, xml.StartElement{Name: xml.Name{Local: n.name}})
}

func noSuchEntity(message string) error {
	return &stswire.Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: message}
}

func (a *AWS) answerIAM(r *http.Request, call *stswire.Call) (any, error) {
	who, region, err := a.signer(r, call.Body, "iam")
	if err != nil {
		return nil, err
	}
	do := map[string]func(caller, *stswire.Call, iam.RoleARN) (any, error){
		"GetRolePolicy": a.getRolePolicy, "PutRolePolicy": a.putRolePolicy, "DeleteRolePolicy": a.deleteRolePolicy,
		"ListRoles": a.listRoles, "ListRoleTags": a.listRoleTags,
	}[call.Action]
	if do == nil {
		return nil, stswire.InvalidAction(call)
	}
	name, resource := call.Value("RoleName"), "*"
	target, known := a.roleNamed(who.account, name)
	if call.Action != "ListRoles" {
		resource = cmp.Or(target.String(), "arn:"+who.partition+":iam::"+who.account+":role/"+name)
	}
	if !a.permitted(who, "iam:"+call.Action, resource, a.contextKeys(r, region, who, stswire.AssumeRole{}, ""), false) {
		return nil, stswire.Fail("AccessDenied", "User: "+who.arn+" is not authorized to perform: iam:"+call.Action+" on resource: "+resource)
	}
	if call.Action != "ListRoles" && !known {
		return nil, noSuchEntity("The role with name " + name + " cannot be found.")
	}
	return do(who, call, target)
}

// signer is who signed a call of a service.
func (a *AWS) signer(r *http.Request, body []byte, service string) (caller, string, error) {
	verifier := a.verifier
	verifier.Service = service
	signed, err := verifier.Verify(r, body)
	if err != nil {
		return caller{}, "", err
	}
	who, ok := a.caller(signed.AccessKeyID)
	if !ok {
		return caller{}, "", stswire.Fail("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	return who, signed.Region, nil
}

func (a *AWS) roleNamed(account, name string) (iam.RoleARN, bool) {
	for arn := range a.roles {
		if arn.Account == account && arn.Name == name {
			return arn, true
		}
	}
	return iam.RoleARN{}, false
}

func (a *AWS) getRolePolicy(_ caller, call *stswire.Call, role iam.RoleARN) (any, error) {
	name := call.Value("PolicyName")
	found := a.policies.of(role)[name]
	if found == nil {
		return nil, noSuchEntity("The role policy with name " + name + " cannot be found.")
	}
	return struct{ RoleName, PolicyName, PolicyDocument string }{role.Name, name, strings.ReplaceAll(url.QueryEscape(found.text), "+", "%20")}, nil
}

func (a *AWS) putRolePolicy(_ caller, call *stswire.Call, role iam.RoleARN) (any, error) {
	name := call.Value("PolicyName")
	if !inlineName.MatchString(name) {
		return nil, stswire.Fail("ValidationError", "The specified value for policyName is invalid.")
	}
	switch err := a.policies.put(role, name, call.Value("PolicyDocument")); {
	case errors.Is(err, errInlineTooLarge):
		return nil, &stswire.Error{Status: http.StatusConflict, Code: "LimitExceeded", Message: "Maximum policy size of 10240 bytes exceeded for role " + role.Name}
	case err != nil:
		return nil, stswire.Fail("MalformedPolicyDocument", "Syntax errors in policy.")
	}
	return struct{}{}, nil
}

func (a *AWS) deleteRolePolicy(_ caller, call *stswire.Call, role iam.RoleARN) (any, error) {
	name := call.Value("PolicyName")
	if !a.policies.remove(role, name) {
		return nil, noSuchEntity("The role policy with name " + name + " cannot be found.")
	}
	return struct{}{}, nil
}

type wireTag struct{ Key, Value string }

type wireRole struct {
	Path, RoleName     string
	RoleID             string `xml:"RoleId"`
	Arn                string
	CreateDate         string
	MaxSessionDuration int
}

// listRoles gives roles without tags, as IAM does.
func (a *AWS) listRoles(who caller, call *stswire.Call, _ iam.RoleARN) (any, error) {
	var all []iam.RoleARN
	for arn := range a.roles {
		if arn.Account == who.account && strings.HasPrefix(arn.Path, cmp.Or(call.Value("PathPrefix"), "/")) {
			all = append(all, arn)
		}
	}
	slices.SortFunc(all, func(x, y iam.RoleARN) int { return cmp.Compare(x.Name, y.Name) })
	page, next, err := pageOf(all, call.Value("Marker"), call.Value("MaxItems"))
	if err != nil {
		return nil, err
	}
	var result struct {
		Roles       []wireRole `xml:"Roles>member"`
		IsTruncated bool
		Marker      string `xml:",omitempty"`
	}
	for _, arn := range page {
		role := a.roles[arn]
		result.Roles = append(result.Roles, wireRole{
			arn.Path, arn.Name, role.id, arn.String(), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339), int(role.MaxSessionDuration.Seconds()),
		})
	}
	result.IsTruncated, result.Marker = next != "", next
	return result, nil
}

func (a *AWS) listRoleTags(_ caller, call *stswire.Call, role iam.RoleARN) (any, error) {
	page, next, err := pageOf(a.roles[role].Tags, call.Value("Marker"), call.Value("MaxItems"))
	if err != nil {
		return nil, err
	}
	var result struct {
		Tags        []wireTag `xml:"Tags>member"`
		IsTruncated bool
		Marker      string `xml:",omitempty"`
	}
	for _, t := range page {
		result.Tags = append(result.Tags, wireTag(t))
	}
	result.IsTruncated, result.Marker = next != "", next
	return result, nil
}

// pageOf cuts one page out of a list; the marker is where it begins.
func pageOf[T any](all []T, marker, most string) (page []T, next string, err error) {
	from, size := 0, iamPage
	if marker != "" {
		if from, err = strconv.Atoi(marker); err != nil || from < 0 || from > len(all) {
			return nil, "", stswire.Fail("ValidationError", "Invalid Marker.")
		}
	}
	if most != "" {
		if size, err = strconv.Atoi(most); err != nil || size < 1 || size > 1000 {
			return nil, "", stswire.Fail("ValidationError", "MaxItems must be 1 to 1000.")
		}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return all[from:to], next, nil
}
