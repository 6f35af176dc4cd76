// Package gatekeeper is what operators do about addresses that are kept out: list
// them and let them in again, in the store alone, beside running daemons.
package gatekeeper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
)

// maxListed is more blocks than there can be.
const maxListed = 1 << 16

// Auditor keeps the record of operators, a chain of its own.
type Auditor interface {
	Append(ctx context.Context, event audit.Event) error
}

// Gatekeeper sees and ends blocks. All fields are required.
type Gatekeeper struct {
	Store limit.BlockStore
	Audit Auditor
	// Operator is who acts, for the record.
	Operator string
	Now      func() time.Time
}

// List gives the blocks that last, the longest first.
func (g Gatekeeper) List(ctx context.Context) ([]limit.Block, error) {
	return g.Store.Blocks(ctx, g.Now(), maxListed)
}

// Clear ends the block of an address (of its /64, for IPv6), or all of them for the
// zero address, and says how many there were. The record comes first.
func (g Gatekeeper) Clear(ctx context.Context, address netip.Addr) (int, error) {
	event := audit.Event{RequestID: "operator", Event: "limits.clear", Via: "operator", Detail: "by " + g.Operator + ", all"}
	var network netip.Prefix
	if address.IsValid() {
		network = limit.NetworkOf(address)
		event.Address, event.Detail = address.String(), "by "+g.Operator+", "+network.String()
	}
	if err := g.Audit.Append(ctx, event); err != nil {
		return 0, fmt.Errorf("the record of operators cannot be written, so nothing was cleared: %w", err)
	}
	n, err := g.Store.ClearBlock(ctx, network)
	event.Outcome, event.Count = audit.Granted, n
	if err != nil {
		event.Outcome, event.Reason = audit.Failed, err.Error()
	}
	return n, errors.Join(err, g.Audit.Append(ctx, event))
}
