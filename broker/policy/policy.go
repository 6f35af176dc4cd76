package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
)

// Config is what a policy is compiled from.
type Config struct {
	Grants    []config.Grant
	Accounts  []config.Account
	Providers []config.Provider
	Apps      []config.App
	// Mode is aws.mode, for grants that name none. Default assume-role.
	Mode string
	// Partition of roles written as ACCOUNT/ROLE. Default aws.
	Partition string
	// ReadFile reads a policy_file; nil makes each policy_file a fault.
	ReadFile func(path string) ([]byte, error)
}

// Policy is a compiled policy. It is immutable and safe for concurrent use.
type Policy struct {
	grants    []*grant
	accounts  []*account
	byID      map[string]*account
	byName    map[string]*account
	roles     map[iam.RoleARN]*role
	providers map[string]kind
	apps      map[string]*app
	mode      string
	partition string
	digest    string
	warnings  config.Faults

	allow index // all allowing grants
	loose index // allowing grants whose roles are known only with the person
	deny  index
	// byRole finds the grants that give a concrete role.
	byRole map[iam.RoleARN][]int32
}

// kind is what policy must know of a provider: whether a grant without
// `providers` may match its identities (config.Provider.MustBeNamed).
type kind struct{ mustBeNamed bool }

// deviceProvider is the provider name of devices and guests.
const deviceProvider = "device"

// Compile reads the grants. The error is a config.Faults with every mistake.
func Compile(c Config) (*Policy, error) {
	p := &Policy{
		byID: map[string]*account{}, byName: map[string]*account{}, roles: map[iam.RoleARN]*role{},
		providers: map[string]kind{deviceProvider: {mustBeNamed: true}},
		apps:      map[string]*app{},
		mode:      c.Mode, partition: c.Partition, byRole: map[iam.RoleARN][]int32{},
	}
	if p.mode == "" {
		p.mode = "assume-role"
	}
	if p.partition == "" {
		p.partition = "aws"
	}
	for _, provider := range c.Providers {
		p.providers[provider.Name.Value] = kind{mustBeNamed: provider.MustBeNamed()}
	}
	var faults config.Faults
	p.compileAccounts(c.Accounts, &faults)
	digest := sha256.New()
	for i, g := range c.Grants {
		compiled := p.compileGrant(g, c.ReadFile, &faults)
		compiled.index = int32(i) //nolint:gosec // a file of 2^31 grants does not load
		p.grants = append(p.grants, compiled)
		fmt.Fprintf(digest, "%q", compiled.policyText)
	}
	p.compileApps(c.Apps, &faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	p.buildIndex()
	if err := writeDigest(digest, c, p); err != nil {
		return nil, err
	}
	p.digest = hex.EncodeToString(digest.Sum(nil))
	return p, nil
}

// writeDigest covers all that a decision depends on. Secrets go in by hand: as
// JSON they would all look the same.
func writeDigest(to interface{ Write([]byte) (int, error) }, c Config, p *Policy) error {
	document, err := json.Marshal([]any{c.Grants, c.Accounts, c.Providers, c.Apps, p.mode, p.partition})
	if err != nil {
		return fmt.Errorf("digest of the policy: %w", err)
	}
	if _, err := to.Write(document); err != nil {
		return fmt.Errorf("digest of the policy: %w", err)
	}
	for _, a := range c.Accounts {
		if _, err := fmt.Fprintf(to, "%q", a.ExternalID.Reveal()); err != nil {
			return fmt.Errorf("digest of the policy: %w", err)
		}
	}
	return nil
}

func (p *Policy) compileAccounts(accounts []config.Account, faults *config.Faults) {
	for _, a := range accounts {
		compiled := &account{id: a.ID.Value, name: a.Name.Value, path: a.Path, tags: a.Tags, externalID: a.ExternalID, samlProvider: a.SAMLProvider.Value}
		if a.HubRole.Value != "" {
			var err error
			if compiled.hub, err = iam.ParseRoleARN(a.HubRole.Value); err != nil {
				faults.Add(a.HubRole.Pos, "account: hub_role: %v", err)
			}
		}
		p.byID[compiled.id], p.byName[compiled.name] = compiled, compiled
		p.accounts = append(p.accounts, compiled)
	}
}

// Digest is the hex SHA-256 of all that decisions depend on: part of every key
// that must not outlive the policy.
func (p *Policy) Digest() string { return p.digest }

// Warnings are what Compile found strange and let pass.
func (p *Policy) Warnings() config.Faults { return p.warnings }

// AccountName gives the configured name of an account, "" where it has none.
func (p *Policy) AccountName(id string) string {
	if a := p.byID[id]; a != nil {
		return a.name
	}
	return ""
}
