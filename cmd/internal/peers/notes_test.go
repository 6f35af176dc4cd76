package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const notesFolder = "../../../docs/examples/notes"

// notesApp is the section of the configuration for the example, with the page's origin.
const notesApp = `
  - name: notes-guest
    guests: true
    role: production/Developer
    duration: 15m
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource: "arn:aws:s3:::notes-data/{{ identity.id }}/*"
        - Effect: Allow
          Action: s3:ListBucket
          Resource: arn:aws:s3:::notes-data
          Condition: {StringLike: {"s3:prefix": "{{ identity.id }}/*"}}
apps:
  - {name: notes, guests: true, grants: [notes-guest], origins: [%q]}
`

// built is the example in a folder of its own, bundled with the real SDK by esbuild.
func built(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(notesFolder)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"}, {"run", "build"}} {
		npm := exec.CommandContext(t.Context(), "npm", args...)
		npm.Dir = folder
		if out, err := npm.CombinedOutput(); err != nil {
			t.Fatalf("npm %s (make deps installs Node.js): %v\n%s", args[0], err, out)
		}
	}
	return folder
}

// serveNotes serves the example and a broker for it; it gives the page's address.
func serveNotes(t *testing.T) (page string, d daemon) {
	t.Helper()
	folder := built(t)
	var config []byte
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config.json" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(config)
			return
		}
		http.FileServer(http.Dir(folder)).ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	d = configure(t, "  - {name: corp, type: oidc, issuer: https://idp.example.com, client_id: rolecall}")
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.file, append(text, fmt.Appendf(nil, notesApp, site.URL)...), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run(t)
	if config, err = json.Marshal(map[string]string{"broker": d.url, "app": "notes", "region": "eu-west-1", "s3": d.aws + "/s3", "bucket": "notes-data"}); err != nil {
		t.Fatal(err)
	}
	return site.URL + "/", d
}

// phone is one browser with the example open, and the guest that it is.
type phone struct {
	ctx   context.Context
	guest string
}

func openNotes(t *testing.T, page string) phone {
	t.Helper()
	p := phone{ctx: chromium(t, page)}
	if err := chromedp.Do(p.ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	p.says(t, "No notes yet")
	p.guest, _ = chromedp.Run(p.ctx, chromedp.TextContent(chromedp.CSS("#who")))
	return p
}

// says waits until the page's status is a text.
func (p phone) says(t *testing.T, text string) {
	t.Helper()
	until(t, quick, 20*time.Second, "a page that says "+text, func() bool {
		got, err := chromedp.Run(p.ctx, chromedp.TextContent(chromedp.CSS("#status")))
		return err == nil && strings.Contains(got, text)
	})
}

// run is a script of the page: its value, or the name of the error.
func (p phone) run(t *testing.T, script string) string {
	t.Helper()
	wrapped := "(async () => { try { return String(await (" + script + ")) } catch (e) { return 'error ' + e.name } })()"
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](wrapped, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The example that docs/mobile-apps.md sends people to, with the AWS SDK for
// JavaScript in a real browser, against the real broker.
func TestInChromiumEachGuestOfTheExampleSeesItsOwnNotes(t *testing.T) {
	t.Parallel()
	page, d := serveNotes(t)
	one, other := openNotes(t, page), openNotes(t, page)
	if one.guest == "" || one.guest == other.guest {
		t.Fatalf("two browsers are the guests %q and %q", one.guest, other.guest)
	}
	if err := chromedp.Do(one.ctx, chromedp.SendKeys(chromedp.CSS("#text"), "buy milk\r")); err != nil {
		t.Fatal(err)
	}
	one.says(t, "1 of your notes")
	key := one.run(t, "notes.list('"+one.guest+"/').then(keys => keys[0])")
	if got := one.run(t, "notes.read('"+key+"')"); got != "buy milk" {
		t.Errorf("its own note reads %q", got)
	}
	for what, script := range map[string]string{
		"reads another's note":     "notes.read('" + key + "')",
		"lists another's prefix":   "notes.list('" + one.guest + "/')",
		"lists the whole bucket":   "notes.list()",
		"lists a prefix of theirs": "notes.list('" + one.guest[:len(one.guest)-1] + "')",
	} {
		if got := other.run(t, script); got != "error AccessDenied" {
			t.Errorf("who %s gets %q", what, got)
		}
	}
	if err := chromedp.Do(one.ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	one.says(t, "1 of your notes")
	if who, _ := chromedp.Run(one.ctx, chromedp.TextContent(chromedp.CSS("#who"))); who != one.guest {
		t.Errorf("after a reload the guest is %q, was %q", who, one.guest)
	}
	const steal = `new Promise((done, fail) => { const o = indexedDB.open('rolecall BROKER notes'); o.onerror = () => fail(o.error);
		o.onsuccess = () => { const r = o.result.transaction('state').objectStore('state').get('device');
			r.onsuccess = () => crypto.subtle.exportKey('jwk', r.result.key.privateKey).then(done, fail) } })`
	if got := one.run(t, strings.Replace(steal, "BROKER", d.url, 1)); got != "error InvalidAccessError" {
		t.Errorf("a script that exports the key gets %q", got)
	}
	if got := one.run(t, "notes.device.forget().then(() => notes.device.identity()).then(i => i.identityId)"); !strings.HasPrefix(got, one.guest[:3]) || got == one.guest {
		t.Errorf("a device that was forgotten becomes %q again", got)
	}
}

// Its glue runs in Node.js as it is, and of many orders at a time one registers.
func TestTheGlueOfTheExampleRunsInNode(t *testing.T) {
	t.Parallel()
	_, d := serveNotes(t)
	const script = `
import { RolecallDevice } from './rolecall.js';
const device = new RolecallDevice({ url: process.argv[2], app: 'notes' });
const provider = device.credentials();
const all = await Promise.all(Array.from({ length: 10 }, () => provider()));
const who = await device.identity();
const none = await new RolecallDevice({ url: process.argv[2], app: 'nothing' }).credentials()().catch(e => e.code);
console.log(JSON.stringify({ keys: new Set(all.map(c => c.accessKeyId)).size, minutes: Math.round((all[0].expiration - Date.now()) / 60000), guest: who.guest, none }));
`
	folder, err := filepath.Abs(notesFolder)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "--input-type=module", "-", d.url)
	node.Dir, node.Stdin = folder, strings.NewReader(script)
	out, err := node.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), `{"keys":1,"minutes":15,"guest":true,"none":"invalid_request"}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
