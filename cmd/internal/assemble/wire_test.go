package assemble

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/policy"
)

// ear reads every call of STS from the bytes on the wire, by code of its own: the
// form, and the signature by signing again with the SDK's signer.
type ear struct {
	t    *testing.T
	next http.Handler

	mu    sync.Mutex
	heard []map[string]string
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		e.t.Errorf("%s %s, %s: %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
	}
	call := map[string]string{}
	for name, values := range form {
		if len(values) != 1 {
			e.t.Errorf("%s is sent %d times", name, len(values))
		}
		call[name] = values[0]
	}
	e.signature(r, body, strings.HasPrefix(call["Action"], "AssumeRoleWith"))
	e.mu.Lock()
	e.heard = append(e.heard, call)
	e.mu.Unlock()
	e.next.ServeHTTP(w, r)
}

// signature holds that a call with a proof has none, and every other a right one.
func (e *ear) signature(r *http.Request, body []byte, proven bool) {
	got := r.Header.Get("Authorization")
	if proven {
		if got != "" || r.Header.Get("X-Amz-Security-Token") != "" {
			e.t.Error("a call with a proof is signed, too: with whose keys?")
		}
		return
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		e.t.Error(err)
		return
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		e.t.Error(err)
		return
	}
	_, list, _ := strings.Cut(got, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	for name := range strings.SplitSeq(list, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	own := aws.Credentials{AccessKeyID: "AKIABROKER0000000001", SecretAccessKey: "broker/secret"}
	if err := v4.NewSigner().SignHTTP(r.Context(), own, again, hexOf(body), "sts", "eu-west-1", at); err != nil {
		e.t.Error(err)
	}
	if want := again.Header.Get("Authorization"); got != want {
		e.t.Errorf("signed\n%s, not\n%s", got, want)
	}
}

// explained is what `explain` says of a role for a caller.
func explained(t *testing.T, d *Daemon, who broker.Caller, role string) policy.Granted {
	t.Helper()
	compiled, err := Policy(d.options.Config)
	if err != nil {
		t.Fatal(err)
	}
	arn, err := compiled.ResolveRole(role)
	if err != nil {
		t.Fatal(err)
	}
	decision := compiled.Explain(who.Identity, policy.Ask{Role: arn, Time: time.Now(), Via: "browser"})
	if len(decision.Granted) != 1 {
		t.Fatalf("%+v", decision)
	}
	return decision.Granted[0]
}

// Every parameter that STS gets is one that explain has foretold, and there is no
// other: in each mode, over the real SDK.
func TestSTSGetsWhatExplainForetoldAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newModesWorld(t)
	who := modesCaller("u-1")
	for role, want := range map[string]map[string]string{
		"production/Assume": {
			"Action": "AssumeRole", "RoleArn": "arn:aws:iam::111122223333:role/Assume", "RoleSessionName": "alice",
			"DurationSeconds": "3600", "SourceIdentity": "corp=u-1",
		},
		"production/Web": {
			"Action": "AssumeRoleWithWebIdentity", "RoleArn": "arn:aws:iam::111122223333:role/Web", "RoleSessionName": "alice",
			"DurationSeconds": "7200", "WebIdentityToken": "",
		},
		"production/SAML": {
			"Action": "AssumeRoleWithSAML", "RoleArn": "arn:aws:iam::111122223333:role/SAML", "DurationSeconds": "7200",
			"PrincipalArn": "arn:aws:iam::111122223333:saml-provider/rolecall", "SAMLAssertion": "",
		},
		"production/Token": {
			"Action": "GetFederationToken", "Name": "alice", "DurationSeconds": "7200",
			"Policy": `{"Statement":[{"Action":"s3:Get*","Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}`,
		},
	} {
		g := explained(t, w.Daemon, who, role)
		before := len(w.ear.heard)
		if _, err := w.current.Load().broker.Vend(t.Context(), broker.Origin{RequestID: "r"}, who, broker.Order{Role: role}); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		if len(w.ear.heard) != before+1 {
			t.Fatalf("%s: %d calls of STS", role, len(w.ear.heard)-before)
		}
		got := w.ear.heard[before]
		token, assertion := got["WebIdentityToken"], got["SAMLAssertion"]
		for _, proof := range []string{"WebIdentityToken", "SAMLAssertion"} {
			if got[proof] != "" {
				got[proof] = "" // read below
			}
		}
		want["Version"] = "2011-06-15"
		if want["Policy"] != "" {
			got["Policy"] = sorted(t, got["Policy"])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
		if token != "" {
			checkToken(t, token, g, w.options.Config.Issuer.URL.Value)
		}
		if assertion != "" {
			checkAssertion(t, assertion, g)
		}
	}
}

// sorted is JSON with its members in order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// checkToken reads the claims as STS does.
func checkToken(t *testing.T, token string, g policy.Granted, issuer string) {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(parts) != 3 {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	issued, ends := claims["iat"].(float64), claims["exp"].(float64)
	if ends-issued != 300 || issued != float64(int64(issued)) {
		t.Errorf("it lives from %v to %v", issued, ends)
	}
	for _, own := range []string{"iat", "exp", "nbf", "jti"} {
		delete(claims, own)
	}
	want := map[string]any{
		"iss": issuer, "aud": "sts.amazonaws.com", "sub": "corp=u-1",
		"https://aws.amazon.com/source_identity": g.SourceIdentity,
		"https://aws.amazon.com/roles":           []any{g.Role.String()},
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"team": []any{"core"}}, "transitive_tag_keys": []any{"team"}},
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("the token: %s", diff)
	}
}

// checkAssertion reads the attributes as STS does.
func checkAssertion(t *testing.T, text string, g policy.Granted) {
	t.Helper()
	document, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Assertion struct {
			Subject struct {
				NameID       string
				Confirmation struct {
					Data struct {
						Recipient string `xml:",attr"`
					} `xml:"SubjectConfirmationData"`
				} `xml:"SubjectConfirmation"`
			}
			Attributes []struct {
				Name   string   `xml:",attr"`
				Values []string `xml:"AttributeValue"`
			} `xml:"AttributeStatement>Attribute"`
		}
	}
	if err := xml.Unmarshal(document, &response); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{"NameID": {response.Assertion.Subject.NameID}, "Recipient": {response.Assertion.Subject.Confirmation.Data.Recipient}}
	for _, a := range response.Assertion.Attributes {
		got[strings.TrimPrefix(a.Name, "https://aws.amazon.com/SAML/Attributes/")] = a.Values
	}
	want := map[string][]string{
		"NameID": {"corp=u-1"}, "Recipient": {"https://signin.aws.amazon.com/saml"},
		"Role":            {g.Role.String() + "," + g.SAMLProvider},
		"RoleSessionName": {g.SessionName}, "SourceIdentity": {g.SourceIdentity}, "PrincipalTag:team": {"core"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the assertion: %s", diff)
	}
}

func hexOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
