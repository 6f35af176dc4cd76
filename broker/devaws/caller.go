package devaws

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
	"github.com/rolecall/rolecall/config/secret"
)

// caller is who signed a request.
type caller struct {
	partition, account string
	arn                string // as GetCallerIdentity says it
	principal          string // aws:PrincipalArn: the user, or the role of a session
	id                 string // AIDA... of a user, AROA... of a session's role
	userID             string // aws:userid
	username           string // of a user
	tags               []iam.Tag
	session            *session     // nil for a user
	user               *user        // of a federated user
	permissions        *permissions // of a user
	federated          string       // the provider's ARN, of whoever comes with a proof instead of a signature
}

func (c caller) root() string { return "arn:" + c.partition + ":iam::" + c.account + ":root" }

// secret finds the secret of an access key for the verifier, in STS's order:
// known, token bound to the key, not expired.
func (a *AWS) secret(_ context.Context, key, token string) (secret.String, error) {
	invalid := stswire.Fail("InvalidClientTokenId", "The security token included in the request is invalid.")
	if u, ok := a.users[key]; ok {
		if token != "" {
			return secret.String{}, invalid
		}
		return u.SecretAccessKey, nil
	}
	s, ok := a.sessions.get(key)
	if !ok || !s.SessionToken.Equal(secret.New(token)) {
		return secret.String{}, invalid
	}
	if !a.now().Before(s.Expires) {
		return secret.String{}, stswire.Fail("ExpiredToken", "The security token included in the request is expired")
	}
	return s.SecretAccessKey, nil
}

// caller is who has an access key whose signature was verified.
func (a *AWS) caller(key string) (caller, bool) {
	if u, ok := a.users[key]; ok {
		return caller{
			partition: u.partition, account: u.account, arn: u.ARN, principal: u.ARN,
			id: u.id, userID: u.id, username: u.name, tags: u.Tags, permissions: u.permissions,
		}, true
	}
	s, ok := a.sessions.get(key)
	if !ok {
		return caller{}, false
	}
	if s.user != nil {
		return caller{
			partition: s.user.partition, account: s.user.account, arn: s.AssumedRoleARN, principal: s.AssumedRoleARN,
			userID: s.user.account + ":" + s.name, tags: overlay(s.user.Tags, s.tags), session: s, user: s.user,
		}, true
	}
	return caller{
		partition: s.role.ARN.Partition, account: s.role.ARN.Account, arn: s.AssumedRoleARN, principal: s.role.ARN.String(),
		id: s.role.id, userID: s.role.id + ":" + s.name, tags: overlay(s.role.Tags, s.tags), session: s,
	}, true
}

// overlay is base with the tags of top put over it; keys compare without case.
func overlay(base, top []iam.Tag) []iam.Tag {
	out := append([]iam.Tag(nil), top...)
	for _, t := range base {
		if _, hidden := tagValue(top, t.Key); !hidden {
			out = append(out, t)
		}
	}
	return out
}

func tagValue(tags []iam.Tag, key string) (string, bool) {
	for _, t := range tags {
		if strings.EqualFold(t.Key, key) {
			return t.Value, true
		}
	}
	return "", false
}

// contextKeys are the condition keys of an AssumeRole call.
func (a *AWS) contextKeys(r *http.Request, region string, who caller, op stswire.AssumeRole, sourceIdentity string) keys {
	now := a.now().UTC()
	k := keys{
		"aws:currenttime":        {now.Format(time.RFC3339)},
		"aws:epochtime":          {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport":    {strconv.FormatBool(r.TLS != nil)},
		"sts:rolesessionname":    {op.RoleSessionName},
		"sts:transitivetagkeys":  op.TransitiveTagKeys,
		"aws:principalisservice": {"false"},
	}
	set := func(key, value string) {
		if value != "" {
			k[key] = []string{value}
		}
	}
	if who.federated == "" {
		set("aws:principalarn", who.principal)
		set("aws:principalaccount", who.account)
		set("aws:principaltype", "User")
	}
	set("aws:userid", who.userID)
	set("aws:federatedprovider", who.federated)
	set("sts:externalid", op.ExternalID)
	set("sts:sourceidentity", sourceIdentity)
	set("aws:username", who.username)
	set("aws:requestedregion", region)
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		set("aws:sourceip", host)
	}
	for _, t := range op.Tags {
		k["aws:requesttag/"+strings.ToLower(t.Key)] = []string{t.Value}
		k["aws:tagkeys"] = append(k["aws:tagkeys"], t.Key)
	}
	for _, t := range who.tags {
		k["aws:principaltag/"+strings.ToLower(t.Key)] = []string{t.Value}
	}
	if s := who.session; s != nil {
		k["aws:principaltype"] = []string{"AssumedRole"}
		k["aws:multifactorauthpresent"] = []string{"false"}
		k["aws:tokenissuetime"] = []string{s.issued.UTC().Format(time.RFC3339)}
		set("aws:sourceidentity", s.sourceIdentity)
	}
	return k
}
