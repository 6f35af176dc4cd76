package assemble

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

// create makes a passkey by the options of the broker, as a page of the app does.
const create = `(async () => {
	const bytes = (t) => Uint8Array.from(atob(t.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
	const o = %s.publicKey;
	o.challenge = bytes(o.challenge);
	o.user.id = bytes(o.user.id);
	const made = await navigator.credentials.create({publicKey: o});
	return JSON.stringify(made.toJSON());
})()`

// chromiumAt starts Debian's Chromium with an authenticator of its own, at an address.
func chromiumAt(t *testing.T, address string) (context.Context, webauthn.AuthenticatorID) {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil { // the browser lives as long as its first context
		t.Fatalf("start Chromium (make deps installs it): %v", err)
	}
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	made, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, made.AuthenticatorID
}

func TestInChromiumAPasskeyMadeForTheAppSignsInToThePortal(t *testing.T) {
	t.Parallel()
	base := ""
	x := newTown(t, func(c *config.Config) {
		base = strings.Replace(c.Server.URL.Value, "127.0.0.1", "localhost", 1)
		c.Server.URL.Value = base
		c.Providers[len(c.Providers)-1].Passkeys = config.Passkeys{}
	})
	p := scripted.NewPhone(base, "notes")
	if answer, err := p.Register(t.Context()); err != nil || answer.Status != http.StatusCreated {
		t.Fatalf("%s, %v", answer, err)
	}
	x.inhabit(t, p, "ann@example.com")
	ctx, authenticator := chromiumAt(t, base+"/directory/people/login?return_to=%2Fsessions")
	options := call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/passkey/begin", nil).Body
	credential, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(create, options), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	call(t, p, http.StatusOK, http.MethodPost, "/tvm/v1/users/me/passkey/finish", ask{"label": "browser", "credential": json.RawMessage(credential)})

	enter := func(what string, wait chromedp.Action[chromedp.Void]) {
		t.Helper()
		err := chromedp.Do(ctx,
			chromedp.Navigate(base+"/directory/people/login?return_to=%2Fsessions"),
			chromedp.Click(chromedp.CSS(`form[action="/directory/people/passkey"] button`)),
			chromedp.WaitVisible(chromedp.CSS("form[data-passkey] button")),
			chromedp.Click(chromedp.CSS("form[data-passkey] button")), wait)
		if err != nil {
			at, _ := chromedp.Run(ctx, chromedp.Location())
			said, _ := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("body")))
			t.Fatalf("%s: %v at %s:\n%.1500s", what, err, at, said)
		}
	}
	// A person who does not unlock it stays on the page, and is told what to do.
	if _, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: authenticator}); err != nil {
		t.Fatal(err)
	}
	enter("a passkey that is not unlocked", chromedp.WaitVisible(chromedp.CSS("[data-passkey-fault]")))
	if _, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: authenticator, IsUserVerified: true}); err != nil {
		t.Fatal(err)
	}
	enter("a passkey", chromedp.WaitReady(chromedp.CSS(`form[action^="/logout"]`)))
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil || at != base+"/sessions" {
		t.Errorf("it ends at %s, %v", at, err)
	}
	if record := x.record(t); !strings.Contains(record, `"event":"signin","outcome":"granted"`) {
		t.Error("no sign-in is recorded")
	}
}
