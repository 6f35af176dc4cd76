package audit

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Outcome says how something ended. An intent has none: an intent without a
// following outcome reads "issued, outcome unknown".
type Outcome string

// The outcomes.
const (
	Granted Outcome = "granted"
	Refused Outcome = "refused"
	Failed  Outcome = "failed"
)

// Event is one record. It has names, digests and key ids, and no field for a
// secret: what is not here cannot be written by accident. Time and chain are
// added by Append.
type Event struct {
	RequestID string  `json:"request_id"`
	Event     string  `json:"event"`
	Outcome   Outcome `json:"outcome,omitempty"`
	// Cached says that credentials came from the cache, Stale that they did because STS is down.
	Cached bool `json:"cached,omitempty"`
	Stale  bool `json:"stale,omitempty"`
	// Reason is a code; Detail a sentence for operators.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Count is how many requests the record stands for, where that is not one.
	Count int `json:"count,omitempty"`

	Address  string `json:"address,omitempty"`
	Via      string `json:"via,omitempty"`
	Client   string `json:"client,omitempty"`
	Provider string `json:"provider,omitempty"`
	Subject  string `json:"subject,omitempty"`
	// Device is that of an app.
	Device   string `json:"device,omitempty"`
	Username string `json:"username,omitempty"`
	// Session is the public id of a session or token family.
	Session string `json:"session,omitempty"`
	// TokenDigest is the SHA-256 of a token, or a part of it.
	TokenDigest string `json:"token_digest,omitempty"`

	Role           string            `json:"role,omitempty"`
	Grant          string            `json:"grant,omitempty"`
	Mode           string            `json:"mode,omitempty"` // how STS is asked
	SessionName    string            `json:"session_name,omitempty"`
	SourceIdentity string            `json:"source_identity,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Duration       int               `json:"duration,omitempty"` // seconds
	// AccessKeyID names the credentials that were handed out; it is no secret.
	AccessKeyID string `json:"access_key_id,omitempty"`
}

// Bounds on a record: what strangers send must not fill the disk by one request.
const (
	maxDetail = 2 << 10
	maxRecord = 1 << 20
)

// encode gives the record without its time and chain: ,"request_id":...
func (e Event) encode() ([]byte, error) {
	if len(e.Detail) > maxDetail {
		cut := maxDetail
		for cut > 0 && !utf8.RuneStart(e.Detail[cut]) {
			cut--
		}
		e.Detail = e.Detail[:cut] + "..."
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("audit: encode a record: %w", err)
	}
	if len(body) > maxRecord {
		return nil, fmt.Errorf("audit: a record of %d bytes; at most %d", len(body), maxRecord)
	}
	body[0] = ','
	return body[:len(body)-1], nil
}

// timeLayout has a fixed width, so that records sort as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// appendLine appends a whole line and returns its hash: the SHA-256 of the bytes
// of the line before `,"hash":`, which include the hash of the line before it.
func appendLine(b []byte, now time.Time, body []byte, prev digest) ([]byte, digest) {
	start := len(b)
	b = append(b, `{"time":"`...)
	b = now.UTC().AppendFormat(b, timeLayout)
	b = append(b, '"')
	b = append(b, body...)
	b = append(b, `,"prev":"`...)
	b = prev.append(b)
	b = append(b, '"')
	sum := sum(b[start:])
	b = append(b, `,"hash":"`...)
	b = sum.append(b)
	return append(b, "\"}\n"...), sum
}
