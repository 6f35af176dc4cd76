package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/devicecode"
)

func deviceTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a device that waits is found by both codes":              deviceIsFound,
		"a device is answered once, by one of many":               deviceIsAnsweredOnce,
		"the answer to a device is given once, to one of many":    deviceAnswerIsGivenOnce,
		"a device that polls too soon must wait longer each time": devicePollsSlowly,
		"a device that has expired is gone":                       deviceExpires,
	}
}

const pause = 5 * time.Second

func deviceRow(name string) devicecode.Row {
	return devicecode.Row{
		Code: devicecode.Hash(key(name + "-code")), User: devicecode.Hash(key(name + "-user")),
		Expires: now.Add(10 * time.Minute), Request: []byte(`{"client":"` + name + `"}`),
	}
}

func deviceIsFound(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	row := deviceRow("d")
	must(t, s.PutDevice(t.Context(), row))
	for name, find := range map[string]func() (devicecode.Row, error){
		"user code":   func() (devicecode.Row, error) { return s.DeviceByUser(t.Context(), row.User, now) },
		"device code": func() (devicecode.Row, error) { return s.DeviceByCode(t.Context(), row.Code, now) },
	} {
		got, err := find()
		if diff := cmp.Diff(row, got); diff != "" || err != nil {
			t.Errorf("by %s: %v\n%s", name, err, diff)
		}
	}
	_, err := s.DeviceByUser(t.Context(), row.Code, now)
	wantError(t, "the device code as user code", err, devicecode.ErrNotFound)
	_, err = s.DeviceByCode(t.Context(), row.User, now)
	wantError(t, "the user code as device code", err, devicecode.ErrNotFound)
	same := deviceRow("other")
	same.User = row.User
	if err := s.PutDevice(t.Context(), same); err == nil {
		t.Error("a second device has the user code of the first")
	}
}

func deviceIsAnsweredOnce(t *testing.T, fresh Fresh) {
	open := fresh(t)
	a, b := opened(t, open), opened(t, open)
	row := deviceRow("d")
	must(t, a.PutDevice(t.Context(), row))
	errs := atOnce(8, func(i int) error {
		node := []Store{a, b}[i%2]
		return node.AnswerDevice(t.Context(), row.User, now, devicecode.State(1+i%2), []byte("answer"))
	})
	if won := wonBy(t, errs, devicecode.ErrNotFound); won != 1 {
		t.Errorf("%d answers counted", won)
	}
	_, err := a.DeviceByUser(t.Context(), row.User, now)
	wantError(t, "the question after its answer", err, devicecode.ErrNotFound)
}

func deviceAnswerIsGivenOnce(t *testing.T, fresh Fresh) {
	open := fresh(t)
	a, b := opened(t, open), opened(t, open)
	row := deviceRow("d")
	must(t, a.PutDevice(t.Context(), row))
	must(t, a.AnswerDevice(t.Context(), row.User, now, devicecode.Approved, []byte("the answer")))
	errs := atOnce(8, func(i int) error {
		got, err := []Store{a, b}[i%2].PollDevice(t.Context(), row.Code, now, pause)
		if err == nil && (got.State != devicecode.Approved || string(got.Answer) != "the answer") {
			t.Errorf("got %+v", got)
		}
		return err
	})
	if won := wonBy(t, errs, devicecode.ErrNotFound); won != 1 {
		t.Errorf("%d got the answer", won)
	}
}

func devicePollsSlowly(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	row := deviceRow("d")
	must(t, s.PutDevice(t.Context(), row))
	at := now
	for i, step := range []struct {
		after time.Duration
		want  devicecode.State
	}{
		{0, devicecode.Waiting},
		{5 * time.Second, devicecode.Waiting},
		{time.Second, devicecode.TooSoon},      // 10 s from here on
		{5 * time.Second, devicecode.TooSoon},  // 15 s
		{10 * time.Second, devicecode.TooSoon}, // 20 s
		{20 * time.Second, devicecode.Waiting},
	} {
		at = at.Add(step.after)
		got, err := s.PollDevice(t.Context(), row.Code, at, pause)
		if err != nil || got.State != step.want || len(got.Answer) != 0 {
			t.Errorf("poll %d: %+v, %v; want %v", i, got, err, step.want)
		}
	}
	must(t, s.AnswerDevice(t.Context(), row.User, at, devicecode.Denied, nil))
	got, err := s.PollDevice(t.Context(), row.Code, at.Add(20*time.Second), pause)
	if err != nil || got.State != devicecode.Denied {
		t.Errorf("after the denial: %+v, %v", got, err)
	}
}

func deviceExpires(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	row := deviceRow("d")
	must(t, s.PutDevice(t.Context(), row))
	end := row.Expires
	_, err := s.DeviceByUser(t.Context(), row.User, end)
	wantError(t, "by user code", err, devicecode.ErrNotFound)
	_, err = s.DeviceByCode(t.Context(), row.Code, end)
	wantError(t, "by device code", err, devicecode.ErrNotFound)
	wantError(t, "an answer", s.AnswerDevice(t.Context(), row.User, end, devicecode.Approved, nil), devicecode.ErrNotFound)
	_, err = s.PollDevice(t.Context(), row.Code, end, pause)
	wantError(t, "a poll", err, devicecode.ErrNotFound)
	must(t, s.Sweep(t.Context(), end))
	must(t, s.PutDevice(t.Context(), row)) // the codes are free again
}
