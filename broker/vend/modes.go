package vend

import (
	"context"
	"fmt"
)

// Modes is a Vendor for each mode, by the names of the configuration.
type Modes map[string]Vendor

// Vend implements Vendor.
func (m Modes) Vend(ctx context.Context, spec Spec) (Result, error) {
	vendor, ok := m[spec.Mode]
	if !ok {
		return Result{}, fmt.Errorf("no way to order credentials by the mode %q", spec.Mode)
	}
	return vendor.Vend(ctx, spec)
}
