package peers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/idp"
)

// verdict is what `rolecalld saml inspect` prints.
type verdict struct {
	Identity *idp.Identity `json:"identity"`
	Reason   string        `json:"reason"`
	Steps    []struct {
		Step string `json:"step"`
		OK   bool   `json:"ok"`
	} `json:"steps"`
}

// inspect gives the verdict and the exit code.
func (d daemon) inspect(t testing.TB, document []byte, args ...string) (verdict, int) {
	t.Helper()
	cmd := d.command(append([]string{"saml", "inspect", "--json", "--config", d.file, "--provider", "corp", "-"}, args...)...)
	cmd.Stdin = bytes.NewReader(document)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code is looked at
	var v verdict
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatalf("saml inspect: %v, exit %d\n%s%s", err, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	}
	return v, cmd.ProcessState.ExitCode()
}

var inResponseTo = regexp.MustCompile(` InResponseTo="([^"]+)"`)

func TestInspectJudgesARealResponseAsTheACSDoes(t *testing.T) {
	t.Parallel()
	peer := startSAML(t)
	resp, err := http.Get(peer.metadataURL())
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "idp.xml")
	if err := os.WriteFile(file, metadata, 0o600); err != nil {
		t.Fatal(err)
	}
	d := serve(t, strings.Replace(peer.provider("corp"), "metadata_url: "+peer.metadataURL(), "metadata_file: "+file, 1))
	peer.meet(t, d, "corp")
	b := browser(t)
	b.Hold = "SAMLResponse"
	if err := b.SignIn(d.url+"/", "corp", person("alice")); err != nil {
		t.Fatal(err)
	}
	encoded := b.Page.Forms()[0].Values.Get("SAMLResponse") // as developer tools show it
	document, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	request := inResponseTo.FindSubmatch(document)
	if request == nil {
		t.Fatalf("no InResponseTo in:\n%s", document)
	}

	for name, form := range map[string][]byte{"base64": []byte(encoded), "XML": document} {
		v, code := d.inspect(t, form, "--request-id", string(request[1]))
		if code != 0 || v.Identity == nil || v.Identity.Subject != "alice" || len(v.Identity.Groups) != 4 || len(v.Steps) < 5 {
			t.Errorf("%s: exit %d, %+v", name, code, v)
		}
	}
	if v, code := d.inspect(t, document); code != 1 || v.Reason == "" {
		t.Errorf("without the pending request: exit %d, %+v", code, v)
	}
	changed := bytes.ReplaceAll(document, []byte(">alice<"), []byte(">admin<"))
	if v, code := d.inspect(t, changed, "--request-id", string(request[1])); code != 1 || v.Reason != "digest" || v.Identity != nil {
		t.Errorf("changed: exit %d, %+v", code, v)
	}
	if err := b.Submit(b.Page.Forms()[0], nil); err != nil { // inspection has not used it up
		t.Fatal(err)
	}
	d.atHome(t, b)
}
