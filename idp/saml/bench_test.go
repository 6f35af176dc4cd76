package saml_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// benchmark is one document and the two judges of it.
type benchmark struct {
	document []byte
	ours     saml.Case
	theirs   *crewjam.ServiceProvider
	acs      *url.URL
}

func newBenchmark(b *testing.B, groups int, signed string) benchmark {
	b.Helper()
	i := idptest.NewSAMLIdP(b)
	answer := good()
	answer.At, answer.Signed = time.Now(), signed
	answer.Signing.KeyInfo = &i.Keys[0] // as providers do
	answer.Attributes = map[string][]string{"mail": {"alice@example.com"}, "groups": make([]string, groups)}
	for n := range groups {
		answer.Attributes["groups"][n] = fmt.Sprintf("team-%04d-engineering", n)
	}
	acs, err := url.Parse(acsURL)
	if err != nil {
		b.Fatal(err)
	}
	c := standard(b, i)
	c.At = answer.At
	return benchmark{
		document: i.Response(answer), ours: c, acs: acs,
		theirs: &crewjam.ServiceProvider{
			EntityID: entityID, AcsURL: *acs,
			IDPMetadata: &crewjam.EntityDescriptor{EntityID: i.EntityID, IDPSSODescriptors: []crewjam.IDPSSODescriptor{{SSODescriptor: crewjam.SSODescriptor{RoleDescriptor: crewjam.RoleDescriptor{
				KeyDescriptors: []crewjam.KeyDescriptor{{Use: "signing", KeyInfo: crewjam.KeyInfo{X509Data: crewjam.X509Data{X509Certificates: []crewjam.X509Certificate{{Data: base64.StdEncoding.EncodeToString(i.Keys[0].Certificate.Raw)}}}}}},
			}}}}},
		},
	}
}

// BenchmarkFinish sets Judge beside crewjam's ParseXMLResponse on the same
// document, and the refusals beside both.
func BenchmarkFinish(b *testing.B) {
	for _, row := range []struct {
		groups int
		signed string
	}{{30, "assertion"}, {30, "both"}, {500, "assertion"}, {850, "assertion"}} {
		d := newBenchmark(b, row.groups, row.signed)
		name := fmt.Sprintf("groups=%d/%s", row.groups, row.signed)
		b.Run(name+"/crewjam", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.document)))
			for b.Loop() {
				if _, err := d.theirs.ParseXMLResponse(d.document, []string{requestID}, *d.acs); err != nil {
					b.Fatal(err.(*crewjam.InvalidResponseError).PrivateErr)
				}
			}
		})
		b.Run(name+"/judge", func(b *testing.B) { judge(b, d, d.document, "") })
		b.Run(name+"/forged", func(b *testing.B) {
			judge(b, d, []byte(strings.Replace(string(d.document), ">alice<", ">admin<", 1)), "digest")
		})
		b.Run(name+"/unsigned", func(b *testing.B) {
			judge(b, d, []byte(strings.Replace(string(d.document), dsig.Namespace, "urn:x", 1)), "structure")
		})
		b.Run(name+"/malformed", func(b *testing.B) {
			judge(b, d, []byte("<!DOCTYPE x>"+string(d.document)), "doctype")
		})
	}
}

func judge(b *testing.B, d benchmark, document []byte, reason string) {
	b.ReportAllocs()
	b.SetBytes(int64(len(document)))
	for b.Loop() {
		if v := saml.Judge(document, d.ours); v.Reason != reason {
			b.Fatal(v.Err())
		}
	}
}
