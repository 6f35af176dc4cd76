// Package devaws is a stand-in for AWS over real HTTP, for development and
// tests: the STS query API with SigV4, trust policies, session tags and
// durations; and the console's federation endpoint with a page that shows who
// signed in. Stock AWS SDKs and the CLI talk to it by an endpoint override.
//
//	POST /, GET /?Action=...                STS: AssumeRole, AssumeRoleWithWebIdentity, AssumeRoleWithSAML,
//	                                        GetFederationToken, GetCallerIdentity
//	                                        IAM: inline policies of roles, ListRoles, ListRoleTags (iam.go)
//	POST / with X-Amz-Target                Organizations: the tree of accounts, read only (organizations.go)
//	     /s3/BUCKET/KEY                     S3: objects, within session policies (s3.go)
//	     /federation?Action=getSigninToken  credentials -> a sign-in token, once, 15 min
//	GET  /federation?Action=login           sign-in token -> cookie, 303 to the console
//	GET  /console/...                       who is signed in
//	GET  /                                  what this is
//
// Everything is in memory and bounded. A caller without Permissions may do
// everything at STS that a trust policy admits, and nothing at IAM and
// Organizations; with them they decide (identity.go). A deny in an inline policy of
// a role is in force at once. Session policies are checked for syntax and size, and
// bound what may be done at S3. MFA devices do not exist.
package devaws

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
	"github.com/rolecall/rolecall/config/secret"
)

// Account is an AWS account.
type Account struct{ ID, Name string }

// Role is an IAM role.
type Role struct {
	ARN   iam.RoleARN
	Trust string // the trust policy, as JSON
	// MaxSessionDuration is 1 h to 12 h; zero is 1 h.
	MaxSessionDuration time.Duration
	Tags               []iam.Tag
	// Permissions is the role's identity policy, as JSON; Inline are its inline
	// policies by name, which IAM calls change.
	Permissions string
	Inline      map[string]string
}

// User is an IAM user with a long-term key.
type User struct {
	ARN             string // arn:aws:iam::ACCOUNT:user/NAME
	AccessKeyID     string // AKIA...
	SecretAccessKey secret.String
	Tags            []iam.Tag
	// Permissions is the user's identity policy, as JSON.
	Permissions string
}

// Config is what exists in this AWS.
type Config struct {
	// URL is the origin it is served at, like http://127.0.0.1:8401.
	URL      string
	Accounts []Account
	Roles    []Role
	Users    []User
	// OIDCProviders and SAMLProviders are whom roles may trust beside principals.
	OIDCProviders []OIDCProvider
	SAMLProviders []SAMLProvider
	// Organization is the tree of accounts; nil is none.
	Organization *Organization
	// Fetch gets the keys of OIDC providers; nil is a client that knows no proxy.
	Fetch *http.Client
	Now   func() time.Time // time.Now where nil
	Log   *slog.Logger     // silent where nil
}

// AWS is the stand-in; it is an http.Handler.
type AWS struct {
	origin   *url.URL
	accounts map[string]Account
	roles    map[iam.RoleARN]*role
	users    map[string]*user         // by access key
	oidc     map[string]*oidcProvider // by ARN
	samlIdPs map[string]*samlProvider // by ARN
	fetch    *http.Client
	policies policies
	tree     *Organization
	objects  objects
	verifier stswire.Verifier
	sessions *sessions
	signins  *signins
	pages    http.Handler
	now      func() time.Time
	log      *slog.Logger
}

type role struct {
	Role
	id          string
	trust       *trust
	permissions *permissions
}

type user struct {
	User
	id, name, partition, account string
	permissions                  *permissions
}

// New checks the configuration, the trust policies above all, and returns all
// that is wrong with it.
func New(cfg Config) (*AWS, error) {
	a := &AWS{
		accounts: map[string]Account{}, roles: map[iam.RoleARN]*role{}, users: map[string]*user{},
		oidc: map[string]*oidcProvider{}, samlIdPs: map[string]*samlProvider{}, fetch: cfg.Fetch, tree: cfg.Organization, now: cfg.Now, log: cfg.Log,
		policies: policies{inline: map[iam.RoleARN]map[string]*permissions{}},
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	origin, err := url.Parse(cfg.URL)
	if err != nil || origin.Host == "" || origin.Scheme != "http" && origin.Scheme != "https" || origin.Path != "" || origin.RawQuery != "" {
		return nil, fmt.Errorf("devaws: URL %q: want an origin like http://127.0.0.1:8401", cfg.URL)
	}
	a.origin = origin
	if a.fetch == nil {
		a.fetch = &http.Client{Transport: &http.Transport{}, Timeout: fetchTimeout}
	}
	var faults []error
	for _, account := range cfg.Accounts {
		if !iam.ValidAccountID(account.ID) {
			faults = append(faults, fmt.Errorf("account %q: want 12 digits", account.ID))
		}
		a.accounts[account.ID] = account
	}
	for _, r := range cfg.Roles {
		faults = append(faults, a.addRole(r))
	}
	for _, u := range cfg.Users {
		faults = append(faults, a.addUser(u))
	}
	for _, p := range cfg.OIDCProviders {
		faults = append(faults, a.addOIDC(p))
	}
	for _, p := range cfg.SAMLProviders {
		faults = append(faults, a.addSAML(p))
	}
	faults = append(faults, a.checkTree())
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("devaws: %w", err)
	}
	a.sessions, a.signins = newSessions(a.now), newSignins(a.now)
	a.verifier = stswire.Verifier{Now: a.now, Secret: a.secret}
	a.pages = a.routes()
	return a, nil
}

func (a *AWS) addRole(r Role) error {
	if _, ok := a.accounts[r.ARN.Account]; !ok {
		return fmt.Errorf("role %s: its account is not among the accounts", r.ARN)
	}
	if r.MaxSessionDuration == 0 {
		r.MaxSessionDuration = time.Hour
	}
	if r.MaxSessionDuration < time.Hour || r.MaxSessionDuration > iam.MaxDuration {
		return fmt.Errorf("role %s: MaxSessionDuration %s: want 1h to 12h", r.ARN, r.MaxSessionDuration)
	}
	parsed, err := parseTrust(r.Trust)
	if err != nil {
		return fmt.Errorf("role %s: trust policy: %w", r.ARN, err)
	}
	for other := range a.roles { // role names are unique in an account, whatever their path
		if other.Account == r.ARN.Account && other.Name == r.ARN.Name {
			return fmt.Errorf("role %s: the account has a role of this name already", r.ARN)
		}
	}
	made := &role{Role: r, id: uniqueID("AROA", r.ARN.String()), trust: parsed}
	if made.permissions, err = parsePermissions(r.Permissions); err != nil {
		return fmt.Errorf("role %s: permissions: %w", r.ARN, err)
	}
	for name, text := range r.Inline {
		if err := a.policies.put(r.ARN, name, text); err != nil {
			return fmt.Errorf("role %s: inline policy %s: %w", r.ARN, name, err)
		}
	}
	a.roles[r.ARN] = made
	return nil
}

var userARN = regexp.MustCompile(`^arn:(aws|aws-us-gov|aws-cn):iam::([0-9]{12}):user/(?:[\x21-\x7e]+/)?([A-Za-z0-9_+=,.@-]{1,64})$`)

func (a *AWS) addUser(u User) error {
	m := userARN.FindStringSubmatch(u.ARN)
	if m == nil {
		return fmt.Errorf("user %q: want arn:aws:iam::ACCOUNT:user/NAME", u.ARN)
	}
	if !accessKeyID.MatchString(u.AccessKeyID) || u.SecretAccessKey.IsZero() {
		return fmt.Errorf("user %s: want an access key of 16 to 128 letters and digits, and its secret", u.ARN)
	}
	if _, taken := a.users[u.AccessKeyID]; taken {
		return fmt.Errorf("user %s: its access key is another user's too", u.ARN)
	}
	granted, err := parsePermissions(u.Permissions)
	if err != nil {
		return fmt.Errorf("user %s: permissions: %w", u.ARN, err)
	}
	a.users[u.AccessKeyID] = &user{User: u, id: uniqueID("AIDA", u.ARN), partition: m[1], account: m[2], name: m[3], permissions: granted}
	return nil
}

var accessKeyID = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
