package vend

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const defaultInFlight = 128

// BoundConfig is what a Bound is made of.
type BoundConfig struct {
	// Max is how many orders may be at STS at once. Default 128.
	Max int
	// Timeout bounds one whole order, waiting for a place included. Default 10s.
	Timeout time.Duration
}

// Bound is a Vendor that lets so many orders at once through to another and makes
// the others wait for a place, so that a crowd is slowed here and not by STS's
// throttling, which hits other users of the account too.
type Bound struct {
	next    Vendor
	timeout time.Duration
	places  chan struct{}
	waiting atomic.Int64
}

// NewBound puts a bound before a vendor.
func NewBound(next Vendor, config BoundConfig) *Bound {
	if config.Max <= 0 {
		config.Max = defaultInFlight
	}
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	return &Bound{next: next, timeout: config.Timeout, places: make(chan struct{}, config.Max)}
}

// Queue is how many orders wait for a place, InFlight how many have one.
func (b *Bound) Queue() int { return int(b.waiting.Load()) }

// InFlight is how many orders are at STS.
func (b *Bound) InFlight() int { return len(b.places) }

// Vend implements Vendor.
func (b *Bound) Vend(ctx context.Context, spec Spec) (Result, error) {
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := b.enter(ctx, bounded); err != nil {
		return Result{}, err
	}
	defer func() { <-b.places }()
	result, err := b.next.Vend(bounded, spec)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil { // our bound ended, not the caller's
		err = unavailable(err)
	}
	return result, err
}

// enter waits for a place.
func (b *Bound) enter(caller, bounded context.Context) error {
	select {
	case b.places <- struct{}{}:
		return nil
	default:
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	select {
	case b.places <- struct{}{}:
		return nil
	case <-bounded.Done():
		if err := caller.Err(); err != nil {
			return err
		}
		return fmt.Errorf("%w: %d orders were at it and %d waited for %s", ErrUnavailable, len(b.places), b.Queue(), b.timeout)
	}
}
