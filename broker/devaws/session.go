package devaws

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"sync"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

// maxSessions bounds the temporary credentials that are remembered. The ones
// that expire first are forgotten first, and are then unknown, not expired.
const maxSessions = 4096

// session is what temporary credentials stand for: a session of a role, or a
// federated user of GetFederationToken.
type session struct {
	iam.Credentials
	role           *role // nil for a federated user
	user           *user // whose federated user it is
	name           string
	sourceIdentity string
	tags           []iam.Tag
	transitive     []string     // lower-case keys
	chained        bool         // made with another role's session
	policy         *permissions // the session policy; nil where there is none
	issued         time.Time
}

// sessions holds role sessions by access key.
type sessions struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, byKey: map[string]*session{}}
}

func (s *sessions) get(key string) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byKey[key]
	return found, ok
}

func (s *sessions) put(made *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byKey) >= maxSessions {
		var first *session
		for _, old := range s.byKey {
			if first == nil || old.Expires.Before(first.Expires) {
				first = old
			}
		}
		delete(s.byKey, first.AccessKeyID)
	}
	s.byKey[made.AccessKeyID] = made
}

// newCredentials are random; they mean something only to this process.
func newCredentials(arn, account string, expires time.Time) iam.Credentials {
	return iam.Credentials{
		AccessKeyID:     "ASIA" + base32.StdEncoding.EncodeToString(random(10)),
		SecretAccessKey: secret.New(base64.StdEncoding.EncodeToString(random(30))),
		SessionToken:    secret.New(base64.StdEncoding.EncodeToString(random(240))),
		Expires:         expires,
		AssumedRoleARN:  arn,
		AccountID:       account,
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return b
}

// uniqueID is the id of a role (AROA...) or user (AIDA...), the same at every start.
func uniqueID(prefix, arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
