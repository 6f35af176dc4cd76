package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// Order gives credentials that are good for a while: from the cache on disk or
// from the broker.
type Order func(ctx context.Context, role string) (iam.ProcessDocument, error)

// Keeper holds the credentials of some roles in memory and renews them before
// SDKs would ask for that, so that an answer never waits for the network.
type Keeper struct {
	Order Order
	Roles []string
	Now   func() time.Time
	// Failed is told of each renewal that failed while old credentials still work.
	Failed func(role string, err error)

	mu   sync.Mutex
	held map[string]held
}

type held struct {
	document iam.ProcessDocument
	err      error // of the last renewal
}

const (
	// SDKs refresh from 15 minutes before the end, which is also when the cache on
	// disk hands out no more of the old.
	renewAhead = 15*time.Minute - time.Second
	retryAfter = 20 * time.Second
)

// ErrUnknownRole says that this listener does not serve the role.
var ErrUnknownRole = errors.New("this listener does not serve the role")

// Fill orders the first credentials of each role. An error is of the first that failed.
func (k *Keeper) Fill(ctx context.Context) error {
	k.held = map[string]held{}
	for _, role := range k.Roles {
		document, err := k.Order(ctx, role)
		if err != nil {
			return err
		}
		k.held[role] = held{document: document}
	}
	return nil
}

// Credentials implements Source.
func (k *Keeper) Credentials(_ context.Context, role string) (iam.ProcessDocument, error) {
	if !slices.Contains(k.Roles, role) {
		return iam.ProcessDocument{}, ErrUnknownRole
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[role]
	if k.Now().Before(h.document.Expiration) {
		return h.document, nil
	}
	if h.err != nil {
		return iam.ProcessDocument{}, h.err
	}
	return iam.ProcessDocument{}, fmt.Errorf("the credentials of %s have expired", role)
}

// Run renews until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, role := range k.Roles {
		group.Go(func() { k.renew(ctx, role) })
	}
	group.Wait()
}

func (k *Keeper) renew(ctx context.Context, role string) {
	wait := k.until(role)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		document, err := k.Order(ctx, role)
		if ctx.Err() != nil {
			return
		}
		k.mu.Lock()
		if err == nil {
			k.held[role] = held{document: document}
		} else {
			k.held[role] = held{document: k.held[role].document, err: err}
		}
		k.mu.Unlock()
		wait = max(k.until(role), retryAfter)
		if err != nil {
			wait = retryAfter
			k.Failed(role, err)
		}
	}
}

// until is how long the credentials are left alone: until shortly before SDKs
// want new ones, or for half of what is left of a short life.
func (k *Keeper) until(role string) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	left := k.held[role].document.Expiration.Sub(k.Now())
	return max(left-min(renewAhead, left/2), 0)
}
