package limit

import (
	"time"

	"github.com/rolecall/rolecall/config"
)

// Decision is the answer to one request.
type Decision struct {
	Allowed bool
	// Remaining is how many more would be allowed at this instant.
	Remaining int
	// RetryAfter is, where it was refused, when one will be allowed again.
	RetryAfter time.Duration
	// Blocked says that the address is kept out altogether.
	Blocked bool
}

// GCRA is the generic cell rate algorithm: rate.Events at once, then one each
// rate.Period/rate.Events. Its whole state is one instant, the theoretical arrival
// time; the zero instant is nobody seen yet. A refused request costs nothing, so
// whoever keeps hammering does not push the end of the wait away. The rate must have
// events and a period of at least a nanosecond each; New sees to that.
func GCRA(arrival, now time.Time, rate config.Rate) (time.Time, Decision) {
	interval := rate.Period / time.Duration(rate.Events)
	burst := interval * time.Duration(rate.Events)
	if arrival.Before(now) || arrival.After(now.Add(burst)) { // later than can be: the clock was set back
		arrival = now
	}
	next := arrival.Add(interval)
	room := burst - next.Sub(now)
	if room < 0 {
		return arrival, Decision{RetryAfter: -room}
	}
	return next, Decision{Allowed: true, Remaining: int(room / interval)}
}

// Refund is the state after one that was allowed has been given back.
func Refund(arrival time.Time, rate config.Rate) time.Time {
	return arrival.Add(-rate.Period / time.Duration(rate.Events))
}
