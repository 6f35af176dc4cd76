package broker

import (
	"context"
	"errors"

	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/idp"
)

// Guard stands before secrets that can be guessed, and before the work of judging
// them: it counts each try before the secret is looked at, whether there is such an
// account or not, and lets only so many be judged at once.
type Guard struct {
	Guesses *limit.Guesses
	Gate    *limit.Gate
}

// reasonBusy is of whoever was not let in because too many are.
const reasonBusy = "busy"

// Try lets check judge a secret, inside the gate where that costs much. Where the
// secret is right (nil, or a challenge for one thing more) the try does not count.
func (g Guard) Try(ctx context.Context, origin Origin, guess limit.Guess, costly bool, check func() error) error {
	guess.Address = origin.Address
	if err := Limited(g.Guesses.Try(guess)); err != nil {
		return err
	}
	if costly {
		leave, err := g.Enter(ctx, origin)
		if err != nil {
			g.Guesses.Right(guess) // nobody has looked at it
			return err
		}
		defer leave()
	}
	err := check()
	if _, more := errors.AsType[*idp.Challenge](err); err == nil || more {
		g.Guesses.Right(guess)
	}
	return err
}

// Enter waits for a place before costly work.
func (g Guard) Enter(ctx context.Context, origin Origin) (leave func(), err error) {
	leave, err = g.Gate.Enter(ctx, origin.Address)
	busy, ok := errors.AsType[*limit.Busy](err)
	switch {
	case !ok:
		return leave, err
	case busy.Own:
		e := Fail(RateLimited, reasonBusy, "Too many requests of this network wait already. Try again in a moment.")
		e.RetryAfter = busy.RetryAfter
		return nil, e.Because(err)
	}
	e := Fail(Unavailable, reasonBusy, "Too many sign-ins at this moment. Try again in a few seconds.")
	e.RetryAfter = busy.RetryAfter
	return nil, e.Because(err)
}
