package saml_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/claims"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

const (
	entityID  = "https://sso.example.com/saml/corp/metadata"
	acsURL    = "https://sso.example.com/saml/corp/acs"
	requestID = "_request-1"
)

// moment is the time of every test that does not move.
var moment = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// good is what a good provider answers to the pending request.
func good() idptest.SAMLAnswer {
	return idptest.SAMLAnswer{
		RequestID: requestID, ACS: acsURL, Audience: entityID, At: moment,
		Attributes: map[string][]string{"groups": {"platform", "developers"}, "mail": {"alice@example.com"}},
	}
}

// standard is the case that judges good.
func standard(t testing.TB, i *idptest.SAMLIdP) saml.Case {
	t.Helper()
	m, err := saml.ParseMetadata(i.Metadata(), "", nil, moment)
	if err != nil {
		t.Fatal(err)
	}
	return saml.Case{
		Provider: "corp", IDP: m, EntityID: entityID, ACSURL: acsURL,
		At: moment.Add(time.Second), Skew: time.Minute, RequestID: requestID,
		Mapping: claims.Mapping{Groups: "groups"},
	}
}

// provider is a Provider with the metadata in a file.
func provider(t testing.TB, i *idptest.SAMLIdP, edit func(*saml.Config)) *saml.Provider {
	t.Helper()
	p, err := newProvider(t, i, edit)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newProvider(t testing.TB, i *idptest.SAMLIdP, edit func(*saml.Config)) (*saml.Provider, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "metadata.xml")
	if err := os.WriteFile(file, i.Metadata(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := saml.Config{
		Provider: config.Provider{
			Name: config.Text{Value: "corp"}, Type: config.Text{Value: "saml"},
			MetadataFile: config.Text{Value: file},
			Groups:       config.From{Attribute: config.Text{Value: "groups"}},
		},
		URL: "https://sso.example.com",
		Now: func() time.Time { return moment },
	}
	if edit != nil {
		edit(&c)
	}
	return saml.New(c)
}

func encryptionKey(text string) config.Encryption { return config.Encryption{Key: secret.New(text)} }

// accepted demands that the document is accepted with these notes.
func accepted(t *testing.T, v saml.Verdict, notes ...string) {
	t.Helper()
	if v.Err() != nil {
		t.Fatalf("refused: %v\n%+v", v.Err(), v.Steps)
	}
	if v.Identity == nil || v.Login.Identity.Subject == "" {
		t.Fatal("accepted without an identity")
	}
	for _, note := range notes {
		if !slices.ContainsFunc(v.Steps, func(s saml.Step) bool { return s.Step == note && s.OK }) {
			t.Errorf("the steps do not say %q: %+v", note, v.Steps)
		}
	}
}

// refused demands a refusal for that reason, without any login.
func refused(t *testing.T, v saml.Verdict, reason string) {
	t.Helper()
	if v.Reason != reason {
		t.Fatalf("reason %q (%s), want %q", v.Reason, v.Detail, reason)
	}
	if v.Login.Identity.Subject != "" || v.Login.Once.Key != "" {
		t.Errorf("a refusal came with a login: %+v", v.Login)
	}
}

// change replaces text in a document, which must be there.
func change(t *testing.T, document []byte, old, with string) []byte {
	t.Helper()
	if !strings.Contains(string(document), old) {
		t.Fatalf("the document does not hold %q: %s", old, document)
	}
	return []byte(strings.ReplaceAll(string(document), old, with))
}

func encode(document []byte) string { return base64.StdEncoding.EncodeToString(document) }
