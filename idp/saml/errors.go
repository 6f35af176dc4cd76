package saml

import (
	"errors"

	"github.com/rolecall/rolecall/idp"
)

// asRejection gives the *idp.Rejection in an error; any other error is a fault of
// ours and refuses too.
func asRejection(err error) *idp.Rejection {
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return rejected
	}
	return &idp.Rejection{Reason: "internal", Detail: "the identity could not be made", Cause: err}
}
