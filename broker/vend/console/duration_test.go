package console_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/vend/console"
)

// A duration that AWS does not like for these credentials must not keep the
// console shut: without one the session ends with the credentials.
func TestADurationThatIsRefusedIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		asked    time.Duration
		refuses  func(with bool) bool
		requests int
		ok       bool
	}{
		"taken":                   {time.Hour, func(bool) bool { return false }, 1, true},
		"refused with a duration": {time.Hour, func(with bool) bool { return with }, 2, true},
		"refused in any case":     {time.Hour, func(bool) bool { return true }, 2, false},
		"refused without one":     {0, func(bool) bool { return true }, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n++
				if c.refuses(r.FormValue("SessionDuration") != "") {
					http.Error(w, "no", http.StatusBadRequest)
					return
				}
				_, _ = w.Write([]byte(`{"SigninToken":"abc"}`))
			}))
			t.Cleanup(server.Close)
			_, err := federation(t, server.URL, nil).URL(t.Context(), keys(), console.Request{SessionDuration: c.asked})
			if (err == nil) != c.ok || err != nil && !errors.Is(err, console.ErrRefused) || n != c.requests {
				t.Errorf("%v after %d requests", err, n)
			}
		})
	}
}
