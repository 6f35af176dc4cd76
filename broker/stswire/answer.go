package stswire

import (
	"encoding/xml"
	"net/http"

	"github.com/rolecall/rolecall/broker/iam"
)

const (
	namespace      = "https://sts.amazonaws.com/doc/2011-06-15/"
	faultNamespace = "http://webservices.amazon.com/AWSFault/2005-15-09"
)

// Answer is a successful result, a Result of this package, or CallerIdentity.
type Answer interface {
	wire() (action string, result any)
}

// AssumeRoleResult answers AssumeRole.
type AssumeRoleResult struct {
	Credentials    iam.Credentials
	AssumedRoleID  string // AROA...:SESSIONNAME
	SourceIdentity string // "" is absent
	// PackedPolicySize is a percentage; 0 is absent.
	PackedPolicySize int
}

// CallerIdentity answers GetCallerIdentity.
type CallerIdentity struct{ ARN, UserID, Account string }

type wireUser struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	Arn           string
}

type wireCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

func (a AssumeRoleResult) wire() (string, any) { return "AssumeRole", a.fields() }

func (a CallerIdentity) wire() (string, any) {
	return "GetCallerIdentity", struct {
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}{a.ARN, a.UserID, a.Account}
}

// WriteAnswer writes a success.
func WriteAnswer(w http.ResponseWriter, requestID string, answer Answer) {
	action, result := answer.wire()
	writeXML(w, http.StatusOK, requestID, element{
		XMLName: xml.Name{Local: action + "Response"}, Namespace: namespace,
		Children: []any{
			child{xml.Name{Local: action + "Result"}, result},
			child{xml.Name{Local: "ResponseMetadata"}, struct {
				RequestID string `xml:"RequestId"`
			}{requestID}},
		},
	})
}

// WriteError writes a failure.
func WriteError(w http.ResponseWriter, requestID string, e *Error) {
	if e.Code == "" {
		w.Header().Set("x-amzn-RequestId", requestID)
		w.WriteHeader(e.Status)
		return
	}
	kind, ns := "Sender", namespace
	if e.Status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	if e.dispatch {
		ns = faultNamespace
	}
	writeXML(w, e.Status, requestID, element{
		XMLName: xml.Name{Local: "ErrorResponse"}, Namespace: ns,
		Children: []any{
			child{xml.Name{Local: "Error"}, struct {
				Type, Code string
				Message    string `xml:",omitempty"`
			}{kind, e.Code, e.Message}},
			child{xml.Name{Local: "RequestId"}, requestID},
		},
	})
}

type element struct {
	XMLName   xml.Name
	Namespace string `xml:"xmlns,attr"`
	Children  []any
}

// child gives a value its element name.
type child struct {
	name  xml.Name
	value any
}

// MarshalXML implements xml.Marshaler.
func (c child) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return e.EncodeElement(c.value, xml.StartElement{Name: c.name})
}

func writeXML(w http.ResponseWriter, status int, requestID string, root element) {
	body, err := xml.MarshalIndent(root, "", "  ")
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set("x-amzn-RequestId", requestID)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
