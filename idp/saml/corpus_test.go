package saml_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/claims"
	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// corpus is shared with others; its README says where each document is from and
// how it is judged.
const corpus = "../../testdata/saml"

var update = flag.Bool("update", false, "write the corpus anew, signed with a fresh key")

// rows are the documents of the corpus: NAME.xml in the folder of its verdict.
func rows(i *idptest.SAMLIdP) map[string]idptest.SAMLAnswer {
	answer := func(edit func(*idptest.SAMLAnswer)) idptest.SAMLAnswer { a := good(); edit(&a); return a }
	after := func(f func(*etree.Element)) idptest.SAMLAnswer {
		return answer(func(a *idptest.SAMLAnswer) { a.After = f })
	}
	return map[string]idptest.SAMLAnswer{
		"accepted/assertion-signed":     good(),
		"accepted/response-signed":      answer(func(a *idptest.SAMLAnswer) { a.Signed = "response" }),
		"accepted/both-signed":          answer(func(a *idptest.SAMLAnswer) { a.Signed = "both" }),
		"accepted/inclusive-namespaces": answer(func(a *idptest.SAMLAnswer) { a.Signing.Prefixes = "xs saml #default" }),
		"accepted/rsa-pss":              answer(func(a *idptest.SAMLAnswer) { a.Signing.PSS = true }),
		"accepted/comment-in-nameid": after(func(r *etree.Element) {
			n := at(r, "Assertion/Subject/NameID")
			n.SetText("al")
			n.CreateComment("x")
			n.CreateText("ice")
		}),
		"accepted/several-audiences": answer(func(a *idptest.SAMLAnswer) {
			a.Before = func(r *etree.Element) {
				at(r, "Assertion/Conditions/AudienceRestriction").CreateElement("saml:Audience").SetText("https://other.example.com")
			}
		}),
		"accepted/several-confirmations": answer(func(a *idptest.SAMLAnswer) {
			a.Before = func(r *etree.Element) {
				at(r, "Assertion/Subject").CreateElement("saml:SubjectConfirmation").CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
			}
		}),
		"weak/sha1": answer(func(a *idptest.SAMLAnswer) { a.Signing.Hash = 3 }), // crypto.SHA1
		"weak/non-exclusive-c14n": answer(func(a *idptest.SAMLAnswer) {
			a.Signing.Canonicalization = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
		}),
		"weak/empty-reference-URI":               answer(func(a *idptest.SAMLAnswer) { a.Signing.URI = text("") }),
		"weak/no-audience-restriction":           answer(func(a *idptest.SAMLAnswer) { a.Before = remove("Assertion/Conditions/AudienceRestriction") }),
		"weak/no-destination-on-signed-response": answer(func(a *idptest.SAMLAnswer) { a.Signed = "response"; a.Before = set("", "Destination", "") }),
		"weak/advice-assertions": answer(func(a *idptest.SAMLAnswer) {
			a.Before = func(r *etree.Element) {
				as := at(r, "Assertion")
				advice := etree.NewElement("saml:Advice")
				advice.AddChild(evil(as))
				as.InsertChildAt(at(as, "AuthnStatement").Index(), advice)
			}
		}),
		"refused/unsigned":           answer(func(a *idptest.SAMLAnswer) { a.Signed = "none" }),
		"refused/several-assertions": after(func(r *etree.Element) { r.InsertChildAt(2, evil(at(r, "Assertion"))) }),
		"refused/structure":          after(func(r *etree.Element) { a := at(r, "Assertion"); o := evil(a); swap(r, o); o.AddChild(a) }),
		"refused/signature-reference": after(func(r *etree.Element) {
			a := at(r, "Assertion")
			o := evil(a)
			swap(r, o)
			o.InsertChildAt(1, at(a, "Signature"))
		}),
		"refused/signature-form":         after(func(r *etree.Element) { at(r, "Assertion/Signature").CreateElement("ds:Object") }),
		"refused/signature-placement":    after(func(r *etree.Element) { at(r, "Status").AddChild(at(r, "Assertion/Signature")) }),
		"refused/duplicate-id":           after(func(r *etree.Element) { r.CreateAttr("ID", at(r, "Assertion").SelectAttrValue("ID", "")) }),
		"refused/digest":                 after(func(r *etree.Element) { at(r, "Assertion/Subject/NameID").SetText("admin") }),
		"refused/algorithm":              answer(func(a *idptest.SAMLAnswer) { a.Signing = method("http://www.w3.org/2000/09/xmldsig#hmac-sha1") }),
		"refused/audience":               answer(func(a *idptest.SAMLAnswer) { a.Audience = "https://other.example.com" }),
		"refused/recipient":              answer(func(a *idptest.SAMLAnswer) { a.Before = set(data, "Recipient", "https://other.example.com") }),
		"refused/in-response-to":         answer(func(a *idptest.SAMLAnswer) { a.RequestID = "_other" }),
		"refused/subject":                answer(func(a *idptest.SAMLAnswer) { a.Before = remove("Assertion/Subject") }),
		"refused/authn-statement":        answer(func(a *idptest.SAMLAnswer) { a.Before = remove("Assertion/AuthnStatement") }),
		"refused/no-bearer-confirmation": answer(func(a *idptest.SAMLAnswer) { a.Before = remove(confirmation) }),
		"refused/status": answer(func(a *idptest.SAMLAnswer) {
			a.Before = set("Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Requester")
		}),
	}
}

// corpusCase judges the documents of the corpus.
func corpusCase(t testing.TB) saml.Case {
	t.Helper()
	metadata, err := os.ReadFile(filepath.Join(corpus, "metadata", "idp.xml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := saml.ParseMetadata(metadata, "", nil, moment)
	if err != nil {
		t.Fatal(err)
	}
	return saml.Case{Provider: "corp", IDP: m, EntityID: entityID, ACSURL: acsURL, At: moment, Skew: 60e9, RequestID: requestID, Mapping: claims.Mapping{Groups: "groups"}}
}

func writeCorpus(t *testing.T) {
	t.Helper()
	i := idptest.NewSAMLIdP(t)
	write := func(name string, text []byte) {
		path := filepath.Join(corpus, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("metadata/idp.xml", i.Metadata())
	for name, answer := range rows(i) {
		answer.ID = "_assertion"
		write(name+".xml", i.Response(answer))
	}
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	if *update {
		writeCorpus(t)
	}
	c := corpusCase(t)
	for name := range rows(idptest.NewSAMLIdP(t)) {
		document, err := os.ReadFile(filepath.Join(corpus, name+".xml"))
		if err != nil {
			t.Fatalf("%v; go test ./idp/saml -run TestCorpus -update", err)
		}
		want := ""
		if folder, reason, _ := strings.Cut(name, "/"); folder != "accepted" {
			want = reason
		}
		v := saml.Judge(document, c)
		if v.Reason != want {
			t.Errorf("%s: %q %s", name, v.Reason, v.Detail)
		}
		if (v.Identity != nil) != !strings.HasPrefix(name, "refused/") {
			t.Errorf("%s: identity %+v", name, v.Identity)
		}
	}
}

// documents are those of the corpus, by name.
func documents(t testing.TB) (names []string, all map[string][]byte) {
	t.Helper()
	all = map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(corpus, "*", "*.xml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names, all[path] = append(names, path), text
	}
	slices.Sort(names)
	return names, all
}

// same demands that whatever is accepted is the one identity that was ever
// signed for us, and that a refusal gives nothing.
func same(t *testing.T, document []byte, v saml.Verdict) {
	t.Helper()
	if v.Reason != "" {
		if v.Login.Identity.Subject != "" || v.Err() == nil {
			t.Fatalf("a refusal with a login: %+v", v)
		}
		return
	}
	want := idp.Identity{Subject: "alice", Groups: []string{"platform", "developers"}}
	got := idp.Identity{Subject: v.Identity.Subject, Groups: v.Identity.Groups}
	if diff := cmp.Diff(want, got); diff != "" || v.Login.Once.Key != "assertion:_assertion" {
		t.Fatalf("an identity that nobody signed: %s\n%s", diff, document)
	}
	if len(v.Identity.Attributes) != 2 || v.Identity.Attributes["mail"][0] != "alice@example.com" {
		t.Fatalf("attributes that nobody signed: %v\n%s", v.Identity.Attributes, document)
	}
}

// FuzzJudge: without the key no document gives another identity, and no document
// makes Judge panic.
func FuzzJudge(f *testing.F) {
	names, all := documents(f)
	for _, name := range names {
		f.Add(all[name])
	}
	c := corpusCase(f)
	c.Allow = []string{"idp-initiated", "cbc", "no-destination-on-signed-response", "stale-issue-instant"}
	f.Fuzz(func(t *testing.T, document []byte) {
		same(t, document, saml.Judge(document, c))
		c := c
		c.Exchange = true
		same(t, document, saml.Judge(document, c))
	})
}

// The same by structure: parts of signed documents are moved, copied, renamed and
// rewritten at random.
func TestRearrangingSignedDocumentsGivesNobodyElse(t *testing.T) {
	t.Parallel()
	names, all := documents(t)
	c := corpusCase(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	accepted := 0
	for range rounds {
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(all[names[random.IntN(len(names))]]); err != nil {
			continue
		}
		for range 1 + random.IntN(3) {
			rearrange(random, doc)
		}
		document, err := doc.WriteToBytes()
		if err != nil {
			t.Fatal(err)
		}
		v := saml.Judge(document, c)
		if same(t, document, v); v.Reason == "" {
			accepted++
		}
	}
	t.Logf("seed %d: %d of %d accepted as they were signed", seed, accepted, rounds)
}

func rearrange(random *rand.Rand, doc *etree.Document) {
	els := doc.FindElements("//*")
	pick := func() *etree.Element { return els[random.IntN(len(els))] }
	el, other := pick(), pick()
	switch random.IntN(8) {
	case 0: // copy somewhere
		other.InsertChildAt(random.IntN(len(other.Child)+1), el.Copy())
	case 1: // move, unless into itself
		for up := other; up != nil; up = up.Parent() {
			if up == el {
				return
			}
		}
		if el.Parent() != nil && el != doc.Root() {
			other.InsertChildAt(random.IntN(len(other.Child)+1), el)
		}
	case 2:
		if p := el.Parent(); p != nil && el != doc.Root() {
			p.RemoveChild(el)
		}
	case 3:
		el.SetText([]string{"admin", entityID, acsURL, "platform", ""}[random.IntN(5)])
	case 4:
		el.CreateComment("x")
	case 5:
		el.Tag = other.Tag
	case 6:
		el.CreateAttr([]string{"ID", "xmlns:saml", "xmlns", "Id", "URI"}[random.IntN(5)], fmt.Sprint("urn:", random.IntN(9)))
	case 7:
		if len(el.Attr) > 0 {
			el.Attr[random.IntN(len(el.Attr))].Value = other.SelectAttrValue("ID", "x")
		}
	}
}
