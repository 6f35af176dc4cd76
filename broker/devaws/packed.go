package devaws

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/stswire"
)

// packedSpace is the room for session policies and tags after packing. AWS does
// not publish its format; this is a compressed size that fits its few examples.
const packedSpace = 1600

var managedPolicy = regexp.MustCompile(`^arn:(aws|aws-us-gov|aws-cn):iam::([0-9]{12}|aws):policy/[\x21-\x7e]+$`)

// packedSize checks the session policies and gives the percentage of the room
// that they and the tags take; 0 is none of them.
func packedSize(op stswire.AssumeRole, tags []iam.Tag) (int, error) {
	if op.Policy != "" {
		if err := checkSessionPolicy(op.Policy); err != nil {
			return 0, stswire.Fail("MalformedPolicyDocument", "Syntax errors in policy.")
		}
	}
	for _, arn := range op.PolicyARNs {
		if !managedPolicy.MatchString(arn) {
			return 0, stswire.Fail("ValidationError", "The specified managed policy ARN is invalid")
		}
	}
	if op.Policy == "" && len(op.PolicyARNs) == 0 && len(tags) == 0 {
		return 0, nil
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return 0, err
	}
	if err := json.NewEncoder(w).Encode([]any{op.Policy, op.PolicyARNs, tags}); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	percent := (packed.Len()*100 + packedSpace - 1) / packedSpace
	switch {
	case percent <= 100:
		return percent, nil
	case len(tags) > 0:
		return 0, stswire.Fail("PackedPolicyTooLarge", fmt.Sprintf("Packed size of session tags consumes %d%% of allotted space.", percent))
	}
	return 0, stswire.Fail("PackedPolicyTooLarge", fmt.Sprintf("Packed policy consumes %d%% of allotted space, please use smaller policy.", percent))
}

// checkSessionPolicy checks the grammar of an identity policy.
func checkSessionPolicy(text string) error {
	statements, err := statementsOf(text)
	if err != nil {
		return err
	}
	for _, data := range statements {
		var s struct {
			Sid, Effect                              string
			Action, NotAction, Resource, NotResource values
			Condition                                map[string]map[string]values
		}
		if err := strictJSON(data, &s); err != nil {
			return err
		}
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return errors.New("effect")
		}
		if (len(s.Action) == 0) == (len(s.NotAction) == 0) || (len(s.Resource) == 0) == (len(s.NotResource) == 0) {
			return errors.New("want one of Action and NotAction, and one of Resource and NotResource")
		}
	}
	return nil
}
