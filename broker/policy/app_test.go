package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

const (
	idGuest  = "id-abcdefghijklmnopqrstuvwxyz"
	ownFiles = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/*"}]}`
	ownReads = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::notes-data/{{identity.id}}/*"}]}`
	elses    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::other-data/*"}]}`
	hideAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/*"},{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/hidden/*"}]}`
)

func guestGrant(name, role string, changes ...func(*config.Grant)) config.Grant {
	return named(name, "", role, append([]func(*config.Grant){func(g *config.Grant) { g.Guests = true }}, changes...)...)
}

// notes is an app with guests.
func notes(policy string, grants ...string) config.App {
	return config.App{Name: text("notes"), Guests: true, GuestDuration: 15 * time.Minute, Policy: text(policy), Grants: texts(grants...)}
}

// guest is a device without a person.
func guest() idp.Identity {
	return idp.Identity{ID: idGuest, Provider: "device", Subject: "dev-1", Username: idGuest, Methods: []string{"pop"}}
}

func guestAsk(app string) Ask {
	return Ask{App: app, Device: "dev-1", Guest: true, Via: "tvm", Time: now}
}

func withApps(apps []config.App, grants ...config.Grant) Config {
	c := setup(grants...)
	c.Apps = apps
	return c
}

func given(d Decision) string {
	var names []string
	for _, g := range d.Granted {
		names = append(names, g.Grant)
	}
	return strings.Join(names, " ")
}

func TestAnOrderThroughAnAppUsesItsGrantsOnly(t *testing.T) {
	t.Parallel()
	people := named("people", "", "production/People", func(g *config.Grant) { g.Everyone = true })
	closed := notes("", "guests", "people")
	closed.Name, closed.Guests = text("closed"), false
	other := notes("", "other")
	other.Name = text("other")
	p := compiled(t, withApps([]config.App{notes("", "guests", "people"), closed, other},
		guestGrant("guests", "production/Guest"), people, guestGrant("other", "production/Other")))
	alice := idp.Identity{ID: "id-alice", Provider: "corp", Subject: "a", Username: "alice"}
	for name, c := range map[string]struct {
		who  idp.Identity
		ask  Ask
		want string
	}{
		"a guest of the app":                         {guest(), guestAsk("notes"), "guests"},
		"a guest of another app":                     {guest(), guestAsk("other"), "other"},
		"a guest of an app without guests":           {guest(), guestAsk("closed"), ""},
		"a guest of an unknown app":                  {guest(), guestAsk("nope"), ""},
		"a device that is no guest":                  {guest(), Ask{App: "notes", Device: "dev-1", Time: now}, ""},
		"somebody through the app":                   {alice, Ask{App: "notes", Device: "dev-1", Time: now}, "people"},
		"somebody through an app without that grant": {alice, Ask{App: "other", Device: "dev-1", Time: now}, ""},
		"somebody through no app":                    {alice, Ask{Time: now}, "people"},
	} {
		if got := given(p.Decide(c.who, c.ask)); got != c.want {
			t.Errorf("%s: given by %q, want %q", name, got, c.want)
		}
	}
	trace := p.Explain(alice, Ask{App: "other", Time: now}).Trace
	if got := fmt.Sprint(trace); !strings.Contains(got, "through app other") {
		t.Errorf("explain does not name the app: %s", got)
	}
}

// Refusals count, whether an app lists them or not.
func TestRefusalsCountThroughApps(t *testing.T) {
	t.Parallel()
	never := config.Grant{Name: text("never"), Deny: true, Role: text("production/*"), Guests: true}
	p := compiled(t, withApps([]config.App{notes("", "guests")}, guestGrant("guests", "production/Guest"), never))
	if got := p.Decide(guest(), guestAsk("notes")); len(got.Granted) != 0 || len(got.Denied) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestGuestsLiveShort(t *testing.T) {
	t.Parallel()
	long := notes("", "guests")
	long.Name, long.GuestDuration = text("long"), time.Hour
	p := compiled(t, withApps([]config.App{notes("", "guests"), long}, guestGrant("guests", "production/Guest", func(g *config.Grant) { g.MaxDuration = 2 * time.Hour })))
	for app, want := range map[string]time.Duration{"notes": 15 * time.Minute, "long": time.Hour} {
		got := p.Decide(guest(), guestAsk(app)).Granted
		if len(got) != 1 || got[0].Duration != want || got[0].MaxDuration != want {
			t.Errorf("%s: %+v, want %s", app, got, want)
		}
	}
}

func TestThePolicyOfAnAppNarrows(t *testing.T) {
	t.Parallel()
	filled := func(policy string) string {
		return strings.NewReplacer("{{ identity.id }}", idGuest, "{{identity.id}}", idGuest).Replace(policy)
	}
	for name, c := range map[string]struct{ grant, app, want string }{
		"a grant without one":               {"", ownReads, filled(ownReads)},
		"a grant with the same":             {ownFiles, ownFiles, filled(ownFiles)},
		"a wider grant":                     {ownFiles, ownReads, filled(ownReads)},
		"a narrower grant":                  {ownReads, ownFiles, filled(ownReads)},
		"a grant whose refusal is kept":     {hideAll, ownReads, filled(strings.Replace(hideAll, `"Action":"s3:*","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/*"`, `"Action":"s3:GetObject","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/*"`, 1))},
		"an app whose refusal is kept, too": {ownReads, hideAll, filled(strings.Replace(hideAll, `"Action":"s3:*","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/*"`, `"Action":"s3:GetObject","Resource":"arn:aws:s3:::notes-data/{{ identity.id }}/*"`, 1))},
	} {
		p := compiled(t, withApps([]config.App{notes(c.app, "guests")}, guestGrant("guests", "production/Guest", func(g *config.Grant) { g.Policy = text(c.grant) })))
		got := p.Decide(guest(), guestAsk("notes")).Granted
		if len(got) != 1 || plainLists(got[0].Policy) != plainLists(c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %s", name, got, c.want)
		}
	}
}

// plainLists makes lists of one of texts.
func plainLists(policy string) string {
	for _, member := range []string{"Action", "Resource"} {
		parts := strings.Split(policy, `"`+member+`":["`)
		for i := 1; i < len(parts); i++ {
			parts[i] = strings.Replace(parts[i], `"]`, `"`, 1)
		}
		policy = strings.Join(parts, `"`+member+`":"`)
	}
	return policy
}

func TestPoliciesThatCannotBeJoinedAreFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grant func(*config.Grant)
		app   string
		want  string
	}{
		"apart":               {func(g *config.Grant) { g.Policy = text(elses) }, ownFiles, "neither is provably within the other"},
		"managed policies":    {func(g *config.Grant) { g.PolicyARNs = texts("arn:aws:iam::aws:policy/ReadOnlyAccess") }, ownFiles, "by OR"},
		"no JSON":             {func(*config.Grant) {}, "{", "not JSON"},
		"an unknown template": {func(*config.Grant) {}, strings.Replace(ownFiles, "identity.id", "identity.nope", 1), "not known"},
	} {
		_, err := Compile(withApps([]config.App{notes(c.app, "guests")}, guestGrant("guests", "production/Guest", c.grant)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, err := Compile(withApps([]config.App{notes("", "nope")}, guestGrant("guests", "production/Guest")))
	if err == nil || !strings.Contains(err.Error(), `"nope"`) {
		t.Errorf("an unknown grant: %v", err)
	}
}

// An id that could widen a policy withholds the role: it is never cut or changed.
func TestNoIDWidensAPolicy(t *testing.T) {
	t.Parallel()
	p := compiled(t, withApps([]config.App{notes(ownFiles, "bare"), {Name: text("inner"), Guests: true, Grants: texts("own")}},
		guestGrant("bare", "production/Guest"), guestGrant("own", "production/Own", func(g *config.Grant) { g.Policy = text(ownFiles) })))
	for _, id := range []string{"*", "a*", "?", "${aws:username}", "$", "x/*"} {
		who := guest()
		who.ID = id
		for _, app := range []string{"notes", "inner"} {
			got := p.Decide(who, guestAsk(app))
			if len(got.Granted) != 0 || len(got.Denied) != 1 || !strings.Contains(got.Denied[0].Reason, "pattern") {
				t.Errorf("%q in %s: %+v", id, app, got)
			}
		}
	}
	for id, encoded := range map[string]string{`a"b`: `a\"b`, `a\`: `a\\`, "a\nb": `a\nb`, `"},{"Effect":"Allow`: `\"},{\"Effect\":\"Allow`} {
		who := guest()
		who.ID = id
		got := p.Decide(who, guestAsk("inner"))
		if len(got.Granted) != 1 || !strings.Contains(got.Granted[0].Policy, "notes-data/"+encoded+"/*") {
			t.Errorf("%q: %+v", id, got)
		}
	}
}

func TestTheDigestCoversApps(t *testing.T) {
	t.Parallel()
	grant := guestGrant("guests", "production/Guest")
	before, after := notes("", "guests"), notes("", "guests")
	after.GuestDuration = time.Hour
	if compiled(t, withApps([]config.App{before}, grant)).Digest() == compiled(t, withApps([]config.App{after}, grant)).Digest() {
		t.Error("two policies with one digest: what was cached by one would serve the other")
	}
}
