package assemble

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

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

// newDevIDP knows the broker by the names that dev.yaml gives its providers.
func (d *Dev) newDevIDP() (*devidp.IDP, error) {
	return devidp.New(devidp.Config{
		URL: d.IDP, People: d.People, Now: d.options.Now, Log: d.options.Log,
		ServiceProviders: []devidp.ServiceProvider{{EntityID: d.URL + "/saml/corp/metadata", ACSURL: d.URL + "/saml/corp/acs"}},
		Clients:          []devidp.Client{{ID: "rolecall", RedirectURIs: []string{d.URL + "/oidc/staff/callback"}}},
	})
}

// newDevAWS makes the accounts of dev.yaml, whose roles trust the broker's user,
// and gives that user's credentials.
func (d *Dev) newDevAWS() (*devaws.AWS, aws.CredentialsProvider, error) {
	user := devaws.User{ARN: brokerUser, AccessKeyID: "AKIA" + rand.Text()[:16], SecretAccessKey: secret.New(randomKey())}
	made := devaws.Config{
		URL:      d.AWS,
		Accounts: []devaws.Account{{ID: "999988887777", Name: "broker"}},
		Users:    []devaws.User{user},
		Now:      d.options.Now,
		Log:      d.options.Log,
	}
	for _, a := range d.Config.Accounts {
		made.Accounts = append(made.Accounts, devaws.Account{ID: a.ID.Value, Name: a.Name.Value})
	}
	for text, longest := range devRoles {
		role, err := iam.ParseRoleARN(text)
		if err != nil {
			return nil, nil, fmt.Errorf("role of dev: %w", err)
		}
		made.Roles = append(made.Roles, devaws.Role{ARN: role, Trust: devaws.TrustPolicy("", brokerUser), MaxSessionDuration: longest})
	}
	server, err := devaws.New(made)
	keys := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		return credentials.NewStaticCredentialsProvider(user.AccessKeyID, user.SecretAccessKey.Reveal(), "").Retrieve(ctx)
	})
	return server, keys, err
}

// randomKey has the shape of a secret access key: 40 characters of base64.
func randomKey() string {
	b := make([]byte, 30)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return base64.StdEncoding.EncodeToString(b)
}
