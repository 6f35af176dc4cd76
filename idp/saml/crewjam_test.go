package saml

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/rolecall/rolecall/idp"
)

var moment = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// judged is a document of the corpus up to the second opinion.
func judged(t *testing.T, name string) (*judgement, *statement) {
	t.Helper()
	read := func(path string) []byte {
		text, err := os.ReadFile(filepath.Join(corpus, path))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	m, err := ParseMetadata(read("metadata/idp.xml"), "", nil, moment)
	if err != nil {
		t.Fatal(err)
	}
	j := &judgement{document: read(name), Case: Case{
		IDP: m, EntityID: "https://sso.example.com/saml/corp/metadata", ACSURL: "https://sso.example.com/saml/corp/acs",
		At: moment, Skew: time.Minute, RequestID: "_request-1",
	}}
	tree, fault := gate(j.document, messageLimits)
	check(t, fault)
	j.message, fault = readMessage(tree, false)
	check(t, fault)
	check(t, j.verifyResponse())
	s, fault := j.verifyAssertion()
	check(t, fault)
	return j, s
}

func check(t *testing.T, fault *idp.Rejection) {
	t.Helper()
	if fault != nil {
		t.Fatal(fault)
	}
}

func reason(fault *idp.Rejection) string {
	if fault == nil {
		return ""
	}
	return fault.Reason
}

func TestTheLibrarySetsNothingByTime(t *testing.T) {
	t.Parallel()
	judged(t, "accepted/both-signed.xml")
	if crewjam.MaxIssueDelay != century || crewjam.MaxClockSkew != century {
		t.Errorf("crewjam still decides on time: %s, %s", crewjam.MaxIssueDelay, crewjam.MaxClockSkew)
	}
}

func TestTheSecondOpinionAgreesOnTheCorpus(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"assertion-signed", "response-signed", "both-signed", "rsa-pss", "several-audiences", "several-confirmations"} {
		j, s := judged(t, "accepted/"+name+".xml")
		if fault := j.secondOpinion(s); fault != nil {
			t.Errorf("%s: %v", name, fault)
		}
	}
}

// Each row is a part that this package would have read wrongly.
func TestADifferentIdentityIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *statement){
		"ID":                  func(s *statement) { s.id += "x" },
		"Issuer":              func(s *statement) { s.issuer += "x" },
		"NameID":              func(s *statement) { s.nameID.value = "admin" },
		"no NameID":           func(s *statement) { s.nameID = nil },
		"Format":              func(s *statement) { s.nameID.format = "" },
		"SPNameQualifier":     func(s *statement) { s.nameID.spQualifier = "x" },
		"NotBefore":           func(s *statement) { s.notBefore = s.notBefore.Add(-time.Second) },
		"NotOnOrAfter":        func(s *statement) { s.notOnOrAfter = s.notOnOrAfter.Add(time.Second) },
		"a statement more":    func(s *statement) { s.authn = append(s.authn, s.authn[0]) },
		"SessionIndex":        func(s *statement) { s.authn[0].index = "x" },
		"class":               func(s *statement) { s.authn[0].class = "x" },
		"AuthnInstant":        func(s *statement) { s.authn[0].instant = s.authn[0].instant.Add(time.Second) },
		"a group more":        func(s *statement) { s.attributes[0].values = append(s.attributes[0].values, "admins") },
		"a group fewer":       func(s *statement) { s.attributes[0].values = s.attributes[0].values[1:] },
		"another group":       func(s *statement) { s.attributes[0].values[0] = "admins" },
		"groups turned round": func(s *statement) { v := s.attributes[0].values; v[0], v[1] = v[1], v[0] },
		"another Name":        func(s *statement) { s.attributes[0].name = "x" },
		"an attribute more":   func(s *statement) { s.attributes = append(s.attributes, samlAttribute{name: "x"}) },
		"an attribute fewer":  func(s *statement) { s.attributes = s.attributes[1:] },
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, s := judged(t, "accepted/assertion-signed.xml")
			edit(s)
			if fault := j.secondOpinion(s); reason(fault) != "second-opinion" {
				t.Errorf("got %v", fault)
			}
		})
	}
}

func TestARefusalOfTheLibraryIsOverruledForTheListedReasonsOnly(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(j *judgement, s *statement){
		"another pending request": func(j *judgement, _ *statement) { j.RequestID = "_other" },
		"another ACS":             func(j *judgement, s *statement) { j.ACSURL = "https://other.example.com"; s.confirmations = nil },
		"another audience":        func(j *judgement, _ *statement) { j.EntityID = "https://other.example.com" },
		"another provider": func(j *judgement, _ *statement) {
			j.IDP = &Metadata{EntityID: "x", certs: j.IDP.certs}
			j.IDP.library = newLibrary(j.IDP)
		},
		"other bytes": func(j *judgement, _ *statement) {
			j.document = []byte(string(j.document[:len(j.document)-20]) + " " + string(j.document[len(j.document)-20:]))
			j.assertion.kids = j.assertion.kids[1:]
		},
	} {
		j, s := judged(t, "accepted/assertion-signed.xml")
		edit(j, s)
		if fault := j.secondOpinion(s); reason(fault) != "second-opinion" {
			t.Errorf("%s: %v", name, fault)
		}
	}
	j, s := judged(t, "accepted/several-confirmations.xml")
	s.nameID.value = "admin" // overruled or not, the identity must be the same
	if fault := j.secondOpinion(s); reason(fault) != "second-opinion" {
		t.Errorf("got %v", fault)
	}
	j, s = judged(t, "accepted/several-confirmations.xml")
	s.confirmations[1].data = true // then it had no reason to panic
	if fault := j.secondOpinion(s); reason(fault) != "crewjam-panic" {
		t.Errorf("got %v", fault)
	}
}

func TestAPanicOfTheLibraryIsARefusal(t *testing.T) {
	t.Parallel()
	j, s := judged(t, "accepted/assertion-signed.xml")
	j.IDP.library = &library{} // crewjam reads the descriptor without looking
	fault := j.secondOpinion(s)
	if reason(fault) != "crewjam-panic" || fault.Cause == nil {
		t.Errorf("got %v", fault)
	}
	if _, err := decodeByLibrary([]byte("<x")); err == nil {
		t.Error("broken bytes were decoded")
	}
}

func TestAPanicOfOursIsARefusal(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join(corpus, "accepted", "assertion-signed.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if v := Judge(document, Case{}); v.Reason != "judge-panic" || v.Identity != nil || v.Err() == nil { // no metadata at all
		t.Errorf("got %+v", v)
	}
}

// The hook accepts the elements that were verified, as goxmldsig sees them.
func TestTheHookAcceptsOnlyWhatWasVerified(t *testing.T) {
	t.Parallel()
	parse := func(text string) *etree.Element {
		doc := etree.NewDocument()
		if err := doc.ReadFromString(text); err != nil {
			t.Fatal(err)
		}
		return doc.Root()
	}
	const ds = ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`
	h := hook{"_1": []byte(`<a ID="_1"><b></b></a>`)}
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"the element":                      {`<a ID="_1"><b/></a>`, true},
		"the element and its signature":    {`<a` + ds + ` ID="_1"><ds:Signature/><b/></a>`, true},
		"the signature after it":           {`<a` + ds + ` ID="_1"><b/><ds:Signature/></a>`, true},
		"another ID":                       {`<a ID="_2"><b/></a>`, false},
		"no ID":                            {`<a><b/></a>`, false},
		"an ID of another namespace":       {`<a xmlns:x="urn:x" x:ID="_1"><b/></a>`, false},
		"a child more":                     {`<a ID="_1"><b/><c/></a>`, false},
		"text":                             {`<a ID="_1"><b>x</b></a>`, false},
		"a Signature of another namespace": {`<a ID="_1"><Signature/><b/></a>`, false},
		"a Signature further down":         {`<a` + ds + ` ID="_1"><b><ds:Signature/></b></a>`, false},
	} {
		if err := h.VerifySignature(nil, parse(test.text)); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
