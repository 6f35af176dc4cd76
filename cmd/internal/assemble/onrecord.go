package assemble

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
)

// maxOnRecord is how much of the record is read, from its end.
const maxOnRecord = 512 << 20

// onRecord is what the record says was handed out and may still be alive.
type onRecord struct {
	// roles and sources are each once, in the record's order.
	roles   []iam.RoleARN
	sources []string
	// bare are roles that were given without a source identity.
	bare []iam.RoleARN
	// short says that the file begins before what was read.
	short bool
}

// handedOut is one order in the record.
type handedOut struct {
	role   iam.RoleARN
	source string
}

// readRecord finds the orders since a time that match, in one file of the record. An
// intent without outcome counts: its credentials may be out. A file that is not there
// holds nothing.
func readRecord(path string, since time.Time, match func(audit.Event) bool) (found onRecord, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	defer func() { _ = file.Close() }()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return found, err
	}
	if found.short = size > maxOnRecord; found.short {
		size = maxOnRecord
	}
	if _, err := file.Seek(-size, io.SeekEnd); err != nil {
		return found, err
	}
	open := map[string]handedOut{} // intents by their request
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 64<<10), 4<<20)
	for lines.Scan() {
		line := lines.Bytes()
		if !bytes.Contains(line, []byte(`"role":"arn:`)) { // most lines
			continue
		}
		var record struct {
			Time time.Time `json:"time"`
			audit.Event
		}
		if json.Unmarshal(line, &record) != nil || record.Event.Event != "credentials" && record.Event.Event != "console" || record.Time.Before(since) || !match(record.Event) {
			continue
		}
		role, err := iam.ParseRoleARN(record.Role)
		if err != nil {
			continue // of a federation token, say
		}
		switch record.Outcome {
		case "", audit.Granted:
			open[record.RequestID+record.Role] = handedOut{role, record.SourceIdentity}
			if record.Outcome == audit.Granted {
				found.add(open[record.RequestID+record.Role])
			}
		default:
			delete(open, record.RequestID+record.Role)
		}
	}
	for _, o := range open {
		found.add(o)
	}
	return found, lines.Err()
}

func (f *onRecord) add(o handedOut) {
	f.roles = once(f.roles, o.role)
	if o.source == "" {
		f.bare = once(f.bare, o.role)
		return
	}
	f.sources = once(f.sources, o.source)
}

func once[T comparable](list []T, item T) []T {
	for _, has := range list {
		if has == item {
			return list
		}
	}
	return append(list, item)
}

// addOnRecord completes the deny by what was really handed out: roles that are known
// only with the person, and source identities of a grant's own making.
func (r *Revoked) addOnRecord(options Options, order operate.Order, people []operate.Person, federated map[string]bool) error {
	path := auditFile(options.Config)
	found, err := readRecord(path, r.At.Add(-iam.MaxDuration), func(e audit.Event) bool {
		switch {
		case federated[e.Grant]:
			return false
		case order.Kind == revocation.Grant:
			return e.Grant == order.Target
		case order.Kind == revocation.Session && e.Session == order.Target:
			return true
		}
		for _, p := range people {
			if e.Provider == p.Provider && e.Subject == p.Subject {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("the record %s, which says what was handed out: %w", path, err)
	}
	if found.short {
		r.note("the record is larger than %d MB, of which the newest were read", maxOnRecord>>20)
	}
	for _, role := range found.roles {
		r.Deny.Roles = once(r.Deny.Roles, role)
	}
	if order.Kind != revocation.Grant { // whose deny is for everybody
		for _, role := range found.bare {
			r.note("%s was given without a source identity, by which nobody can be denied: revoke its grant to cut off everybody's", role)
		}
		for _, source := range found.sources {
			r.Deny.SourceIdentities = once(r.Deny.SourceIdentities, source)
		}
	}
	return nil
}
