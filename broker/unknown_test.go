package broker_test

import (
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
)

// The way out is refused and recorded like the way back; what the address held
// instead of a provider's name does not fill the record.
func TestAProviderThatIsNotHereIsRecordedOnBothWays(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 60_000)
	for name, c := range map[string]struct{ provider, kind string }{
		"a name nobody has":          {"nobody", "saml"},
		"a provider of another type": {"corp", "oidc"},
		"an endless name":            {long, "saml"},
		"another case":               {"CORP", "saml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, err := b.Begin(t.Context(), broker.BeginRequest{Origin: origin, Provider: c.provider, Type: c.kind, ReturnTo: "/"})
			refused(t, err, broker.InvalidRequest, "unknown_provider")
			_, err = b.SignIn(t.Context(), broker.SignInRequest{Origin: origin, Provider: c.provider, Type: c.kind})
			refused(t, err, broker.InvalidRequest, "unknown_provider")
			records := b.recorded(t, "signin")
			if len(records) != 2 {
				t.Fatalf("%d records of two refusals", len(records))
			}
			for _, r := range records {
				said, _ := r["provider"].(string)
				if r["outcome"] != "refused" || r["reason"] != "unknown_provider" || len(said) > 256 || !strings.HasPrefix(c.provider, said) || said == "" {
					t.Errorf("recorded %.300v", r)
				}
			}
		})
	}
}
