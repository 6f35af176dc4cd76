package assemble_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// The example of docs/providers/aws-application.md, word for word.
func exampleForAWS(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/providers/aws-application.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatal("the page has no example")
	}
	return string(found[1])
}

// What an application for AWS sends, unchanged but for the address that it sends it to.
func TestAnApplicationForAWSIsPointedAtRolecall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := idptest.NewSAMLIdP(t)
	if err := os.WriteFile(filepath.Join(dir, "idp.xml"), i.Metadata(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(filepath.Join(dir, "rolecall.yaml"), []byte("server: {url: https://rolecall.example.com, listen: \"127.0.0.1:1\"}\naccounts: [{id: \"111122223333\", name: production}]\n"+exampleForAWS(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	const base = "https://aws.amazon.com/SAML/Attributes/"
	role := func(account, name string) string {
		return "arn:aws:iam::" + account + ":role/" + name + ",arn:aws:iam::" + account + ":saml-provider/corp"
	}
	answer := idptest.SAMLAnswer{
		ACS: "https://rolecall.example.com/saml/aws/acs", Audience: "urn:amazon:webservices", At: time.Now(),
		Attributes: map[string][]string{
			base + "Role": {role("111122223333", "Admin"), role("999999999999", "Elsewhere")}, base + "RoleSessionName": {"alice@example.com"},
			base + "SourceIdentity": {"alice"}, base + "PrincipalTag:team": {"platform"}, base + "TransitiveTagKeys": {"team"}, base + "SessionDuration": {"28800"},
		},
	}
	options := assemble.Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	v, _, err := assemble.SAMLVerdict(options, "aws", i.Response(answer), saml.Inspection{})
	if err != nil || v.Err() != nil {
		t.Fatalf("%v %v %+v", err, v.Err(), v.Steps)
	}
	compiled, err := assemble.Policy(c)
	if err != nil {
		t.Fatal(err)
	}
	d := compiled.Decide(*v.Identity, policy.Ask{Time: time.Now(), Via: "browser"})
	if len(d.Granted) != 1 {
		t.Fatalf("granted %+v, denied %+v", d.Granted, d.Denied)
	}
	g := d.Granted[0]
	head, person, _ := strings.Cut(g.SourceIdentity, "-") // of that person alone, whatever the provider sends
	got := []string{g.Role.String(), g.SessionName, head, strings.Join(g.TransitiveTags, ",")}
	for _, tag := range g.Tags {
		got = append(got, tag.Key+"="+tag.Value)
	}
	want := []string{"arn:aws:iam::111122223333:role/Admin", "alice@example.com", "alice", "team", "team=platform"}
	if diff := cmp.Diff(want, got); diff != "" || len(person) != 12 {
		t.Errorf("(-want +got):\n%s", diff)
	}

	answer.Attributes[base+"Role"] = []string{"arn:aws:iam::111122223333:role/Admin"}
	if v, _, err = assemble.SAMLVerdict(options, "aws", i.Response(answer), saml.Inspection{}); err != nil || v.Reason != "attribute" {
		t.Errorf("half a value: %v %q", err, v.Reason)
	}
	answer.ACS = "https://signin.aws.amazon.com/saml"
	if v, _, err = assemble.SAMLVerdict(options, "aws", i.Response(answer), saml.Inspection{}); err != nil || v.Reason != "destination" {
		t.Errorf("still meant for AWS itself: %v %q", err, v.Reason)
	}
}
