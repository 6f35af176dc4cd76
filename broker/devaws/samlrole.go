package devaws

import (
	"crypto/sha1" //nolint:gosec // STS names providers by it; nothing is protected
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/jonboulle/clockwork"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
)

const (
	attributePrefix = "https://aws.amazon.com/SAML/Attributes/"
	formatPrefix    = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
	assertionSpace  = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// SAMLProvider is a SAML provider that an account knows by its metadata.
type SAMLProvider struct {
	ARN      string // arn:aws:iam::ACCOUNT:saml-provider/NAME
	Metadata string
}

type samlProvider struct {
	SAMLProvider
	entityID      string
	account, name string
	certs         []*x509.Certificate
}

var samlARN = regexp.MustCompile(`^arn:(?:aws|aws-us-gov|aws-cn):iam::([0-9]{12}):saml-provider/([A-Za-z0-9._-]{1,128})$`)

// addSAML reads the metadata as CreateSAMLProvider would.
func (a *AWS) addSAML(p SAMLProvider) error {
	m := samlARN.FindStringSubmatch(p.ARN)
	if m == nil {
		return fmt.Errorf("SAML provider %q: want arn:aws:iam::ACCOUNT:saml-provider/NAME", p.ARN)
	}
	if _, ok := a.accounts[m[1]]; !ok {
		return fmt.Errorf("SAML provider %s: its account is not among the accounts", p.ARN)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(p.Metadata); err != nil {
		return fmt.Errorf("SAML provider %s: metadata: %w", p.ARN, err)
	}
	made := &samlProvider{SAMLProvider: p, account: m[1], name: m[2]}
	if root := doc.Root(); root != nil && root.Tag == "EntityDescriptor" {
		made.entityID = root.SelectAttrValue("entityID", "")
	}
	for _, el := range doc.FindElements("//IDPSSODescriptor/KeyDescriptor[@use='signing']//X509Certificate") {
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(el.Text()), ""))
		if err != nil {
			return fmt.Errorf("SAML provider %s: metadata: %w", p.ARN, err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("SAML provider %s: metadata: %w", p.ARN, err)
		}
		made.certs = append(made.certs, cert)
	}
	if made.entityID == "" || len(made.certs) == 0 || doc.FindElement("//IDPSSODescriptor/SingleSignOnService") == nil {
		return fmt.Errorf("SAML provider %s: the metadata is not of an identity provider with a signing certificate and a sign-in address", p.ARN)
	}
	a.samlIdPs[p.ARN] = made
	return nil
}

// samlClaims is what STS reads of an assertion.
type samlClaims struct {
	issuer, subject, format, recipient string
	name, source                       string
	roles                              []string
	tags                               map[string][]string
	transitive                         []string
	longest                            time.Duration // SessionDuration, zero where absent
	ends                               time.Time     // SessionNotOnOrAfter
}

// saml answers AssumeRoleWithSAML. Real STS looks at neither audience nor
// NotBefore, and takes an assertion again; so does this.
func (a *AWS) saml(r *http.Request, call *stswire.Call) (stswire.Answer, error) {
	op, err := call.AssumeRoleWithSAML()
	if err != nil {
		return nil, err
	}
	arn, err := iam.ParseRoleARN(op.RoleARN)
	provider := a.samlIdPs[op.PrincipalARN]
	if err != nil || !samlARN.MatchString(op.PrincipalARN) {
		return nil, stswire.Fail("ValidationError", "Request ARN is invalid")
	}
	who := caller{partition: arn.Partition, account: arn.Account, federated: op.PrincipalARN}
	if provider == nil || provider.account != arn.Account {
		return nil, notAuthorized(who, "sts:AssumeRoleWithSAML", arn)
	}
	claims, err := a.readAssertion(op.Assertion.Reveal(), provider)
	if err != nil {
		a.log.InfoContext(r.Context(), "assertion refused", "role", arn.String(), "reason", err.Error())
		return nil, err
	}
	if !slices.Contains(claims.roles, op.RoleARN+","+op.PrincipalARN) && !slices.Contains(claims.roles, op.PrincipalARN+","+op.RoleARN) {
		return nil, badToken("SAML Assertion doesn't contain the requested Role and Metadata in the attributes")
	}
	order := stswire.AssumeRole{
		RoleARN: op.RoleARN, RoleSessionName: claims.name, SourceIdentity: claims.source,
		DurationSeconds: op.DurationSeconds, Policy: op.Policy, PolicyARNs: op.PolicyARNs,
	}
	if order.Tags, order.TransitiveTagKeys, err = oneValueEach(claims.tags, claims.transitive); err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(claims.issuer + provider.account + "/" + provider.name)) //nolint:gosec // see above
	qualifier := base64.StdEncoding.EncodeToString(sum[:])
	target, err := a.trusted(r, "", who, arn, order, "sts:AssumeRoleWithSAML", keys{
		"saml:aud": {claims.recipient}, "saml:iss": {claims.issuer}, "saml:sub": {claims.subject},
		"saml:sub_type": {strings.TrimPrefix(claims.format, formatPrefix)}, "saml:namequalifier": {qualifier},
	})
	if err != nil {
		return nil, err
	}
	opened, err := a.open(target, who, order, a.lasts(op, claims))
	if err != nil {
		return nil, err
	}
	return stswire.SAMLResult{
		AssumeRoleResult: opened, Subject: claims.subject, SubjectType: strings.TrimPrefix(claims.format, formatPrefix),
		Issuer: claims.issuer, Audience: claims.recipient, NameQualifier: qualifier,
	}, nil
}

// lasts is the shortest of what was asked for and what the assertion allows.
func (a *AWS) lasts(op stswire.AssumeRoleWithSAML, claims samlClaims) time.Duration {
	d := time.Duration(op.DurationSeconds) * time.Second
	if claims.longest > 0 {
		d = min(d, claims.longest)
	}
	if !claims.ends.IsZero() {
		d = min(d, claims.ends.Sub(a.now()))
	}
	return d
}

// readAssertion verifies the assertion's signature and reads what it covers and
// nothing else.
func (a *AWS) readAssertion(text string, provider *samlProvider) (samlClaims, error) {
	var none samlClaims
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return none, badToken("Invalid base64 SAMLResponse")
	}
	doc := etree.NewDocument()
	if doc.ReadFromBytes(data) != nil || doc.Root() == nil || doc.Root().Tag != "Response" {
		return none, badToken("The SAML response is not valid XML")
	}
	found := doc.Root().SelectElements("Assertion")
	if len(found) != 1 || found[0].NamespaceURI() != assertionSpace {
		return none, badToken("Expected exactly one assertion")
	}
	// The signature is checked on the assertion where it stands, because its
	// canonical form has the namespaces that are in force there.
	validation := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: provider.certs})
	validation.Clock = dsig.NewFakeClock(clockwork.NewFakeClockAt(a.now()))
	signed, err := validation.Validate(found[0])
	if err != nil {
		return none, badToken("Response signature invalid")
	}
	claims, err := readClaims(signed)
	if err != nil {
		return none, err
	}
	if claims.issuer != provider.entityID {
		return none, badToken("Issuer not present in specified provider")
	}
	confirmation := signed.FindElement("Subject/SubjectConfirmation/SubjectConfirmationData")
	if confirmation == nil {
		return none, badToken("SubjectConfirmationData is required")
	}
	until, err := time.Parse(time.RFC3339, confirmation.SelectAttrValue("NotOnOrAfter", ""))
	claims.recipient = confirmation.SelectAttrValue("Recipient", "")
	if err != nil || claims.recipient == "" {
		return none, badToken("NotOnOrAfter and Recipient are required in SubjectConfirmationData")
	}
	if !a.now().Before(until) {
		return none, stswire.Fail("ExpiredTokenException", "Response has expired")
	}
	return claims, nil
}

// readClaims reads a verified assertion.
func readClaims(signed *etree.Element) (samlClaims, error) {
	c := samlClaims{tags: map[string][]string{}}
	issuer, name, statement := signed.FindElement("Issuer"), signed.FindElement("Subject/NameID"), signed.FindElement("AuthnStatement")
	if issuer == nil || name == nil || statement == nil {
		return c, badToken("Issuer, NameID and AuthnStatement are required")
	}
	c.issuer, c.subject, c.format = issuer.Text(), name.Text(), name.SelectAttrValue("Format", "")
	if ends := statement.SelectAttrValue("SessionNotOnOrAfter", ""); ends != "" {
		var err error
		if c.ends, err = time.Parse(time.RFC3339, ends); err != nil {
			return c, badToken("SessionNotOnOrAfter is not a time")
		}
	}
	for _, attribute := range signed.FindElements("AttributeStatement/Attribute") {
		var values []string
		for _, value := range attribute.SelectElements("AttributeValue") {
			values = append(values, value.Text())
		}
		if err := c.attribute(attribute.SelectAttrValue("Name", ""), values); err != nil {
			return c, err
		}
	}
	if c.name == "" {
		return c, badToken("RoleSessionName is required in AuthnResponse")
	}
	if !iam.ValidName(c.name) {
		return c, badToken("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
	}
	if c.source != "" && !iam.ValidName(c.source) {
		return c, badToken("SourceIdentity in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
	}
	return c, nil
}

func (c *samlClaims) attribute(name string, values []string) error {
	short, ours := strings.CutPrefix(name, attributePrefix)
	if !ours {
		return nil
	}
	key, isTag := strings.CutPrefix(short, "PrincipalTag:")
	if len(values) != 1 && short != "Role" && short != "TransitiveTagKeys" {
		return badToken(fmt.Sprintf("The attribute %s must have exactly one value", short))
	}
	switch {
	case isTag:
		c.tags[key] = append(c.tags[key], values...)
	case short == "Role":
		for _, v := range values {
			c.roles = append(c.roles, strings.TrimSpace(v))
		}
	case short == "TransitiveTagKeys":
		c.transitive = append(c.transitive, values...)
	case short == "RoleSessionName":
		c.name = values[0]
	case short == "SourceIdentity":
		c.source = values[0]
	case short == "SessionDuration":
		n, err := strconv.Atoi(values[0])
		c.longest = time.Duration(n) * time.Second
		if err != nil || c.longest < iam.MinDuration || c.longest > iam.MaxDuration {
			return badToken("SessionDuration must be 900 to 43200")
		}
	}
	return nil
}
