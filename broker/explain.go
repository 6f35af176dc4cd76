package broker

import (
	"context"

	"github.com/rolecall/rolecall/broker/policy"
)

// Explain is the decision about a caller with its trace: the very call that
// Roles and Vend make, for who wants to know why.
func (b *Broker) Explain(ctx context.Context, origin Origin, caller Caller, role string) (policy.Decision, error) {
	ask := b.ask(origin, caller)
	if role != "" {
		arn, err := b.cfg.Policy.ResolveRole(role)
		if err != nil {
			return policy.Decision{}, Fail(InvalidRequest, "malformed_role", "The role must be an ARN or ACCOUNT/ROLE.").Because(err)
		}
		ask.Role = arn
	}
	taken, err := b.nameTaken(ctx, caller.Identity)
	if err != nil {
		return policy.Decision{}, err
	}
	ask.NameTaken = taken
	return b.cfg.Policy.Explain(caller.Identity, ask), nil
}
