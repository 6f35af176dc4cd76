package vend_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/vend"
)

// Where AWS lets a console session outlive its credentials: with those that no
// other role's session made, and never with a federation token.
func TestWhoseConsoleMayLastLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	assume := func(c vend.Config) vend.Vendor {
		v, err := vend.NewAssumeRole(c)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first, err := assume(w.config()).Vend(t.Context(), w.hop("Hub"))
	if err != nil {
		t.Fatal(err)
	}
	asRole := w.config()
	c := first.Credentials
	asRole.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal())
	throughHub := w.hop("Spoke")
	throughHub.HubRole = w.role("Hub")
	web, saml, token := w.spec(), w.spec(), w.spec()
	web.Proof = proof(w.issuer.MintAWSToken(t.Context(), w.token(web)))
	saml.Proof = proof(w.assertions.Sign(t.Context(), w.assertion(saml)))
	token.Policy = readOnly
	for name, c := range map[string]struct {
		vendor vend.Vendor
		spec   vend.Spec
		want   bool
	}{
		"a user's keys":        {assume(w.config()), w.hop("Hub"), true},
		"through a hub":        {assume(w.config()), throughHub, false},
		"the broker is a role": {assume(asRole), w.hop("Spoke"), false},
		"web identity":         {w.webIdentity(), web, true},
		"SAML":                 {w.saml(), saml, true},
		"a federation token":   {federation(t, w.config()), token, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.vendor.Vend(t.Context(), c.spec)
			if err != nil || got.Unchained != c.want {
				t.Errorf("%t, %v", got.Unchained, err)
			}
		})
	}
}

// hop is a plain order of an hour.
func (w *world) hop(name string) vend.Spec {
	return vend.Spec{Role: iam.RoleARN{Partition: "aws", Account: account, Path: "/", Name: name}, SessionName: "alice", Duration: time.Hour}
}
