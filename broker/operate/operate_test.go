package operate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/idp/device"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// world is a store and a record that remember what was done, in order.
type world struct {
	did      []string
	recorded []audit.Event
	noRecord bool
	noEnd    bool
}

func (w *world) Append(_ context.Context, e audit.Event) error {
	if w.noRecord {
		return audit.ErrFailed
	}
	w.recorded = append(w.recorded, e)
	w.did = append(w.did, "record "+string(e.Outcome))
	return nil
}

func (w *world) AddRevocation(_ context.Context, r revocation.Revocation) (int64, error) {
	w.did = append(w.did, "revoke "+string(r.Kind)+" "+r.Target)
	return 7, nil
}

func (w *world) SubjectsNamed(_ context.Context, name string) ([][2]string, error) {
	if name == "alice" {
		return [][2]string{{"corp", "u-1"}, {"google", "g=1"}}, nil
	}
	return nil, nil
}

func (w *world) EndSubject(_ context.Context, provider, subject string) error {
	w.did = append(w.did, "end "+provider+" "+subject)
	if w.noEnd {
		return errors.New("the disk is full")
	}
	return nil
}

func (w *world) EndSession(_ context.Context, id string) error {
	w.did = append(w.did, "end session "+id)
	return nil
}

func (w *world) DeviceByID(_ context.Context, id string) (device.Device, error) {
	if id != "dev-1" {
		return device.Device{}, device.ErrNotFound
	}
	return device.Device{ID: id}, nil
}

func (w *world) RevokeDevice(_ context.Context, id string) error {
	w.did = append(w.did, "end device "+id)
	return nil
}

func (w *world) EndFamily(_ context.Context, id string) error {
	w.did = append(w.did, "end tokens "+id)
	return nil
}

func (w *world) operator() *Operator {
	return New(Config{Store: w, Devices: w, Audit: w, Providers: []string{"corp", "google"}, Operator: "root", Now: func() time.Time { return now }})
}

func TestRevokeRecordsThenRevokesThenEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order Order
		want  []string
	}{
		"a user name of two people":           {Order{Kind: revocation.User, Target: "alice"}, []string{"revoke user alice", "end corp u-1", "end google g=1"}},
		"provider and subject":                {Order{Kind: revocation.User, Target: "google=g=1"}, []string{"revoke user google=g=1", "end google g=1"}},
		"a name with = that is no provider's": {Order{Kind: revocation.User, Target: "a=b"}, []string{"revoke user a=b"}},
		"a session":                           {Order{Kind: revocation.Session, Target: "s"}, []string{"revoke session s", "end session s", "end tokens s"}},
		"a grant":                             {Order{Kind: revocation.Grant, Target: "g", Until: now.Add(time.Hour)}, []string{"revoke grant g"}},
		"a device of an app":                  {Order{Kind: revocation.Device, Target: "dev-1"}, []string{"revoke device dev-1", "end device dev-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			done, err := w.operator().Revoke(t.Context(), c.order)
			if err != nil || done.Number != 7 || !done.At.Equal(now) {
				t.Fatalf("%+v, %v", done, err)
			}
			want := append(append([]string{"record "}, c.want...), "record granted")
			if diff := cmp.Diff(want, w.did); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(w.recorded[0].Detail, "by root") {
				t.Errorf("%+v", w.recorded[0])
			}
		})
	}
}

func TestWithoutARecordNothingIsRevoked(t *testing.T) {
	t.Parallel()
	w := &world{noRecord: true}
	if _, err := w.operator().Revoke(t.Context(), Order{Kind: revocation.User, Target: "alice"}); err == nil || len(w.did) > 0 {
		t.Errorf("%v, did %v", err, w.did)
	}
}

func TestWhatFailedHalfwayIsRecordedAsFailed(t *testing.T) {
	t.Parallel()
	w := &world{noEnd: true}
	_, err := w.operator().Revoke(t.Context(), Order{Kind: revocation.User, Target: "alice"})
	if err == nil || w.recorded[len(w.recorded)-1].Outcome != audit.Failed {
		t.Errorf("%v, %+v", err, w.recorded)
	}
}

func TestAnOrderThatMeansNothingIsNone(t *testing.T) {
	t.Parallel()
	for _, order := range []Order{
		{Kind: revocation.User},
		{Kind: revocation.User, Target: "alice", Until: now},
		{Kind: revocation.Session, Target: "s", Until: now.Add(time.Hour)},
		{Kind: revocation.User, Target: strings.Repeat("a", 2000)},
		{Kind: revocation.Device, Target: "dev-unknown"},
		{Kind: revocation.Device, Target: "dev-1", Until: now.Add(time.Hour)},
	} {
		w := &world{}
		if _, err := w.operator().Revoke(t.Context(), order); !errors.Is(err, ErrBadOrder) || len(w.did) > 0 {
			t.Errorf("%+v: %v, did %v", order, err, w.did)
		}
	}
}
