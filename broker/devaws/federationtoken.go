package devaws

import (
	"time"

	"github.com/rolecall/rolecall/broker/stswire"
)

// federationToken answers GetFederationToken, which long-term keys alone may call.
// Without a session policy AWS gives credentials that may do nothing; so does this.
func (a *AWS) federationToken(who caller, call *stswire.Call) (stswire.Answer, error) {
	op, err := call.GetFederationToken()
	if err != nil {
		return nil, err
	}
	if who.session != nil {
		return nil, stswire.Fail("AccessDenied", "Cannot call GetFederationToken with session credentials")
	}
	packed, err := packedSize(stswire.AssumeRole{Policy: op.Policy, PolicyARNs: op.PolicyARNs}, op.Tags)
	if err != nil {
		return nil, err
	}
	var owner *user
	for _, u := range a.users {
		if u.ARN == who.arn {
			owner = u
		}
	}
	made := &session{user: owner, name: op.Name, tags: op.Tags, policy: sessionPolicy(op.Policy, op.PolicyARNs), issued: a.now().UTC().Truncate(time.Second)}
	arn := "arn:" + who.partition + ":sts::" + who.account + ":federated-user/" + op.Name
	made.Credentials = newCredentials(arn, who.account, made.issued.Add(time.Duration(op.DurationSeconds)*time.Second))
	a.sessions.put(made)
	return stswire.FederationTokenResult{Credentials: made.Credentials, FederatedUserID: who.account + ":" + op.Name, PackedPolicySize: packed}, nil
}
