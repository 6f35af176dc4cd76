package broker_test

import (
	"context"
	"testing"

	"github.com/rolecall/rolecall/broker"
)

// A store that cannot answer is an outage, not a fault of whoever asks, and
// nothing is handed out meanwhile.
func TestWithoutItsStoreTheBrokerIsUnavailable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")
	alice := b.caller(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // which is what the store says when it is shut or the disk hangs

	_, err := b.Begin(ended, broker.BeginRequest{Origin: origin, Provider: "corp", Type: "saml"})
	refused(t, err, broker.Unavailable, "store")
	_, err = b.finish(ended, handle, browser)
	refused(t, err, broker.Unavailable, "store")
	vended, err := b.Vend(ended, origin, alice, broker.Order{Role: "production/Admin"})
	refused(t, err, broker.Unavailable, "store")
	if vended.Credentials.AccessKeyID != "" {
		t.Error("credentials without a store")
	}
	_, err = b.Explain(ended, origin, alice, "production/Admin")
	refused(t, err, broker.Unavailable, "store")
}
