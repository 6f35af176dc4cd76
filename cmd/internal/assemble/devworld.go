package assemble

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/devidp"
)

// brokerUser is the broker's own principal in the made-up AWS.
const brokerUser = "arn:aws:iam::999988887777:user/rolecall"

// devRoles are what the grants of dev.yaml name, with the longest session of each.
var devRoles = map[string]time.Duration{
	"arn:aws:iam::111122223333:role/Admin":     time.Hour,
	"arn:aws:iam::111122223333:role/Developer": time.Hour,
	"arn:aws:iam::444455556666:role/Developer": 8 * time.Hour,

	"arn:aws:iam::444455556666:role/NotesGuest": time.Hour,
}

// devPeople are alice (both groups), bob (developers) and carol (none, so no
// role), with passwords made up at each start.
func devPeople() []devidp.Person {
	people := []devidp.Person{
		{Username: "alice", Name: "Alice Meyer", Email: "alice@example.com", Groups: []string{"platform", "developers"}},
		{Username: "bob", Name: "Bob Tanaka", Email: "bob@example.com", Groups: []string{"developers"}},
		{Username: "carol", Name: "Carol Diaz", Email: "carol@example.com"},
	}
	for i := range people {
		people[i].Password = secret.New(rand.Text()[:16])
	}
	return people
}

// The broker and the identity provider, as the accounts of the made-up AWS know them.
func devSAML(account, name string) string {
	return "arn:aws:iam::" + account + ":saml-provider/" + name
}

// newDevIDP knows the broker by the names that dev.yaml gives its providers. Where
// people's own assertions go on to AWS, it says what AWS reads.
func (d *Dev) newDevIDP() (*devidp.IDP, error) {
	corp := devidp.ServiceProvider{EntityID: d.URL + "/saml/corp/metadata", ACSURL: d.URL + "/saml/corp/acs"}
	for _, p := range d.Config.Providers {
		if p.Name.Value == "corp" {
			corp.EntityID, corp.Recipient = cmp.Or(p.SPEntityID.Value, corp.EntityID), p.ACSURL.Value
		}
	}
	for _, g := range d.Config.Grants {
		corp.AWS = corp.AWS || g.Assertion.Value == "user"
	}
	people := slices.Clone(d.People)
	for i, p := range people {
		for text := range devRoles {
			role, err := iam.ParseRoleARN(text)
			if err == nil && (role.Name == "Developer" && slices.Contains(p.Groups, "developers") || slices.Contains(p.Groups, "platform")) {
				people[i].AWSRoles = append(people[i].AWSRoles, text+","+devSAML(role.Account, "corp"))
			}
		}
	}
	return devidp.New(devidp.Config{
		URL: d.IDP, People: people, Now: d.options.Now, Log: d.options.Log,
		ServiceProviders: []devidp.ServiceProvider{corp},
		Clients:          []devidp.Client{{ID: "rolecall", RedirectURIs: []string{d.URL + "/oidc/staff/callback"}}},
	})
}

// newDevUser is the broker's own user, with keys made up at each start.
func newDevUser() devaws.User {
	return devaws.User{ARN: brokerUser, AccessKeyID: "AKIA" + rand.Text()[:16], SecretAccessKey: secret.New(randomKey())}
}

// newDevAWS makes the accounts of dev.yaml. They know the broker by its user, as an
// OpenID Connect provider and as a SAML provider, and the identity provider as
// another; their roles trust all of these, so that each mode can be tried.
func (d *Dev) newDevAWS(ctx context.Context, user devaws.User) (*devaws.AWS, error) {
	own, err := d.daemon.newAssertions().Metadata(ctx)
	if err != nil {
		return nil, err
	}
	corp, err := d.idp.SAMLMetadata()
	if err != nil {
		return nil, err
	}
	made := devaws.Config{
		URL:      d.AWS,
		Accounts: []devaws.Account{{ID: "999988887777", Name: "broker"}},
		Users:    []devaws.User{user},
		Now:      d.options.Now,
		Log:      d.options.Log,
	}
	for _, a := range d.Config.Accounts {
		id := a.ID.Value
		made.Accounts = append(made.Accounts, devaws.Account{ID: id, Name: a.Name.Value})
		made.OIDCProviders = append(made.OIDCProviders, devaws.OIDCProvider{Account: id, URL: issuerURL(d.Config), Audiences: []string{d.Config.AWS.Audience.Value}})
		made.SAMLProviders = append(made.SAMLProviders,
			devaws.SAMLProvider{ARN: devSAML(id, "rolecall"), Metadata: string(own)},
			devaws.SAMLProvider{ARN: devSAML(id, "corp"), Metadata: string(corp)})
	}
	for text, longest := range devRoles {
		role, err := iam.ParseRoleARN(text)
		if err != nil {
			return nil, fmt.Errorf("role of dev: %w", err)
		}
		trust, err := d.devTrust(role.Account)
		if err != nil {
			return nil, fmt.Errorf("trust policy of dev: %w", err)
		}
		made.Roles = append(made.Roles, devaws.Role{ARN: role, Trust: trust, MaxSessionDuration: longest})
	}
	return devaws.New(made)
}

// devTrust lets a role be assumed in every mode.
func (d *Dev) devTrust(account string) (string, error) {
	type object = map[string]any
	statement := func(kind, action string, who ...string) object {
		return object{"Effect": "Allow", "Principal": object{kind: who}, "Action": []string{action, "sts:TagSession", "sts:SetSourceIdentity"}}
	}
	issuer := devaws.OIDCProvider{Account: account, URL: issuerURL(d.Config)}
	text, err := json.Marshal(object{"Version": "2012-10-17", "Statement": []object{
		statement("AWS", "sts:AssumeRole", brokerUser),
		statement("Federated", "sts:AssumeRoleWithWebIdentity", issuer.ARN()),
		statement("Federated", "sts:AssumeRoleWithSAML", devSAML(account, "rolecall"), devSAML(account, "corp")),
	}})
	return string(text), err
}

// randomKey has the shape of a secret access key: 40 characters of base64.
func randomKey() string {
	b := make([]byte, 30)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return base64.StdEncoding.EncodeToString(b)
}
