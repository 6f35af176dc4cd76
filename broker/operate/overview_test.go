package operate_test

import (
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
)

func TestTheOverviewCountsWhatIsLiveAndWhatWasRecorded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	d.signIn(t, "alice")
	d.signIn(t, "alice")
	d.signIn(t, "bob")
	for _, e := range []audit.Event{
		{Event: "credentials", Outcome: audit.Granted}, {Event: "credentials"}, {Event: "console", Outcome: audit.Granted}, {Event: "signin", Outcome: audit.Granted},
		{Event: "signin", Outcome: audit.Refused, Provider: "partner", Reason: "sha1"}, {Event: "signin", Outcome: audit.Refused, Provider: "partner", Reason: "sha1"},
		{Event: "signin", Outcome: audit.Refused, Reason: "rate_limited", Count: 40}, {Event: "credentials", Outcome: audit.Refused, Reason: "role_not_granted", Username: "alice"},
	} {
		check(t, d.log.Append(t.Context(), e))
	}
	o, err := d.Overview(t.Context(), admin)
	check(t, err)
	if o.Live != 3 || o.People != 2 || o.Issued != 2 || o.Refused != 43 || !o.Whole || o.More || o.Read != 8 {
		t.Errorf("got %+v", o)
	}
	if len(o.Reasons) != 3 || o.Reasons[0].Count != 40 || o.Reasons[1].Provider != "partner" || len(o.Last) != 4 || o.Last[0].Username != "alice" {
		t.Errorf("got %+v and %+v", o.Reasons, o.Last)
	}
	if _, err := d.Overview(t.Context(), broker.Caller{}); broker.CodeOf(err) != broker.AccessDenied {
		t.Errorf("somebody else: %v", err)
	}
}
