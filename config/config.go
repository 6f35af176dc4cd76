// Package config is all that an operator may write, as data. Load decodes one
// YAML file strictly: an unknown key, a wrong type or a missing value is a Fault
// with file:line, and all faults are reported together.
//
// The structs are the one source of truth; their tags say what a key is:
//
//	yaml      the key; "-" is filled by Load
//	doc       one sentence for the operator
//	default   the value where the key is absent; without it the zero value
//	          counts, and doc says what that means
//	required  true, or the types of provider that need the key
//	for       the types of provider that the key belongs to
//	of        the presets that the key belongs to
//	enum      the words that are allowed
//	planned   words that a later version will allow
//	later     what the key is for, once that is built: until then the key is refused
//	path      a file; a relative one counts from the folder of the configuration
//	as        json: text, or a mapping that is turned into JSON text
//
// Decoding, defaults (defaults.go), the JSON Schema (docs/config.schema.json) and
// the reference (docs/configuration.md) all come from them.
//
// A section is handed to the constructor of the package that it configures. What
// only that package can judge (a CEL condition, a template, a URL) is a Text,
// which knows its position; constructors return Faults for it.
package config

import (
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// Config is one configuration file.
type Config struct {
	Server    Server     `yaml:"server" doc:"The HTTP listener."`
	Store     Text       `yaml:"store" doc:"Where state lives: sqlite:PATH, the path counted from the folder of this file." default:"sqlite:rolecall.db"`
	Issuer    Issuer     `yaml:"issuer" doc:"rolecall as an OpenID Connect issuer."`
	AWS       AWS        `yaml:"aws" doc:"How rolecall speaks to AWS. Its own credentials come from the SDK's default chain: environment, profile, instance role."`
	Session   Session    `yaml:"session" doc:"How long a sign-in lasts."`
	OAuth     OAuth      `yaml:"oauth" doc:"The authorization server for the command line."`
	Limits    Limits     `yaml:"limits" doc:"Rates above which the answer is 429 with Retry-After. Sign-ins, token requests and orders of credentials are counted each by itself."`
	Audit     Audit      `yaml:"audit" doc:"The hash-chained record of who got what."`
	Metrics   Metrics    `yaml:"metrics" doc:"Figures for Prometheus, on a listener of their own."`
	Egress    Egress     `yaml:"egress" doc:"Outbound HTTP to identity providers."`
	Providers []Provider `yaml:"providers" doc:"Identity providers, in the order of the sign-in page."`
	Accounts  []Account  `yaml:"accounts" doc:"The AWS accounts that grants may name."`
	// AccountsFile is read by Load: its accounts are among Accounts.
	AccountsFile Text    `yaml:"accounts_file" path:"true" doc:"A file with a list accounts of its own, as rolecalld aws discover writes it. An account that is in both has here what counts."`
	Grants       []Grant `yaml:"grants" doc:"Who may have which role. Selectors (groups, groups_matching, users, providers, when, require) are joined by AND, the values of one list by OR. Of several grants for one role the first in file order that holds counts."`
	Apps         []App   `yaml:"apps" doc:"Mobile and single-page apps, whose devices and people get credentials at /tvm/v1 (docs/mobile-apps.md)."`
	Mail         Mail    `yaml:"mail" doc:"Outgoing mail: codes for registration and password reset of a provider of type directory."`
	Admins       Admins  `yaml:"admins" doc:"Who sees the administration pages: sessions, which they may end, people, the audit record, who has what and why, health, this configuration without its secrets. Nobody by default."`

	// Digest is the hex SHA-256 of the file's bytes, for the log.
	Digest string `yaml:"-"`
	// File is the path the configuration was read from; relative paths in it are relative to its folder.
	File string `yaml:"-"`
	// Warnings are faults that do not keep the configuration from running.
	Warnings Faults `yaml:"-"`
	// Written holds the path of each key that is in the file (providers[0].issuer);
	// of a secret that is a reference, the reference.
	Written map[string]string `yaml:"-"`
}

// Server is the HTTP listener.
type Server struct {
	URL            Text   `yaml:"url" required:"true" doc:"The public address, https://HOST[:PORT]; http on a loopback address only."`
	Listen         string `yaml:"listen" default:":8443" doc:"HOST:PORT to listen on."`
	TLS            TLS    `yaml:"tls" doc:"The certificate; without it a proxy in front must end TLS."`
	TrustedProxies []Text `yaml:"trusted_proxies" doc:"CIDRs of reverse proxies whose X-Forwarded-For is believed. None by default."`
}

// TLS names the server's certificate.
type TLS struct {
	Cert string `yaml:"cert" path:"true" doc:"PEM file of the certificate chain."`
	Key  string `yaml:"key" path:"true" doc:"PEM file of the private key."`

	_ struct{} `yaml:"acme" later:"certificates by ACME"`
}

// Issuer is the broker as an OpenID Connect issuer.
type Issuer struct {
	URL  Text `yaml:"url" doc:"The issuer in tokens that rolecall signs. Default: server.url."`
	Keys Text `yaml:"keys" default:"local" doc:"Where signing keys live: local is the store."`
}

// AWS is how the broker speaks to AWS. Its own credentials come from the SDK's default chain.
type AWS struct {
	Region         string        `yaml:"region" default:"us-east-1" doc:"Region of the STS endpoint."`
	Mode           Text          `yaml:"mode" default:"assume-role" enum:"assume-role,web-identity,saml,federation-token" doc:"How credentials are ordered from STS; docs/aws.md compares them."`
	Audience       Text          `yaml:"audience" default:"sts.amazonaws.com" doc:"The audience of tokens for AWS (mode web-identity)."`
	Regions        []Text        `yaml:"regions" doc:"Regions whose STS is asked, in this order, where that of region is down or throttles."`
	Endpoint       Text          `yaml:"endpoint" doc:"Base URL of a stand-in for STS; empty is AWS."`
	SigninEndpoint Text          `yaml:"signin_endpoint" doc:"Base URL of the console federation endpoint. Default: AWS's own, or aws.endpoint where that is set."`
	Timeout        time.Duration `yaml:"timeout" default:"10s" doc:"Bound on one whole order, retries included."`
	OutliveSession bool          `yaml:"outlive_session" default:"true" doc:"Whether credentials may outlive the sign-in that they come from."`
	RevocationRole Text          `yaml:"revocation_role" doc:"The role that rolecalld revoke --aws assumes to write the policy rolecall-revoke: the ARN of one, or the name (with its path) of one that each account has."`
}

// Session bounds sign-ins.
type Session struct {
	Max        time.Duration `yaml:"max" default:"12h" doc:"Longest life of a browser session."`
	Idle       time.Duration `yaml:"idle" default:"1h" doc:"A browser session ends after this time without a request."`
	RefreshMax time.Duration `yaml:"refresh_max" default:"12h" doc:"No refresh token works longer than this after the sign-in."`
}

// OAuth is the authorization server for the CLI.
type OAuth struct {
	DeviceFlow bool `yaml:"device_flow" doc:"RFC 8628 device authorization. Off by default: it can be phished."`
}

// Limits are rates: N/s, N/m or N/h.
type Limits struct {
	PerAddress Rate `yaml:"per_address" default:"300/m" doc:"The rate per client address (IPv6: per /64)."`
	PerSubject Rate `yaml:"per_subject" default:"60/m" doc:"The rate per person."`

	Block LimitBlock `yaml:"block" doc:"Addresses from which too many sign-ins, tokens or proofs came that were no good are kept out of these for a while."`
}

// LimitBlock says when an address is kept out.
type LimitBlock struct {
	Enabled bool          `yaml:"enabled" default:"true" doc:"Whether addresses are blocked by themselves."`
	After   Rate          `yaml:"after" default:"300/h" doc:"How much bad evidence an address may bring at once, and how fast it is forgotten; each success forgives one."`
	For     time.Duration `yaml:"for" default:"15m" doc:"How long an address is kept out."`
	Exempt  []Text        `yaml:"exempt" doc:"CIDRs that are never blocked: offices and build farms behind one address."`
}

// Audit is the hash-chained record.
type Audit struct {
	File string `yaml:"file" path:"true" doc:"The chain file. Default: audit.jsonl beside the store."`
}

// Metrics are figures for Prometheus.
type Metrics struct {
	Listen Text `yaml:"listen" default:"127.0.0.1:9464" doc:"HOST:PORT where GET /metrics is answered in plain HTTP, or off. Two daemons on one machine need two; where the default is taken, the daemon says so and goes on without."`
}

// Egress bounds outbound HTTP to identity providers.
type Egress struct {
	Proxy  Text   `yaml:"proxy" doc:"URL of an HTTP proxy. The environment's proxy variables are not read."`
	CAFile string `yaml:"ca_file" path:"true" doc:"PEM file of further trusted certificate authorities."`
}

// Provider is one identity provider; which fields may be set depends on Type.
type Provider struct {
	Pos   Pos    `yaml:"-"`
	Name  Text   `yaml:"name" required:"true" doc:"Lower-case letters, digits and '-'; part of URLs and of SourceIdentity."`
	Type  Text   `yaml:"type" required:"true" enum:"saml,oidc,oauth2,directory" planned:"ldap" doc:"The protocol; it decides which of the other keys may be set."`
	Label string `yaml:"label" doc:"What the sign-in page calls it. Default: the name."`
	// Preset fills keys that the file leaves out; preset.go has the table.
	Preset Text `yaml:"preset" required:"oauth2" for:"oidc,oauth2" enum:"google,apple,microsoft,facebook,github,cognito,okta,auth0,keycloak,amazon,github-actions,gitlab-ci,kubernetes,spiffe" doc:"What kind of provider it is: sets other keys, and what is checked; see the table of presets."`
	// Domains lead people who type their e-mail address to this provider.
	Domains []Text `yaml:"domains" doc:"E-mail domains of the people there, in lower case: the sign-in page finds the provider by an address. They decide nothing else."`

	Groups   From `yaml:"groups" for:"saml,oidc" doc:"What holds the groups."`
	Username From `yaml:"username" doc:"What holds the user name. Default: the NameID; the claim sub; the login at GitHub, the id at Facebook."`
	Subject  From `yaml:"subject" for:"saml,oidc" doc:"What holds the stable subject. Default: the NameID; at OpenID providers always sub, or oid with the preset microsoft."`

	ClockSkew    time.Duration `yaml:"clock_skew" default:"60s" doc:"How far the provider's clock may be off."`
	CAFile       string        `yaml:"ca_file" path:"true" doc:"PEM file of certificate authorities for this provider's addresses."`
	AllowPrivate bool          `yaml:"allow_private" doc:"Allow loopback and private addresses; plain http on loopback only."`

	// SAML
	MetadataURL  Text       `yaml:"metadata_url" for:"saml" doc:"Where the provider's metadata is fetched and refreshed."`
	MetadataFile Text       `yaml:"metadata_file" path:"true" for:"saml" doc:"The provider's metadata as a file."`
	MetadataCert Text       `yaml:"metadata_cert" path:"true" for:"saml" doc:"PEM file of the certificate that must have signed the metadata."`
	EntityID     Text       `yaml:"entity_id" for:"saml" doc:"The provider's entityID where the metadata holds several."`
	SPEntityID   Text       `yaml:"sp_entity_id" for:"saml" doc:"Our entityID. Default: URL/saml/NAME/metadata."`
	ACSURL       Text       `yaml:"acs_url" for:"saml" doc:"Whom assertions are made out to (Recipient), and where they are posted. Default: URL/saml/NAME/acs, where browsers bring them too if this is AWS's sign-in address (assertion: user)."`
	IDPInitiated bool       `yaml:"idp_initiated" for:"saml" doc:"Accept unsolicited responses after a confirmation page."`
	Exchange     bool       `yaml:"exchange" for:"saml" doc:"Accept assertions at /oauth2/token."`
	Encryption   Encryption `yaml:"encryption" for:"saml" doc:"Our key for encrypted assertions."`
	SignRequests bool       `yaml:"sign_requests" for:"saml" doc:"Sign AuthnRequests."`
	// AWSAttributes makes groups of what applications for AWS send.
	AWSAttributes bool `yaml:"aws_attributes" for:"saml" doc:"Each role of the attribute https://aws.amazon.com/SAML/Attributes/Role is a group too, by its ARN; grants decide."`

	Allow []Text `yaml:"allow" enum:"idp-initiated,cbc,no-destination-on-signed-response,stale-issue-instant" for:"saml" doc:"Weaknesses of the provider to accept; see docs/providers/saml.md."`

	// OpenID Connect
	Issuer        Text          `yaml:"issuer" required:"oidc" for:"oidc" doc:"The issuer, exactly as in its tokens. A preset may set it."`
	ClientID      Text          `yaml:"client_id" required:"oidc,oauth2" for:"oidc,oauth2" doc:"Our client id there. With a preset of machines, where nobody signs in: the audience of their tokens; default server.url."`
	ClientSecret  secret.String `yaml:"client_secret" required:"oauth2" for:"oidc,oauth2" doc:"Our client secret; at OpenID Connect none is a public client with PKCE."`
	Scopes        []string      `yaml:"scopes" for:"oidc" doc:"Further scopes beside openid, profile and email."`
	Algorithms    []Text        `yaml:"algorithms" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" default:"RS256,ES256" for:"oidc" doc:"Signature algorithms of ID tokens."`
	Audiences     []string      `yaml:"audiences" for:"oidc" doc:"Further audiences accepted in token exchange."`
	Require       Text          `yaml:"require" for:"oidc" doc:"A CEL condition over claims."`
	JWKSFile      Text          `yaml:"jwks_file" path:"true" for:"oidc" doc:"Keys as a file, for a provider whose address cannot be reached."`
	JWKSMaxAge    time.Duration `yaml:"jwks_max_age" default:"10m" for:"oidc" doc:"Longest use of fetched keys."`
	OneTimeTokens bool          `yaml:"one_time_tokens" for:"oidc" doc:"Accept each token once only in token exchange."`

	// How an OpenID provider is asked to sign people in, and how we prove ourselves there
	ClientAuth     Text          `yaml:"client_auth" enum:"client_secret_basic,client_secret_post,private_key_jwt,none" for:"oidc" doc:"How rolecall proves itself to the provider. Default: private_key_jwt with client_key, none without a secret, else what discovery offers, basic before post."`
	ClientKey      ClientKey     `yaml:"client_key" for:"oidc" doc:"Our private key at the provider, instead of a secret (private_key_jwt)."`
	Apple          Apple         `yaml:"apple" for:"oidc" doc:"The key from Apple that makes client secrets, instead of client_secret."`
	ResponseMode   Text          `yaml:"response_mode" enum:"query,form_post" default:"query" for:"oidc" doc:"How the browser brings the answer of a sign-in: in the address, or by a form. Another way than this is refused."`
	PushedRequests Text          `yaml:"pushed_requests" enum:"auto,require,off" default:"auto" for:"oidc" doc:"Whether requests go to the provider directly before the browser does (RFC 9126): auto is where discovery offers it."`
	Prompt         Text          `yaml:"prompt" enum:"login,consent,select_account" for:"oidc" doc:"What the provider is told to ask the person at every sign-in; login is checked by auth_time."`
	MaxAge         time.Duration `yaml:"max_age" for:"oidc" doc:"Longest time since the person signed in at the provider; asked for, and checked by auth_time."`
	ACRValues      []Text        `yaml:"acr_values" for:"oidc" doc:"Authentication contexts, the most wanted first; asked for, and one of them must come."`
	MFAACRValues   []Text        `yaml:"mfa_acr_values" for:"oidc" doc:"Authentication contexts by which the provider says that a second factor was used (identity.mfa), beside the common ones; a fresh sign-in asks for them."`
	Userinfo       *bool         `yaml:"userinfo" for:"oidc" doc:"Whether a sign-in asks the userinfo endpoint. Default: only where the ID token lacks the claim of groups or user name."`
	ProviderLogout Text          `yaml:"provider_logout" enum:"redirect,form,off" default:"redirect" for:"oidc" doc:"How Sign out goes on to the provider where discovery offers it: by an address, by a form (the ID token is then in no history; not every provider takes one), or not at all."`

	Attributes map[string]Text `yaml:"attributes" for:"oidc" doc:"Further attributes, each NAME: CLAIM, where CLAIM is the name of a claim or a path as /custom/team. Without it every claim that is text, number, boolean or a list of these is an attribute under its own name."`

	// What some presets need
	HostedDomains []Text `yaml:"hosted_domains" for:"oidc" of:"google" doc:"The domains (hd) of the organizations at Google whose people may sign in."`
	Tenant        Text   `yaml:"tenant" for:"oidc" of:"microsoft" doc:"The id of the Entra ID tenant, a GUID. It gives the issuer."`
	Tenants       []Text `yaml:"tenants" for:"oidc" of:"microsoft" doc:"The ids of several tenants, instead of tenant; the subject is then TENANT/SUBJECT."`
	Cloud         Text   `yaml:"cloud" enum:"global,us,us-dod,china" default:"global" for:"oidc" of:"microsoft" doc:"Which of Microsoft's clouds it is; it decides the addresses of sign-in and Graph."`
	GroupOverage  Text   `yaml:"group_overage" enum:"refuse,graph" default:"refuse" for:"oidc" of:"microsoft" doc:"What to do where the groups did not fit into the token: refuse the sign-in, or ask Microsoft Graph, as the application, with client_secret or client_key."`
	TrustDomain   Text   `yaml:"trust_domain" for:"oidc" of:"spiffe" doc:"The trust domain whose SPIFFE IDs count, as example.org."`

	// OAuth 2.0, where there is nothing but an API to ask
	Organizations []Text `yaml:"organizations" for:"oauth2" doc:"GitHub: the organizations whose members may sign in, each NAME or NAME=ID. They and their teams, as NAME/TEAM, are the groups."`
	EnterpriseURL Text   `yaml:"enterprise_url" for:"oauth2" doc:"GitHub: the address of a GitHub Enterprise Server, or of a tenant of ghe.com. Default: https://github.com."`

	// The built-in directory
	Registration        Text     `yaml:"registration" enum:"closed,open" default:"closed" for:"directory" doc:"Whether people of apps may register by themselves."`
	RegistrationDomains []Text   `yaml:"registration_domains" for:"directory" doc:"E-mail domains whose people may register; any by default."`
	Password            Password `yaml:"password" for:"directory" doc:"What passwords must be like."`
	Passkeys            Passkeys `yaml:"passkeys" for:"directory" doc:"Who the directory is for passkeys."`
}

// From names the attribute (SAML) or claim (OpenID Connect, OAuth) that a value is read from.
type From struct {
	Attribute Text `yaml:"attribute" for:"saml" doc:"The Name of a SAML Attribute."`
	Claim     Text `yaml:"claim" for:"oidc,oauth2" doc:"The name of a claim; at OpenID providers also the path to one inside objects, as /realm_access/roles (RFC 6901; dots are part of a name)."`
}

// Encryption is the key that decrypts encrypted assertions.
type Encryption struct {
	Key secret.String `yaml:"key" doc:"PEM of our private key, usually ${file:PATH}."`
}

// Account is one AWS account.
type Account struct {
	Pos        Pos               `yaml:"-"`
	ID         Text              `yaml:"id" required:"true" doc:"Twelve digits."`
	Name       Text              `yaml:"name" required:"true" doc:"The name that people and grants use."`
	Tags       map[string]string `yaml:"tags" doc:"Free tags that grants may select by."`
	Path       string            `yaml:"path" doc:"Organisational path, /a/b."`
	HubRole    Text              `yaml:"hub_role" doc:"Role through which this account's roles are assumed."`
	ExternalID secret.String     `yaml:"external_id" doc:"sts:ExternalId that the account's trust policies demand."`
	// SAMLProvider is for the mode saml.
	SAMLProvider Text `yaml:"saml_provider" doc:"ARN of the SAML provider that the account knows this broker as (mode saml)."`
	// Roles are nil where nobody has listed them.
	Roles []Text `yaml:"roles" doc:"Roles that are there, as rolecalld aws discover lists them; a grant that names another is a warning."`
}

// Grant lets people have a role. Its selectors are joined by AND, the values of one list by OR.
type Grant struct {
	Pos            Pos     `yaml:"-"`
	Name           Text    `yaml:"name" required:"true" doc:"Unique; appears in explain and the audit."`
	Groups         []Text  `yaml:"groups" doc:"Names of groups, whole and case-sensitive."`
	GroupsMatching Text    `yaml:"groups_matching" doc:"A regular expression (RE2) that a whole group name must match; named groups are captures for templates."`
	Users          []Text  `yaml:"users" doc:"User names, or PROVIDER=SUBJECT."`
	Providers      []Text  `yaml:"providers" doc:"Names of providers."`
	Everyone       bool    `yaml:"everyone" doc:"Selects every person (never a guest)."`
	Guests         bool    `yaml:"guests" doc:"Selects guests, and only them."`
	When           Text    `yaml:"when" doc:"A CEL condition over identity, request, time and device."`
	Require        Require `yaml:"require" doc:"Qualities of the sign-in that the grant demands."`
	Deny           bool    `yaml:"deny" doc:"Makes the grant a refusal that wins over every other."`

	Role           Text            `yaml:"role" required:"true" doc:"An ARN, or ACCOUNT/ROLE; may hold templates."`
	Accounts       Accounts        `yaml:"accounts" doc:"One role in each of these accounts; then role is a name or path without account."`
	Duration       time.Duration   `yaml:"duration" default:"1h" doc:"Life of credentials where the caller asks for none."`
	MaxDuration    time.Duration   `yaml:"max_duration" doc:"Longest life that a caller may ask for. Default: duration."`
	Tags           map[string]Text `yaml:"tags" doc:"Session tags; values may hold templates."`
	TransitiveTags []Text          `yaml:"transitive_tags" doc:"Keys of tags that follow into chained roles."`
	SessionName    Text            `yaml:"session_name" doc:"Template. Default: the user name."`
	SourceIdentity Text            `yaml:"source_identity" doc:"Template. Default: provider=subject."`
	Policy         Text            `yaml:"policy" as:"json" doc:"Session policy as JSON text or a YAML mapping; may hold templates."`
	PolicyFile     Text            `yaml:"policy_file" path:"true" doc:"Session policy as a file."`
	PolicyARNs     []Text          `yaml:"policy_arns" doc:"Managed policies that bound the session."`
	Console        *bool           `yaml:"console" default:"true" doc:"Whether the role may open the AWS console."`
	DeviceFlow     *bool           `yaml:"device_flow" default:"true" doc:"Whether sessions that came by the device flow may have it."`
	Mode           Text            `yaml:"mode" enum:"assume-role,web-identity,saml,federation-token" doc:"Overrides aws.mode."`
	Assertion      Text            `yaml:"assertion" enum:"broker,user" default:"broker" doc:"Whose assertion the mode saml sends: broker is one that this broker signs; user is the one that the person's browser brings, so that such a role is opened in the portal only."`
}

// Admins are who sees administration: of one of the providers, and in one of the
// groups or one of the users. It gives no role at AWS.
type Admins struct {
	Providers []Text `yaml:"providers" doc:"Names of providers whose word counts; required with groups or users."`
	Groups    []Text `yaml:"groups" doc:"Names of groups, whole and case-sensitive."`
	Users     []Text `yaml:"users" doc:"User names at these providers."`
}

// Require demands a quality of the sign-in.
type Require struct {
	MFA        bool          `yaml:"mfa" doc:"The provider says that a second factor was used."`
	MaxAuthAge time.Duration `yaml:"max_auth_age" doc:"Longest time since the person signed in."`
}

// Accounts selects accounts by name, tag or organisational path.
type Accounts struct {
	Names []Text            `yaml:"names" doc:"Names or ids of accounts."`
	Tags  map[string]string `yaml:"tags" doc:"Tags that an account must have, all of them."`
	Path  string            `yaml:"path" doc:"Organisational path that an account must be under."`
}
