package saml_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

const awsACS = "https://signin.aws.amazon.com/saml"

// madeOutToAWS is a provider whose assertions are for AWS and only brought to us.
func madeOutToAWS(c *saml.Config) {
	c.Provider.ACSURL = config.Text{Value: awsACS}
	c.Provider.SPEntityID = config.Text{Value: "urn:amazon:webservices"}
}

func TestAnAssertionIsPassedOnAsItWasVerified(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, madeOutToAWS)
	to, pending, err := p.Begin(t.Context(), idp.Want{Handle: "h", PassOn: true})
	if err != nil {
		t.Fatal(err)
	}
	request, _ := readRedirect(t, to.URL)
	// An address in the request would have the provider send the browser there.
	if request.ACS != "" || request.Binding != "" || request.Issuer != "urn:amazon:webservices" {
		t.Errorf("%+v", request)
	}
	answer := good()
	answer.RequestID, answer.ACS, answer.Audience = request.ID, awsACS, "urn:amazon:webservices"
	posted := i.Post(answer)
	login, err := p.Finish(t.Context(), pending, post(posted))
	if err != nil {
		t.Fatal(err)
	}
	if login.Proof.IsZero() || login.Proof.Open().Reveal() != posted {
		t.Error("what goes on is not what came")
	}
	text, err := json.Marshal(login)
	if err != nil || strings.Contains(string(text), posted[:64]) || strings.Contains(fmt.Sprintf("%v %+v %#v", login, login, login), posted[:64]) {
		t.Errorf("the proof is printed: %v", err)
	}

	// Nobody wanted to pass it on: it does not leave the provider's code.
	to, pending, err = p.Begin(t.Context(), idp.Want{Handle: "h"})
	if err != nil {
		t.Fatal(err)
	}
	request, _ = readRedirect(t, to.URL)
	answer.RequestID, answer.ID = request.ID, ""
	if login, err = p.Finish(t.Context(), pending, post(i.Post(answer))); err != nil || !login.Proof.IsZero() {
		t.Errorf("%v", err)
	}
}

func TestTheDestinationOfAResponseForAWSIsOursOrAWSs(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	p := provider(t, i, madeOutToAWS)
	for destination, want := range map[string]string{awsACS: "", acsURL: "", "https://evil.example/acs": "destination"} {
		to, pending, err := p.Begin(t.Context(), idp.Want{Handle: "h", PassOn: true})
		if err != nil {
			t.Fatal(err)
		}
		request, _ := readRedirect(t, to.URL)
		answer := good()
		answer.RequestID, answer.ACS, answer.Audience, answer.Signed = request.ID, awsACS, "urn:amazon:webservices", "assertion"
		document := i.Response(answer)
		document = []byte(strings.Replace(string(document), `Destination="`+awsACS+`"`, `Destination="`+destination+`"`, 1))
		if _, err := p.Finish(t.Context(), pending, post(encode(document))); reasonOf(err) != want {
			t.Errorf("%s: %v", destination, err)
		}
		// The Recipient is signed, and AWS's alone.
		answer.ACS = acsURL
		if _, err := p.Finish(t.Context(), pending, post(i.Post(answer))); err == nil {
			t.Error("an assertion for us is passed on to AWS")
		}
	}
}

func TestWhatAWSCannotReadIsNotPassedOn(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	key := idptest.NewSAMLKey(t, nil)
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	own := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for reason, edit := range map[string]func(*idptest.SAMLAnswer){
		"encrypted": func(a *idptest.SAMLAnswer) {
			a.EncryptTo = &idptest.SAMLEncryption{To: key.Certificate}
			a.Signed = "both"
		},
		"too-large": func(a *idptest.SAMLAnswer) {
			for n := range 880 {
				a.Attributes["groups"] = append(a.Attributes["groups"], fmt.Sprintf("%d-%s", n, strings.Repeat("x", 90)))
			}
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			p := provider(t, i, func(c *saml.Config) {
				madeOutToAWS(c)
				c.Provider.Encryption = encryptionKey(own)
			})
			to, pending, err := p.Begin(t.Context(), idp.Want{Handle: "h", PassOn: true})
			if err != nil {
				t.Fatal(err)
			}
			request, _ := readRedirect(t, to.URL)
			answer := good()
			answer.RequestID, answer.ACS, answer.Audience = request.ID, awsACS, "urn:amazon:webservices"
			edit(&answer)
			login, err := p.Finish(t.Context(), pending, post(i.Post(answer)))
			if reasonOf(err) != reason || !login.Proof.IsZero() || login.Identity.Subject != "" {
				t.Errorf("%v", err)
			}
		})
	}
}
