package devaws

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
)

const stsVersion = "2011-06-15"

// sts answers one call of the query API.
func (a *AWS) sts(w http.ResponseWriter, r *http.Request) {
	requestID := uuid.NewString()
	call, err := stswire.Read(r)
	if err != nil {
		a.refuseCall(w, r, requestID, err)
		return
	}
	if call.Version == iamVersion {
		a.iam(w, r, requestID, call)
		return
	}
	answer, err := a.answer(r, call)
	if err != nil {
		a.refuseCall(w, r, requestID, err)
		return
	}
	stswire.WriteAnswer(w, requestID, answer)
}

// refuseCall answers a call of the query API with an error.
func (a *AWS) refuseCall(w http.ResponseWriter, r *http.Request, requestID string, err error) {
	var fault *stswire.Error
	if !errors.As(err, &fault) {
		fault = stswire.Fail("InternalFailure", "")
	}
	// The code only: messages repeat what the caller sent, an external id perhaps.
	a.log.DebugContext(r.Context(), "a call refused", "request_id", requestID, "code", fault.Code, "status", fault.Status)
	stswire.WriteError(w, requestID, fault)
}

func (a *AWS) answer(r *http.Request, call *stswire.Call) (stswire.Answer, error) {
	if call.Version != stsVersion {
		return nil, stswire.InvalidAction(call)
	}
	switch call.Action {
	case "AssumeRoleWithWebIdentity":
		return a.webIdentity(r, call)
	case "AssumeRoleWithSAML":
		return a.saml(r, call)
	case "AssumeRole", "GetCallerIdentity", "GetFederationToken":
		return a.signed(r, call)
	}
	return nil, stswire.InvalidAction(call)
}

// signed answers the operations whose caller is known by a signature.
func (a *AWS) signed(r *http.Request, call *stswire.Call) (stswire.Answer, error) {
	signed, err := a.verifier.Verify(r, call.Body)
	if err != nil {
		return nil, err
	}
	who, ok := a.caller(signed.AccessKeyID)
	if !ok { // forgotten between the two
		return nil, stswire.Fail("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	switch call.Action {
	case "GetCallerIdentity":
		return stswire.CallerIdentity{ARN: who.arn, UserID: who.userID, Account: who.account}, nil
	case "GetFederationToken":
		return a.federationToken(who, call)
	}
	op, err := call.AssumeRole()
	if err != nil {
		return nil, err
	}
	return a.assumeRole(r, signed.Region, who, op)
}

// assumeRole answers AssumeRole. Checks come in STS's order: may they at all,
// the role's maximum, chaining, tags, policy, packed size.
func (a *AWS) assumeRole(r *http.Request, region string, who caller, op stswire.AssumeRole) (stswire.Answer, error) {
	arn, err := iam.ParseRoleARN(op.RoleARN)
	if err != nil {
		return nil, stswire.Fail("ValidationError", "Request ARN is invalid")
	}
	target, err := a.authorize(r, region, who, arn, op)
	if err != nil {
		return nil, err
	}
	if op.SerialNumber != "" || op.TokenCode != "" {
		return nil, stswire.Fail("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	}
	return a.open(target, who, op, time.Duration(op.DurationSeconds)*time.Second)
}

// open makes the role session: the role's maximum, chaining, tags, policy, packed size.
func (a *AWS) open(target *role, who caller, op stswire.AssumeRole, duration time.Duration) (stswire.AssumeRoleResult, error) {
	none := stswire.AssumeRoleResult{}
	if duration > target.MaxSessionDuration {
		return none, stswire.Fail("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if who.session != nil && duration > iam.MaxChainedDuration {
		return none, stswire.Fail("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	made := &session{
		role: target, name: op.RoleSessionName, sourceIdentity: op.SourceIdentity, chained: who.session != nil,
		policy: sessionPolicy(op.Policy, op.PolicyARNs),
	}
	if err := made.inherit(who.session, op); err != nil {
		return none, err
	}
	packed, err := packedSize(op, made.tags)
	if err != nil {
		return none, err
	}
	made.issued = a.now().UTC().Truncate(time.Second)
	made.Credentials = newCredentials(target.ARN.AssumedRole(op.RoleSessionName), target.ARN.Account, made.issued.Add(duration))
	a.sessions.put(made)
	return stswire.AssumeRoleResult{
		Credentials: made.Credentials, AssumedRoleID: target.id + ":" + op.RoleSessionName,
		SourceIdentity: made.sourceIdentity, PackedPolicySize: packed,
	}, nil
}

// authorize finds the role and asks its trust policy. An unknown role and a
// refusal look the same to the caller; the log tells them apart.
func (a *AWS) authorize(r *http.Request, region string, who caller, arn iam.RoleARN, op stswire.AssumeRole) (*role, error) {
	if who.user != nil { // AWS: a federated user cannot call STS
		return nil, notAuthorized(who, "sts:AssumeRole", arn)
	}
	if !a.permitted(who, "sts:AssumeRole", arn.String(), a.contextKeys(r, region, who, op, op.SourceIdentity), true) {
		a.log.InfoContext(r.Context(), "AssumeRole denied", "role", arn.String(), "caller", who.arn, "reason", "the caller's own policies do not allow it")
		return nil, notAuthorized(who, "sts:AssumeRole", arn)
	}
	return a.trusted(r, region, who, arn, op, "sts:AssumeRole", nil)
}

// trusted asks the trust policy for an operation and what it needs beside it;
// extra are condition keys that the proof gave.
func (a *AWS) trusted(r *http.Request, region string, who caller, arn iam.RoleARN, op stswire.AssumeRole, action string, extra keys) (*role, error) {
	actions := []string{action}
	sourceIdentity, inheritsTags := op.SourceIdentity, false
	if s := who.session; s != nil {
		inheritsTags = len(s.transitive) > 0
		if sourceIdentity == "" {
			sourceIdentity = s.sourceIdentity
		}
	}
	if len(op.Tags) > 0 || inheritsTags {
		actions = append(actions, "sts:TagSession")
	}
	if sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	target, known := a.roles[arn]
	why := "there is no such role"
	if known {
		keys := a.contextKeys(r, region, who, op, sourceIdentity)
		maps.Copy(keys, extra)
		refused := slices.IndexFunc(actions, func(action string) bool { return !target.trust.allows(action, who, keys) })
		if refused < 0 {
			return target, nil
		}
		why = "the trust policy does not allow " + actions[refused]
	}
	a.log.InfoContext(r.Context(), strings.TrimPrefix(action, "sts:")+" denied", "role", arn.String(), "caller", who.arn, "reason", why)
	return nil, notAuthorized(who, action, arn)
}

func notAuthorized(who caller, action string, arn iam.RoleARN) error {
	if who.federated != "" {
		return stswire.Fail("AccessDenied", "Not authorized to perform "+action)
	}
	return stswire.Fail("AccessDenied", fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", who.arn, action, arn))
}

// inherit takes over what a session passes on through role chaining: transitive
// tags, which cannot be overridden, and the source identity, which cannot change.
func (s *session) inherit(from *session, op stswire.AssumeRole) error {
	for _, key := range op.TransitiveTagKeys {
		if _, ok := tagValue(op.Tags, key); !ok {
			return stswire.Fail("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
		}
		s.transitive = append(s.transitive, strings.ToLower(key))
	}
	s.tags = op.Tags
	if from == nil {
		return nil
	}
	if from.sourceIdentity != "" {
		if s.sourceIdentity != "" && s.sourceIdentity != from.sourceIdentity {
			return stswire.Fail("ValidationError", "The source identity is already set for this assume role session")
		}
		s.sourceIdentity = from.sourceIdentity
	}
	for _, key := range from.transitive {
		if _, again := tagValue(op.Tags, key); again {
			return stswire.Fail("InvalidParameterValue",
				"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		for _, t := range from.tags {
			if strings.EqualFold(t.Key, key) {
				s.tags = append(slices.Clip(s.tags), t)
			}
		}
		s.transitive = append(s.transitive, key)
	}
	return nil
}
