package saml_test

import (
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// set changes an attribute; an empty value takes it away.
func set(path, name, value string) func(*etree.Element) {
	return func(r *etree.Element) {
		el := r
		if path != "" {
			el = at(r, path)
		}
		if el.RemoveAttr(name); value != "" {
			el.CreateAttr(name, value)
		}
	}
}

// remove takes an element away.
func remove(path string) func(*etree.Element) {
	return func(r *etree.Element) { el := at(r, path); el.Parent().RemoveChild(el) }
}

const (
	confirmation = "Assertion/Subject/SubjectConfirmation"
	data         = confirmation + "/SubjectConfirmationData"
)

func stampOf(d time.Duration) string { return moment.Add(d).Format(time.RFC3339) }

// Every row is signed by the right key after the change: what is refused is what
// the provider, or somebody who can make it say things, says. Judged at moment + 1 s
// with 60 s of skew.
func TestWhatTheAssertionSaysIsJudged(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(r *etree.Element)
		edit   func(*idptest.SAMLAnswer)
		reason string
	}{
		"Status other than Success":        {before: set("Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"), reason: "status"},
		"no Status":                        {before: remove("Status"), reason: "structure"},
		"two StatusCodes":                  {before: func(r *etree.Element) { s := at(r, "Status"); s.AddChild(at(s, "StatusCode").Copy()) }, reason: "structure"},
		"two Status":                       {before: func(r *etree.Element) { r.InsertChildAt(1, at(r, "Status").Copy()) }, reason: "structure"},
		"Version of the Response":          {before: set("", "Version", "1.1"), reason: "version"},
		"Version of the Assertion missing": {before: set("Assertion", "Version", ""), reason: "version"},
		"no IssueInstant":                  {before: set("Assertion", "IssueInstant", ""), reason: "structure"},
		"an IssueInstant that is no time":  {before: set("Assertion", "IssueInstant", "yesterday"), reason: "structure"},
		"Issuer of the Response":           {before: func(r *etree.Element) { at(r, "Issuer").SetText("https://evil.example.com") }, reason: "issuer"},
		"Issuer of the Assertion":          {before: func(r *etree.Element) { at(r, "Assertion/Issuer").SetText("https://evil.example.com") }, reason: "issuer"},
		"Issuer that is no entity":         {before: set("Assertion/Issuer", "Format", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"), reason: "issuer"},
		"no Issuer of the Assertion":       {before: remove("Assertion/Issuer"), reason: "issuer"},
		"the Assertion from the future":    {before: set("Assertion", "IssueInstant", stampOf(62*time.Second)), reason: "not-yet-valid"},
		"the Response from the future":     {before: set("", "IssueInstant", stampOf(62*time.Second)), reason: "not-yet-valid"},

		"another Destination":                 {before: set("", "Destination", acsURL+"/"), reason: "destination"},
		"a Destination with a query":          {before: set("", "Destination", acsURL+"?x=1"), reason: "destination"},
		"another Recipient":                   {before: set(data, "Recipient", "https://sso.example.com/saml/other/acs"), reason: "recipient"},
		"no Recipient":                        {before: set(data, "Recipient", ""), reason: "recipient"},
		"another InResponseTo (Response)":     {before: set("", "InResponseTo", "_other"), reason: "in-response-to"},
		"no InResponseTo (Response)":          {before: set("", "InResponseTo", ""), reason: "in-response-to"},
		"another InResponseTo (confirmation)": {before: set(data, "InResponseTo", "_other"), reason: "in-response-to"},
		"no InResponseTo (confirmation)":      {before: set(data, "InResponseTo", ""), reason: "in-response-to"},
		"an empty InResponseTo":               {before: func(r *etree.Element) { r.CreateAttr("InResponseTo", "") }, reason: "in-response-to"},

		"no Subject":                     {before: remove("Assertion/Subject"), reason: "subject"},
		"no NameID":                      {before: remove("Assertion/Subject/NameID"), reason: "subject"},
		"an empty NameID":                {before: func(r *etree.Element) { at(r, "Assertion/Subject/NameID").SetText("") }, reason: "subject"},
		"two NameIDs":                    {before: func(r *etree.Element) { s := at(r, "Assertion/Subject"); s.AddChild(at(s, "NameID").Copy()) }, reason: "subject"},
		"an element in NameID":           {before: func(r *etree.Element) { at(r, "Assertion/Subject/NameID").CreateElement("saml:x") }, reason: "subject"},
		"a BaseID":                       {before: func(r *etree.Element) { at(r, "Assertion/Subject").CreateElement("saml:BaseID") }, reason: "subject"},
		"a NameID with a line end":       {edit: func(a *idptest.SAMLAnswer) { a.NameID = "alice\nadmin" }, reason: "characters"},
		"a NameID of 2 KB":               {edit: func(a *idptest.SAMLAnswer) { a.NameID = string(make2K()) }, reason: "value-too-long"},
		"no SubjectConfirmation":         {before: remove(confirmation), reason: "no-bearer-confirmation"},
		"holder-of-key":                  {before: set(confirmation, "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), reason: "no-bearer-confirmation"},
		"sender-vouches":                 {before: set(confirmation, "Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"), reason: "no-bearer-confirmation"},
		"no SubjectConfirmationData":     {before: remove(data), reason: "confirmation"},
		"no NotOnOrAfter (confirmation)": {before: set(data, "NotOnOrAfter", ""), reason: "confirmation"},
		"an ended confirmation":          {before: set(data, "NotOnOrAfter", stampOf(-59*time.Second)), reason: "expired"},
		"a confirmation of the future":   {before: set(data, "NotBefore", stampOf(62*time.Second)), reason: "not-yet-valid"},

		"an ended assertion":                    {before: set("Assertion/Conditions", "NotOnOrAfter", stampOf(-59*time.Second)), reason: "expired"},
		"an assertion of the future":            {before: set("Assertion/Conditions", "NotBefore", stampOf(62*time.Second)), reason: "not-yet-valid"},
		"Conditions that end before they begin": {before: set("Assertion/Conditions", "NotBefore", stampOf(6*time.Minute)), reason: "conditions"},
		"an unknown condition":                  {before: func(r *etree.Element) { at(r, "Assertion/Conditions").CreateElement("saml:Condition") }, reason: "condition"},
		"another audience":                      {edit: func(a *idptest.SAMLAnswer) { a.Audience = "https://other.example.com" }, reason: "audience"},
		"an audience that begins as ours":       {edit: func(a *idptest.SAMLAnswer) { a.Audience = entityID + ".evil.example" }, reason: "audience"},
		"a comment that would cut the audience": {before: func(r *etree.Element) {
			a := at(r, "Assertion/Conditions/AudienceRestriction/Audience")
			a.CreateComment("x")
			a.CreateText(".evil.example")
		}, reason: "audience"},
		"two restrictions of which one is not for us": {before: func(r *etree.Element) {
			at(r, "Assertion/Conditions").CreateElement("saml:AudienceRestriction").CreateElement("saml:Audience").SetText("https://other.example.com")
		}, reason: "audience"},
		"an empty restriction": {before: remove("Assertion/Conditions/AudienceRestriction/Audience"), reason: "audience"},

		"no AuthnStatement":        {before: remove("Assertion/AuthnStatement"), reason: "authn-statement"},
		"no AuthnInstant":          {before: set("Assertion/AuthnStatement", "AuthnInstant", ""), reason: "authn-statement"},
		"no AuthnContext":          {before: remove("Assertion/AuthnStatement/AuthnContext"), reason: "authn-statement"},
		"a session that has ended": {before: set("Assertion/AuthnStatement", "SessionNotOnOrAfter", stampOf(-59*time.Second)), reason: "session-ended"},

		"an encrypted attribute": {before: func(r *etree.Element) { at(r, "Assertion/AttributeStatement").CreateElement("saml:EncryptedAttribute") }, reason: "attribute"},
		"an element in a group": {before: func(r *etree.Element) {
			at(r, "Assertion/AttributeStatement/Attribute/AttributeValue").CreateElement("saml:x")
		}, reason: "attribute"},
		"no Assertion":              {before: nil, reason: "no-assertion", edit: func(a *idptest.SAMLAnswer) { a.After = remove("Assertion") }},
		"text between the parts":    {before: func(r *etree.Element) { at(r, "Assertion").CreateText("admin") }, reason: "structure"},
		"a Response inside another": {edit: func(a *idptest.SAMLAnswer) { a.After = func(r *etree.Element) { r.Tag = "ArtifactResponse" } }, reason: "not-a-response"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.NewSAMLIdP(t)
			answer := good()
			answer.Before = test.before
			if test.edit != nil {
				test.edit(&answer)
			}
			refused(t, saml.Judge(i.Response(answer), standard(t, i)), test.reason)
		})
	}
}

func make2K() []byte {
	b := make([]byte, 2048)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func TestWeaknessesOfTheContentAreFindings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before    func(r *etree.Element)
		signed    string
		code      string
		allowable bool
	}{
		"no AudienceRestriction":      {before: remove("Assertion/Conditions/AudienceRestriction"), code: "no-audience-restriction"},
		"no end of the Conditions":    {before: set("Assertion/Conditions", "NotOnOrAfter", ""), code: "conditions-no-notonorafter"},
		"a NotBefore of the bearer":   {before: set(data, "NotBefore", stampOf(0)), code: "bearer-sc-has-notbefore"},
		"an old Assertion":            {before: set("Assertion", "IssueInstant", stampOf(-5*time.Minute)), code: "stale-issue-instant", allowable: true},
		"an old Response":             {before: set("", "IssueInstant", stampOf(-5*time.Minute)), code: "stale-issue-instant", allowable: true},
		"a signed Response to nobody": {before: set("", "Destination", ""), signed: "response", code: "no-destination-on-signed-response", allowable: true},
		"assertions as advice": {before: func(r *etree.Element) {
			a := at(r, "Assertion")
			advice := etree.NewElement("saml:Advice")
			advice.AddChild(evil(a))
			a.InsertChildAt(at(a, "AuthnStatement").Index(), advice)
		}, code: "advice-assertions"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.NewSAMLIdP(t)
			answer := good()
			answer.Before, answer.Signed = test.before, test.signed
			c := standard(t, i)
			v := saml.Judge(i.Response(answer), c)
			refused(t, v, test.code)
			if len(v.Findings) != 1 || v.Identity == nil || v.Identity.Subject != "alice" {
				t.Errorf("findings %+v, identity %+v", v.Findings, v.Identity)
			}
			c.Allow = []string{test.code}
			if v := saml.Judge(i.Response(answer), c); (v.Reason == "") != test.allowable {
				t.Errorf("allowed by the configuration: reason %q %s", v.Reason, v.Detail)
			}
		})
	}
}

func TestNoConditionsAtAllIsWeakAndNoPanic(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = remove("Assertion/Conditions")
	v := saml.Judge(i.Response(answer), standard(t, i))
	refused(t, v, "conditions-no-notonorafter")
	if len(v.Findings) != 2 || v.Findings[1].Code != "no-audience-restriction" {
		t.Errorf("findings %+v", v.Findings)
	}
}

func TestNobodyAskedForAnUnsolicitedResponse(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.RequestID = ""
	c := standard(t, i)
	refused(t, saml.Judge(i.Response(answer), c), "in-response-to") // a request is pending: it must be answered
	c.RequestID = ""
	refused(t, saml.Judge(i.Response(answer), c), "idp-initiated")
	c.Allow = []string{"idp-initiated"}
	accepted(t, saml.Judge(i.Response(answer), c), "idp-initiated")
	answer.RequestID = "_somebody-else's"
	refused(t, saml.Judge(i.Response(answer), c), "in-response-to") // it answers a request of another browser
}

func TestTheClockHasTwoEdges(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	document := i.Response(good()) // issued at 0 s; valid from -60 s to 300 s
	for offset, reason := range map[time.Duration]string{
		-61 * time.Second:                  "not-yet-valid",
		-60 * time.Second:                  "",
		240*time.Second - time.Millisecond: "",
		240 * time.Second:                  "stale-issue-instant",
		360*time.Second - time.Millisecond: "stale-issue-instant",
		360 * time.Second:                  "expired",
		365 * 24 * time.Hour:               "expired",
		-365 * 24 * time.Hour:              "not-yet-valid",
	} {
		c := standard(t, i)
		c.At = moment.Add(offset)
		if v := saml.Judge(document, c); v.Reason != reason {
			t.Errorf("at %s: %q (%s), want %q", offset, v.Reason, v.Detail, reason)
		}
	}
}

func TestAFreshSignInIsEnforced(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = set("Assertion/AuthnStatement", "AuthnInstant", stampOf(-10*time.Minute))
	document := i.Response(answer)
	c := standard(t, i)
	accepted(t, saml.Judge(document, c))
	c.Since = moment
	refused(t, saml.Judge(document, c), "not-fresh")
	c.Since, c.MaxAge = time.Time{}, 5*time.Minute
	refused(t, saml.Judge(document, c), "not-fresh")
	c.MaxAge, c.ACR = 0, []string{"https://refeds.org/profile/mfa"}
	refused(t, saml.Judge(document, c), "authn-context")
	c.ACR = append(c.ACR, "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")
	accepted(t, saml.Judge(document, c))
}

// A sign-in after now would be younger than any max_auth_age.
func TestASignInOfTheFutureIsOfNoKnownAge(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = set("Assertion/AuthnStatement", "AuthnInstant", stampOf(time.Hour))
	document := i.Response(answer)
	c := standard(t, i)
	v := saml.Judge(document, c)
	accepted(t, v, "future-authn-instant")
	if !v.Identity.AuthenticatedAt.IsZero() {
		t.Errorf("authenticated at %s", v.Identity.AuthenticatedAt)
	}
	c.Since = moment
	refused(t, saml.Judge(document, c), "not-yet-valid")
	c.Since, c.MaxAge = time.Time{}, time.Hour
	refused(t, saml.Judge(document, c), "not-yet-valid")
}

// The evidence is remembered as long as any part of it could be valid.
func TestOnceOutlivesEveryConfirmation(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = func(r *etree.Element) {
		other := at(r, confirmation).Copy()
		at(other, "SubjectConfirmationData").CreateAttr("NotOnOrAfter", stampOf(time.Hour))
		at(r, "Assertion/Subject").AddChild(other)
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v)
	if want := moment.Add(61 * time.Minute); !v.Login.Once.Until.Equal(want) {
		t.Errorf("until %s, want %s", v.Login.Once.Until, want)
	}
}
