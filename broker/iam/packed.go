package iam

import (
	"bytes"
	"compress/flate"
	"encoding/json"
)

// packedRoom is how many bytes STS has for session policies and tags after it has
// packed them. AWS does not publish how it packs; this fits its few examples.
const packedRoom = 1600

// Packed estimates how much of that room policies and tags take, each in percent;
// together more than 100 is likely to be refused (PackedPolicyTooLarge), more than
// twice that is certain to be.
func Packed(policy string, policyARNs []string, tags []Tag) (policies, labels int) {
	if policy != "" || len(policyARNs) > 0 {
		policies = percent(append([]string{policy}, policyARNs...))
	}
	if len(tags) > 0 {
		labels = percent(tags)
	}
	return policies, labels
}

// percent is the size of something packed.
func percent(what any) int {
	text, err := json.Marshal(what)
	if err != nil {
		return 0 // texts always encode
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return 0 // the level exists
	}
	_, _ = w.Write(text) // to memory
	_ = w.Close()
	return (packed.Len()*100 + packedRoom - 1) / packedRoom
}
