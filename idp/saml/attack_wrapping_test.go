package saml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// evil is a copy of a signed assertion that says somebody else, unsigned.
func evil(assertion *etree.Element) *etree.Element {
	el := assertion.Copy()
	el.CreateAttr("ID", "_evil")
	at(el, "Subject/NameID").SetText("admin")
	if s := at(el, "Signature"); s != nil {
		el.RemoveChild(s)
	}
	return el
}

// Every row is a validly signed document that is then attacked (XML Signature
// Wrapping, Somorovsky et al., USENIX Security 2012, and what came after).
func TestSignatureWrappingIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signed string
		attack func(r *etree.Element)
		reason string
	}{
		"XSW1: the signed Response inside the Signature of an evil one": {"response", func(r *etree.Element) {
			original := r.Copy()
			original.RemoveChild(at(original, "Signature"))
			swap(r, evil(at(r, "Assertion")))
			r.CreateAttr("ID", "_evil-response")
			at(r, "Signature").CreateElement("ds:Object").AddChild(original)
		}, "signature-form"},
		"XSW2: the signed Response beside a detached Signature": {"response", func(r *etree.Element) {
			original := r.Copy()
			original.RemoveChild(at(original, "Signature"))
			swap(r, evil(at(r, "Assertion")))
			r.CreateAttr("ID", "_evil-response")
			r.InsertChildAt(0, original)
		}, "structure"},
		"XSW3: an evil Assertion before the signed one": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			r.InsertChildAt(a.Index(), evil(a))
		}, "several-assertions"},
		"XSW4: the signed Assertion inside an evil one": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer := evil(a)
			swap(r, outer)
			outer.AddChild(a)
		}, "structure"},
		"XSW5: the Signature in an evil Assertion, the original after it": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer := evil(a)
			swap(r, outer)
			outer.InsertChildAt(1, at(a, "Signature"))
			r.AddChild(a)
		}, "several-assertions"},
		"XSW6: the original inside the Signature in an evil Assertion": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer, s := evil(a), at(a, "Signature")
			swap(r, outer)
			outer.InsertChildAt(1, s)
			s.AddChild(a)
		}, "several-assertions"},
		"XSW7: an evil Assertion in Extensions": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			e := etree.NewElement("samlp:Extensions")
			e.AddChild(evil(a))
			r.InsertChildAt(1, e)
		}, "several-assertions"},
		"XSW8: the original inside a ds:Object of the evil Assertion's Signature": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer, s := evil(a), at(a, "Signature")
			swap(r, outer)
			outer.InsertChildAt(1, s)
			s.CreateElement("ds:Object").AddChild(a)
		}, "signature-form"},
		"XSW9: the signed Assertion as advice of an evil one": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer := evil(a)
			swap(r, outer)
			outer.InsertChildAt(at(outer, "AuthnStatement").Index(), etree.NewElement("saml:Advice"))
			at(outer, "Advice").AddChild(a)
		}, "unsigned"},
		"XSW9 with the Signature moved to the evil Assertion": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer := evil(a)
			swap(r, outer)
			outer.InsertChildAt(1, at(a, "Signature"))
			outer.InsertChildAt(at(outer, "AuthnStatement").Index(), etree.NewElement("saml:Advice"))
			at(outer, "Advice").AddChild(a)
		}, "signature-reference"},
		"the same ID twice": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			outer := evil(a)
			outer.CreateAttr("ID", a.SelectAttrValue("ID", ""))
			r.InsertChildAt(a.Index(), outer)
		}, "duplicate-id"},
		"the same ID in another case and place": {"assertion", func(r *etree.Element) {
			e := etree.NewElement("samlp:Extensions")
			e.CreateElement("samlp:x").CreateAttr("Id", at(r, "Assertion").SelectAttrValue("ID", ""))
			r.InsertChildAt(1, e)
		}, "duplicate-id"},
		"the signed Assertion in an element of the attacker": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			wrapper := etree.NewElement("samlp:Wrapper")
			r.AddChild(wrapper)
			wrapper.AddChild(a)
		}, "structure"},
		"the Signature moved to the Response": {"assertion", func(r *etree.Element) {
			r.InsertChildAt(1, at(r, "Assertion/Signature"))
		}, "signature-reference"},
		"the Signature moved to Status": {"assertion", func(r *etree.Element) {
			at(r, "Status").AddChild(at(r, "Assertion/Signature"))
		}, "signature-placement"},
		"the Signature moved to Subject": {"assertion", func(r *etree.Element) {
			at(r, "Assertion/Subject").AddChild(at(r, "Assertion/Signature"))
		}, "signature-placement"},
		"a second valid Signature of the same element": {"assertion", func(r *etree.Element) {
			a := at(r, "Assertion")
			a.InsertChildAt(1, at(a, "Signature").Copy())
		}, "structure"},
		"an unsigned Assertion beside a signed Response": {"response", func(r *etree.Element) {
			r.AddChild(evil(at(r, "Assertion")))
		}, "several-assertions"},
		"an invalid Signature of the Assertion in a Response that is signed well": {"both-broken", nil, "digest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.NewSAMLIdP(t)
			answer := good()
			answer.Signed, answer.After = test.signed, test.attack
			if test.signed == "both-broken" {
				answer.Signed = "response"
				answer.Before = func(r *etree.Element) {
					a := at(r, "Assertion")
					i.Sign(a, i.Keys[0], idptest.SAMLSigning{})
					at(a, "Subject/NameID").SetText("admin")
				}
			}
			v := saml.Judge(i.Response(answer), standard(t, i))
			refused(t, v, test.reason)
			if v.Identity != nil {
				t.Errorf("a fault came with an identity: %+v", v.Identity)
			}
		})
	}
}

// swap puts an assertion in the place of the one that is there.
func swap(r, with *etree.Element) {
	a := at(r, "Assertion")
	r.InsertChildAt(a.Index(), with)
	r.RemoveChild(a)
}

func TestThreeThousandAssertionsAreRefused(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.After = func(r *etree.Element) {
		for n := range 3000 {
			r.CreateElement("saml:Assertion").CreateAttr("ID", fmt.Sprint("_", n))
		}
	}
	refused(t, saml.Judge(i.Response(answer), standard(t, i)), "too-many-elements")
}

// An unsigned part of the document binds the prefix of a signed part anew: the
// signed meaning stays (crewjam writes such prefixes over the signed element).
func TestRebindingAPrefixElsewhereChangesNothing(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.After = func(r *etree.Element) {
		insert(t, r, 1, `<samlp:Extensions><x:x xmlns:x="urn:x" xmlns:saml="urn:evil"><saml:y/></x:x></samlp:Extensions>`)
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	if v.Reason == "" && v.Identity.Subject != "alice" {
		t.Errorf("another identity: %+v", v.Identity)
	}
	if v.Reason != "" && v.Reason != "second-opinion" {
		t.Errorf("refused: %v", v.Err())
	}
}

// The same local names in another namespace are other elements.
func TestOnlyTheSAMLNamespaceCounts(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(string) string{
		"Assertion": func(s string) string {
			return strings.NewReplacer("<saml:Assertion ", `<e:Assertion xmlns:e="urn:evil" `, "</saml:Assertion>", "</e:Assertion>").Replace(s)
		},
		"Subject": func(s string) string {
			return strings.NewReplacer("<saml:Subject>", `<e:Subject xmlns:e="urn:evil">`, "</saml:Subject>", "</e:Subject>").Replace(s)
		},
		"AuthnStatement": func(s string) string {
			return strings.NewReplacer("<saml:AuthnStatement ", `<e:AuthnStatement xmlns:e="urn:evil" `, "</saml:AuthnStatement>", "</e:AuthnStatement>").Replace(s)
		},
		"Status": func(s string) string {
			return strings.NewReplacer("<samlp:Status>", `<e:Status xmlns:e="urn:evil">`, "</samlp:Status>", "</e:Status>").Replace(s)
		},
	} {
		i := idptest.NewSAMLIdP(t)
		answer := good()
		answer.Before = func(r *etree.Element) {
			doc := etree.NewDocument()
			doc.SetRoot(r.Copy())
			text, err := doc.WriteToString()
			if err != nil {
				t.Fatal(err)
			}
			again := etree.NewDocument()
			if err := again.ReadFromString(edit(text)); err != nil {
				t.Fatal(err)
			}
			*r = *again.Root()
		}
		if v := saml.Judge(i.Response(answer), standard(t, i)); v.Reason != "structure" {
			t.Errorf("%s of another namespace: reason %q %s", name, v.Reason, v.Detail)
		}
	}
}
