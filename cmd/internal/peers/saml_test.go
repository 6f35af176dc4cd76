package peers

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

var accessKey = regexp.MustCompile(`ASIA[A-Z0-9]{12,}`)

func TestAlicesAttributesArriveAndOpenHerRoles(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	alice := d.signIn(t, "corp", "alice")

	status, who := d.identity(t, alice)
	if status != http.StatusOK || who.Subject != "alice" || who.Username != "alice" || who.Provider != "corp" {
		t.Errorf("%d: %+v", status, who)
	}
	groups := []string{"aws-admins", "developers", `Team, "Quoted" & Co`, "Führung"}
	if diff := cmp.Diff(groups, who.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`Alice Ångström & <Co> "A" 'B'`}, who.Attributes["displayName"]); diff != "" {
		t.Errorf("displayName (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pwd"}, who.Methods); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
	if age := time.Since(who.AuthenticatedAt); age < -time.Minute || age > time.Minute {
		t.Errorf("authenticated at %s", who.AuthenticatedAt)
	}
	for _, role := range []string{"Admin", "Developer", "Quoted", "Accented"} {
		if _, ok := alice.Page.Link("/console?role=production/" + role); !ok {
			t.Errorf("the portal does not offer %s", role)
		}
	}

	d.press(t, alice, "/keys?role=production/Quoted", "/keys")
	if alice.Page.Status != http.StatusOK || !accessKey.MatchString(alice.Page.Text) {
		t.Errorf("no keys: %d\n%.2000s", alice.Page.Status, alice.Page.Text)
	}
	d.press(t, alice, "/console?role=production/Accented", "/console")
	if !strings.HasPrefix(alice.Page.URL.String(), d.aws+"/console") || !strings.Contains(alice.Page.Text, "Accented") {
		t.Errorf("the console did not open: %s (%d)\n%.2000s", alice.Page.URL, alice.Page.Status, alice.Page.Text)
	}
}

func TestCarolHasNoGroupAndNoRole(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	carol := d.signIn(t, "corp", "carol")
	if !strings.Contains(strings.ToLower(carol.Page.Text), "no role") {
		t.Errorf("carol reads:\n%.2000s", carol.Page.Text)
	}
}

// dave is somebody whose groups did not come, as Entra ID says it.
func TestDavesGroupsDidNotComeSoHeIsRefused(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp", ""))
	idp.meet(t, d, "corp")
	b := browser(t)
	if err := b.SignIn(d.url+"/", "corp", person("dave")); err != nil {
		t.Fatal(err)
	}
	d.refused(t, b, http.StatusForbidden, "groups-overage")
}

func TestAWrongPasswordNeverReachesUs(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	b := browser(t)
	err := b.SignIn(d.url+"/", "corp", scripted.Person{Name: "alice", Password: "wrong"})
	if err == nil || !strings.HasPrefix(b.Page.URL.String(), idp.url) {
		t.Errorf("%v; the browser is at %s, want the provider's form again", err, b.Page.URL)
	}
	if status, _ := d.identity(t, b); status != http.StatusUnauthorized {
		t.Errorf("the browser's cookie is answered with %d, want 401", status)
	}
	if record := d.record(t); strings.Contains(record, "granted") {
		t.Errorf("the record:\n%s", record)
	}
}

// The provider enforces what our metadata announces: AuthnRequestsSigned.
func TestSignedRequestsAreEnforcedByTheProvider(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	idp.set(t, map[string]any{"validate.authnrequest": true})
	d := serve(t, idp.provider("corp", "sign_requests: true"))
	idp.meet(t, d, "corp")
	d.signIn(t, "corp", "alice")

	signed := redirectOf(t, d, "corp")
	for name, change := range map[string]func(url.Values){
		"without its signature":        func(q url.Values) { q.Del("Signature"); q.Del("SigAlg") },
		"with another RelayState":      func(q url.Values) { q.Set("RelayState", "other") },
		"with the signature cut short": func(q url.Values) { q.Set("Signature", q.Get("Signature")[:40]) },
	} {
		q := signed.Query()
		change(q)
		// in the order that was signed, so that only the change matters
		raw := "SAMLRequest=" + url.QueryEscape(q.Get("SAMLRequest")) + "&RelayState=" + url.QueryEscape(q.Get("RelayState"))
		if q.Has("Signature") {
			raw += "&SigAlg=" + url.QueryEscape(q.Get("SigAlg")) + "&Signature=" + url.QueryEscape(q.Get("Signature"))
		}
		b := browser(t)
		if err := b.Get(signed.Scheme + "://" + signed.Host + signed.Path + "?" + raw); err != nil {
			t.Fatal(err)
		}
		idp.stops(t, b, "a request "+name)
	}
	b := browser(t)
	if err := b.Get(signed.String()); err != nil || !strings.Contains(b.Page.Text, `type="password"`) {
		t.Errorf("the request as it was: %v %d, want the form for the password", err, b.Page.Status)
	}
}

// redirectOf is where a sign-in that begins sends the browser.
func redirectOf(t testing.TB, d daemon, provider string) *url.URL {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(d.url + "/saml/" + provider + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("%d: %v", resp.StatusCode, err)
	}
	return to
}

func TestAProviderThatTakesOnlyPostsGetsASignedForm(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	idp.set(t, map[string]any{
		"validate.authnrequest":      true,
		"SingleSignOnServiceBinding": []string{"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"},
	})
	d := serve(t, idp.provider("corp", "sign_requests: true"))
	idp.meet(t, d, "corp")
	d.signIn(t, "corp", "alice")

	b := browser(t)
	b.Hold = "SAMLRequest"
	if err := b.SignIn(d.url+"/", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	f := b.Page.Forms()[0]
	request, err := base64.StdEncoding.DecodeString(f.Values.Get("SAMLRequest"))
	if err != nil || !bytes.Contains(request, []byte("<ds:SignatureValue>")) {
		t.Fatalf("%v: the request is not signed:\n%s", err, request)
	}
	changed := bytes.Replace(request, []byte(`Version="2.0"`), []byte(`ForceAuthn="true" Version="2.0"`), 1)
	if err := b.Submit(f, map[string]string{"SAMLRequest": base64.StdEncoding.EncodeToString(changed)}); err != nil {
		t.Fatal(err)
	}
	idp.stops(t, b, "a changed request")
}

func TestOurMetadataIsTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := configure(t, idp.provider("corp", "sign_requests: true"))
	var first []byte
	t.Run("once", func(t *testing.T) {
		d.run(t)
		first = ourMetadata(t, d, "corp")
	})
	t.Run("again", func(t *testing.T) {
		d.run(t)
		if again := ourMetadata(t, d, "corp"); !bytes.Equal(first, again) || !bytes.Contains(first, []byte("X509Certificate")) {
			t.Errorf("before:\n%s\nafter:\n%s", first, again)
		}
	})
}

func TestFreshAsksForThePasswordAgain(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	b := d.signIn(t, "corp", "alice")
	_, before := d.identity(t, b)

	b.Hold = "password"
	if err := b.SignIn(d.url+"/saml/corp/login", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	d.atHome(t, b) // the provider knew her still
	if err := b.SignIn(d.url+"/saml/corp/login?fresh=1", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.Page.URL.String(), idp.url) {
		t.Fatalf("the provider did not ask again: the browser is at %s", b.Page.URL)
	}
	b.Hold = ""
	until(t, quick, 5*time.Second, "the next second", func() bool { return time.Now().Unix() > before.AuthenticatedAt.Unix() })
	if err := b.Submit(passwordForm(t, b), map[string]string{"username": "alice", "password": "alice-pw"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(b.Page.Forms()[0], nil); err != nil {
		t.Fatal(err)
	}
	d.atHome(t, b)
	if _, after := d.identity(t, b); !after.AuthenticatedAt.After(before.AuthenticatedAt) {
		t.Errorf("authenticated at %s before and %s after", before.AuthenticatedAt, after.AuthenticatedAt)
	}
}

func passwordForm(t testing.TB, b *scripted.Browser) scripted.Form {
	t.Helper()
	for _, f := range b.Page.Forms() {
		if f.Password {
			return f
		}
	}
	t.Fatalf("no form asks for a password at %s", b.Page.URL)
	return scripted.Form{}
}

// SimpleSAMLphp 1.19 encrypts with AES-128-CBC and nothing else.
func TestEncryptionWithCBCIsRefusedUnlessAllowedAndSigned(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	idp.set(t, map[string]any{"assertion.encryption": true})
	key, _ := newKey(t, "rolecall")
	file := filepath.Join(t.TempDir(), "encryption.pem")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	ours := "encryption: {key: '${file:" + file + "}'}"
	d := serve(t, idp.provider("strict", ours)+idp.provider("lenient", ours, "allow: [cbc]"))
	idp.meet(t, d, "strict", "lenient")

	b := browser(t)
	if err := b.SignIn(d.url+"/", "strict", person("alice")); err != nil {
		t.Fatal(err)
	}
	if detail := d.refused(t, b, http.StatusForbidden, "cbc"); !strings.Contains(detail, "AES-GCM") {
		t.Errorf("the record does not say what to switch: %s", detail)
	}
	lenient := d.signIn(t, "lenient", "alice")
	if _, who := d.identity(t, lenient); who.Subject != "alice" || len(who.Groups) != 4 {
		t.Errorf("decrypted: %+v", who)
	}

	idp.set(t, map[string]any{"assertion.encryption": true, "saml20.sign.response": false})
	b = browser(t)
	if err := b.SignIn(d.url+"/", "lenient", person("alice")); err != nil {
		t.Fatal(err)
	}
	d.refused(t, b, http.StatusForbidden, "cbc-in-unsigned-response")
}

func TestEitherSignatureIsEnoughAndNoneIsNot(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	document := ourMetadata(t, d, "corp")
	replace(t, filepath.Join(idp.state, "sp.d", "corp.xml"), bytes.Replace(document, []byte(`WantAssertionsSigned="true"`), nil, 1))
	for _, signs := range []struct{ response, assertion bool }{{true, false}, {false, true}, {false, false}} {
		idp.set(t, map[string]any{"saml20.sign.response": signs.response, "saml20.sign.assertion": signs.assertion})
		if signs.response || signs.assertion {
			d.signIn(t, "corp", "bob")
			continue
		}
		b := browser(t)
		if err := b.SignIn(d.url+"/", "corp", person("bob")); err != nil {
			t.Fatal(err)
		}
		d.refused(t, b, http.StatusForbidden, "unsigned")
	}
}

func TestAResponseNobodyAskedForIsRefused(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	b := browser(t)
	start := idp.url + "/saml2/idp/SSOService.php?" + url.Values{"spentityid": {d.url + "/saml/corp/metadata"}, "RelayState": {"/console?role=production/Admin"}}.Encode()
	if err := b.SignIn(start, "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	d.refused(t, b, http.StatusBadRequest, "no_pending_signin")
}

func TestAResponseCountsOnce(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	b := browser(t)
	b.Hold = "SAMLResponse"
	if err := b.SignIn(d.url+"/", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	held, at := b.Page.Forms()[0], b.Page
	stolen := browser(t)
	stolen.Page = at
	if err := stolen.Submit(held, nil); err != nil {
		t.Fatal(err)
	}
	d.refused(t, stolen, http.StatusBadRequest, "no_pending_signin") // another browser

	if err := b.Submit(held, nil); err != nil {
		t.Fatal(err)
	}
	d.atHome(t, b)
	b.Page = at
	if err := b.Submit(held, nil); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusBadRequest || !strings.Contains(b.Page.Text, "<code>no_pending_signin</code>") {
		t.Errorf("the same answer once more: %d\n%.2000s", b.Page.Status, b.Page.Text)
	}

	// with the handle of a sign-in that waits, in the very browser
	other := browser(t)
	other.Hold = "SAMLResponse"
	if err := other.SignIn(d.url+"/", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	waiting := other.Page.Forms()[0]
	if err := other.Submit(waiting, map[string]string{"SAMLResponse": held.Values.Get("SAMLResponse")}); err != nil {
		t.Fatal(err)
	}
	d.refused(t, other, http.StatusForbidden, "in-response-to")
}

func TestAChangedResponseIsRefused(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	b := browser(t)
	b.Hold = "SAMLResponse"
	if err := b.SignIn(d.url+"/", "corp", person("bob")); err != nil {
		t.Fatal(err)
	}
	f := b.Page.Forms()[0]
	document, err := base64.StdEncoding.DecodeString(f.Values.Get("SAMLResponse"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.ReplaceAll(document, []byte(">developers<"), []byte(">aws-admins<"))
	if bytes.Equal(document, changed) {
		t.Fatalf("there was nothing to change in:\n%s", document)
	}
	if err := b.Submit(f, map[string]string{"SAMLResponse": base64.StdEncoding.EncodeToString(changed)}); err != nil {
		t.Fatal(err)
	}
	d.refused(t, b, http.StatusForbidden, "digest")
}

// New key published beside the old one, then the two change places, then the old
// one goes: as an administrator does it.
func TestKeyRolloverNeedsNoRestart(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	certs := filepath.Join(idp.state, "cert")
	key, cert := newKey(t, "test-idp-2")
	replace(t, filepath.Join(certs, "new.key"), key)
	replace(t, filepath.Join(certs, "new.crt"), cert)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	d.signIn(t, "corp", "alice")

	oldKey, err := os.ReadFile(filepath.Join(certs, "idp.key"))
	if err != nil {
		t.Fatal(err)
	}
	oldCert, err := os.ReadFile(filepath.Join(certs, "idp.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"idp.key": key, "idp.crt": cert, "new.key": oldKey, "new.crt": oldCert} {
		replace(t, filepath.Join(certs, name), text)
	}
	d.signIn(t, "corp", "alice")
	if err := os.Remove(filepath.Join(certs, "new.crt")); err != nil {
		t.Fatal(err)
	}
	d.signIn(t, "corp", "alice")

	stranger, strangersCert := newKey(t, "test-idp-3") // published nowhere that we have read
	replace(t, filepath.Join(certs, "idp.key"), stranger)
	replace(t, filepath.Join(certs, "idp.crt"), strangersCert)
	b := browser(t)
	if err := b.SignIn(d.url+"/", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusForbidden {
		t.Errorf("signed by a key that we do not know yet: %d", b.Page.Status)
	}
}

func TestAProviderThatComesLaterIsFoundWithoutARestart(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	absent := samlIDP{peer{url: "http://127.0.0.1:" + portText(port), port: port}}
	d := serve(t, absent.provider("corp"))
	b := browser(t)
	if err := b.Get(d.url + "/saml/corp/login"); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusServiceUnavailable || b.Page.Header.Get("Retry-After") == "" {
		t.Errorf("without the provider: %d, want 503 with Retry-After", b.Page.Status)
	}
	idp := samlIDP{startPeerAt(t, port, simpleSAMLphp, "/saml2/idp/metadata.php")}
	idp.meet(t, d, "corp")
	until(t, 500*time.Millisecond, 30*time.Second, "a sign-in", func() bool {
		b := browser(t)
		return b.Get(d.url+"/saml/corp/login") == nil && b.Page.Status == http.StatusOK
	})
	d.signIn(t, "corp", "alice")
}

func TestCheckSaysWhatIsToBeKnownOfSuchAConfiguration(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t, "rolecall")
	file := filepath.Join(t.TempDir(), "encryption.pem")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := samlIDP{peer{url: "http://127.0.0.1:9"}}
	d := configure(t, nowhere.provider("corp", "sign_requests: true", "allow: [cbc]", "encryption: {key: '${file:"+file+"}'}"))
	var stderr bytes.Buffer
	cmd := d.command("check", "--config", d.file)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "valid: 1 providers") {
		t.Errorf("check: %v\n%s%s", err, out, stderr.String())
	}
	warnings := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "allow cbc") }) {
		t.Errorf("check does not warn of allow: [cbc]:\n%s", stderr.String())
	}
	if files, err := filepath.Glob(filepath.Join(d.data, "rolecall*")); err != nil || len(files) != 1 {
		t.Errorf("check left files: %v", files)
	}
}
