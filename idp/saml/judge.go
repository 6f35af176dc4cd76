package saml

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/claims"
)

// Case is everything that a verdict depends on beside the document itself, so
// that the ACS and `rolecalld saml inspect` judge alike.
type Case struct {
	// Provider is the configured name; IDP what its metadata says.
	Provider string
	IDP      *Metadata
	// EntityID and ACSURL are ours; Recipients are further accepted Recipients.
	EntityID, ACSURL string
	Recipients       []string
	// Destinations are further accepted Destinations of a Response.
	Destinations []string
	// At is the time of judging, Skew how far the provider's clock may be off.
	At   time.Time
	Skew time.Duration
	// RequestID is that of the one pending AuthnRequest; empty is none.
	RequestID string
	// Exchange judges for token exchange: nobody was asked, and the document may be
	// a bare Assertion.
	Exchange bool
	// Since, if set, demands that the person proved themselves after it.
	Since time.Time
	// MaxAge, if set, bounds the age of the authentication.
	MaxAge time.Duration
	// ACR, if any, are the acceptable authentication contexts.
	ACR []string
	// Allow are the weaknesses that the configuration accepts.
	Allow []string
	// Mapping makes the identity.
	Mapping claims.Mapping
	// AWSAttributes adds the roles that AWS's attribute names to the groups.
	AWSAttributes bool
	// Decryption is our key for encrypted assertions, or nil.
	Decryption *rsa.PrivateKey
	// Inspect decrypts even what is refused for the way it is encrypted, to say
	// whose it is. An ACS that did would be an oracle.
	Inspect bool
}

// Step is one thing that was checked.
type Step struct {
	Step   string `json:"step"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Finding is a weakness of a document that is otherwise in order.
type Finding struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Verdict is what Judge found. Accepted is Reason == "".
type Verdict struct {
	// Login is filled in when the document is accepted.
	Login idp.Login
	// Identity is who it is, or would have been if weaknesses are all that is wrong.
	Identity *idp.Identity
	// Reason and Detail say why it is refused.
	Reason, Detail string
	Findings       []Finding
	Steps          []Step

	cause error
}

// Err is nil for an accepted document, else a *idp.Rejection.
func (v Verdict) Err() error {
	if v.Reason == "" {
		return nil
	}
	return &idp.Rejection{Reason: v.Reason, Detail: v.Detail, Cause: v.cause}
}

// MarshalJSON is the output of `saml inspect` (CONTRACT.md).
func (v Verdict) MarshalJSON() ([]byte, error) {
	type steps []Step
	if v.Reason == "" {
		return json.Marshal(struct {
			Identity *idp.Identity `json:"identity"`
			Steps    steps         `json:"steps"`
		}{v.Identity, v.Steps})
	}
	return json.Marshal(struct {
		Reason   string        `json:"reason"`
		Detail   string        `json:"detail"`
		Findings []Finding     `json:"findings"`
		Identity *idp.Identity `json:"identity,omitempty"`
		Steps    steps         `json:"steps"`
	}{v.Reason, v.Detail, append([]Finding{}, v.Findings...), v.Identity, v.Steps})
}

// Judge judges a samlp:Response (for Exchange also a bare saml:Assertion). It is
// the only code that does: the ACS, token exchange and inspection call it. It does
// no I/O, keeps no state and never panics on any document.
func Judge(document []byte, c Case) Verdict {
	j := &judgement{Case: c, record: record{allow: c.Allow}}
	login, fault := j.guarded(document)
	v := Verdict{Findings: j.findings, Steps: j.steps}
	switch {
	case fault != nil:
		v.Reason, v.Detail, v.cause = fault.Reason, fault.Detail, fault.Cause
		v.Steps = append(v.Steps, Step{Step: fault.Reason, Detail: fault.Detail})
	case len(j.findings) > 0:
		v.Reason, v.Detail = j.findings[0].Code, j.findings[0].Detail
		v.Identity = &login.Identity
	default:
		v.Login, v.Identity = *login, &login.Identity
	}
	return v
}

// record collects what was checked.
type record struct {
	allow    []string
	steps    []Step
	findings []Finding
}

// fits records a check that held.
func (r *record) fits(step, format string, args ...any) {
	r.steps = append(r.steps, Step{Step: step, OK: true, Detail: fmt.Sprintf(format, args...)})
}

// note records something accepted that is worth knowing.
func (r *record) note(code, format string, args ...any) { r.fits(code, format, args...) }

// weak records a weakness: a finding, unless the configuration allows it.
func (r *record) weak(code, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	if slices.Contains(allowable, code) && slices.Contains(r.allow, code) {
		r.steps = append(r.steps, Step{Step: code, OK: true, Detail: "allowed by the configuration: " + detail})
		return
	}
	r.steps = append(r.steps, Step{Step: code, Detail: detail})
	for _, f := range r.findings {
		if f.Code == code {
			return
		}
	}
	r.findings = append(r.findings, Finding{Code: code, Detail: detail})
}

// judgement is the state of one Judge.
type judgement struct {
	Case
	record
	message
	document []byte // as it came, or with its assertion decrypted
}

// guarded makes a refusal of a panic of ours.
func (j *judgement) guarded(document []byte) (login *idp.Login, fault *idp.Rejection) {
	defer func() {
		if value := recover(); value != nil {
			login, fault = nil, &idp.Rejection{Reason: "judge-panic", Detail: "the document cannot be judged", Cause: &panicError{value}}
		}
	}()
	return j.run(document)
}

// run is the order of judging: bytes, structure, signatures, decryption, what
// was signed, conditions, identity, second opinion.
func (j *judgement) run(document []byte) (*idp.Login, *idp.Rejection) {
	j.document = document
	tree, fault := gate(document, messageLimits)
	if fault != nil {
		return nil, fault
	}
	j.fits("well-formed", "%d bytes", len(document))
	if j.message, fault = readMessage(tree, j.Exchange); fault != nil {
		return nil, fault
	}
	j.fits("structure", "one assertion in its place")
	if j.response != nil {
		if fault := j.verifyResponse(); fault != nil {
			return nil, fault
		}
	}
	if j.encrypted != nil {
		if fault := j.decrypt(); fault != nil {
			return nil, fault
		}
	}
	said, fault := j.verifyAssertion()
	if fault != nil {
		return nil, fault
	}
	if j.response != nil {
		if fault := j.checkResponse(); fault != nil {
			return nil, fault
		}
	}
	if fault := j.checkAssertion(said); fault != nil {
		return nil, fault
	}
	login, fault := j.login(said)
	if fault != nil {
		return nil, fault
	}
	if len(j.findings) > 0 {
		return login, nil // refused already
	}
	if fault := j.secondOpinion(said); fault != nil {
		return nil, fault
	}
	return login, nil
}

// verifyResponse verifies the signature of the Response, if it has one, and
// reads it from the signed bytes.
func (j *judgement) verifyResponse() *idp.Rejection {
	if j.responseSignature == nil {
		j.head = j.response
		return nil
	}
	signed, fault := verify(j.responseSignature, j.IDP.certs, j.At, &j.record)
	if fault != nil {
		return fault
	}
	j.head, fault = gate(signed.bytes, messageLimits)
	return fault
}

// verifyAssertion verifies the signature of the Assertion and reads it from the
// signed bytes; without one, from those that the signature of the Response covers.
func (j *judgement) verifyAssertion() (*statement, *idp.Rejection) {
	var covered []byte
	switch {
	case j.assertionSignature != nil:
		signed, fault := verify(j.assertionSignature, j.IDP.certs, j.At, &j.record)
		if fault != nil {
			return nil, fault
		}
		covered = signed.bytes
	case j.responseSignature == nil:
		return nil, idp.Reject("unsigned", "neither the Response nor the Assertion is signed")
	default:
		covered = canonical(j.assertion, nil, method{})
	}
	root, fault := gate(covered, messageLimits)
	if fault != nil {
		return nil, fault
	}
	said, fault := decode(root)
	if fault != nil {
		return nil, fault
	}
	said.covered = covered
	return said, nil
}
