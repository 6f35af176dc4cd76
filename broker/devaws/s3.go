package devaws

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rolecall/rolecall/broker/stswire"
)

// As much of S3 as shows what session policies are for, at /s3/ by path-style
// addresses: ListObjectsV2, GetObject, PutObject, DeleteObject, for callers whose
// policies allow it and whose payload is signed. Every bucket exists and belongs to
// everybody's account; it starts empty and is bounded.
const (
	maxObjects    = 1000
	maxObjectSize = 64 << 10
	maxS3Key      = 1024
)

// objects are what has been put, by bucket and key.
type objects struct {
	mu   sync.Mutex
	held map[objectName]object
}

type objectName struct{ bucket, key string }

type object struct {
	content []byte
	changed time.Time
}

var errBucketsFull = &stswire.Error{Status: http.StatusServiceUnavailable, Code: "SlowDown", Message: "The stand-in holds 1000 objects and takes no more."}

// s3 answers /s3/BUCKET and /s3/BUCKET/KEY. Pages of any origin may read the
// answers: whoever asks needs a signature, and no cookie counts.
func (a *AWS) s3(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag, x-amz-request-id")
	requestID := uuid.NewString()
	h.Set("x-amz-request-id", requestID)
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, PUT, DELETE")
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err := a.answerS3(w, r); err != nil {
		a.refuseS3(w, r, requestID, err)
	}
}

func (a *AWS) refuseS3(w http.ResponseWriter, r *http.Request, requestID string, err error) {
	refused, ok := errors.AsType[*stswire.Error](err)
	if !ok {
		a.log.Error("s3", "error", err)
		refused = &stswire.Error{Status: http.StatusInternalServerError, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	}
	writeXML(w, cmp.Or(refused.Status, http.StatusForbidden), struct {
		XMLName                            xml.Name `xml:"Error"`
		Code, Message, Resource, RequestID string
	}{Code: refused.Code, Message: refused.Message, Resource: r.URL.Path, RequestID: requestID})
}

func writeXML(w http.ResponseWriter, status int, v any) {
	body, err := xml.Marshal(v)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...))
}

func (a *AWS) answerS3(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxObjectSize))
	if err != nil {
		return &stswire.Error{Status: http.StatusBadRequest, Code: "EntityTooLarge", Message: "An object of the stand-in has at most 64 KiB."}
	}
	signed, err := stswire.Verifier{Now: a.now, Secret: a.secret, Service: "s3"}.Verify(r, body)
	if err != nil {
		return err
	}
	who, ok := a.caller(signed.AccessKeyID)
	if !ok { // forgotten between the two
		return stswire.Fail("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/s3/"), "/")
	if bucket == "" || len(key) > maxS3Key {
		return &stswire.Error{Status: http.StatusBadRequest, Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
	}
	call := s3Call{aws: a, who: who, keys: a.contextKeys(r, signed.Region, who, stswire.AssumeRole{}, ""), name: objectName{bucket, key}}
	if key == "" {
		return call.list(w, r)
	}
	switch r.Method {
	case http.MethodGet:
		return call.get(w)
	case http.MethodPut:
		return call.put(w, body)
	case http.MethodDelete:
		return call.remove(w)
	}
	return &stswire.Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource."}
}

// s3Call is one call whose signature was verified.
type s3Call struct {
	aws  *AWS
	who  caller
	keys keys
	name objectName
}

// may asks the caller's policies, the session policy above all.
func (c s3Call) may(action, resource string) error {
	allowed := c.aws.permitted(c.who, action, resource, c.keys, true)
	switch s := c.who.session; {
	case s != nil && s.policy != nil:
		allowed = allowed && s.policy.allow(action, resource, c.keys)
	case c.who.user != nil: // a federated user has what the session policy gives, and nothing without one
		allowed = false
	}
	if !allowed {
		return stswire.Fail("AccessDenied", "User: "+c.who.arn+" is not authorized to perform: "+action+" on resource: \""+resource+"\"")
	}
	return nil
}

func (c s3Call) object(action string) error {
	return c.may(action, "arn:"+c.who.partition+":s3:::"+c.name.bucket+"/"+c.name.key)
}

// listResult is ListObjectsV2's answer.
type listResult struct {
	XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name        string
	Prefix      string
	KeyCount    int
	MaxKeys     int
	IsTruncated bool
	Contents    []objectListed
}

type objectListed struct {
	Key          string
	LastModified string
	Size         int
}

// list answers at most 1000 keys, which is all that there are.
func (c s3Call) list(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet || r.URL.Query().Get("list-type") != "2" {
		return &stswire.Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "The stand-in lists by ListObjectsV2 and does nothing else with a bucket."}
	}
	prefix := r.URL.Query().Get("prefix")
	if prefix != "" {
		c.keys["s3:prefix"] = []string{prefix}
	}
	if err := c.may("s3:ListBucket", "arn:"+c.who.partition+":s3:::"+c.name.bucket); err != nil {
		return err
	}
	result := listResult{Name: c.name.bucket, Prefix: prefix, MaxKeys: maxObjects}
	if most, err := strconv.Atoi(r.URL.Query().Get("max-keys")); err == nil && most >= 0 {
		result.MaxKeys = min(most, maxObjects)
	}
	o := &c.aws.objects
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range slices.SortedFunc(maps.Keys(o.held), func(a, b objectName) int { return cmp.Compare(a.key, b.key) }) {
		if name.bucket != c.name.bucket || !strings.HasPrefix(name.key, prefix) {
			continue
		}
		if result.IsTruncated = len(result.Contents) == result.MaxKeys; result.IsTruncated {
			break
		}
		held := o.held[name]
		result.Contents = append(result.Contents, objectListed{name.key, held.changed.UTC().Format("2006-01-02T15:04:05.000Z"), len(held.content)})
	}
	result.KeyCount = len(result.Contents)
	writeXML(w, http.StatusOK, result)
	return nil
}

func (c s3Call) get(w http.ResponseWriter) error {
	if err := c.object("s3:GetObject"); err != nil {
		return err
	}
	c.aws.objects.mu.Lock()
	held, ok := c.aws.objects.held[c.name]
	c.aws.objects.mu.Unlock()
	if !ok {
		return &stswire.Error{Status: http.StatusNotFound, Code: "NoSuchKey", Message: "The specified key does not exist."}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Last-Modified", held.changed.UTC().Format(http.TimeFormat))
	_, _ = w.Write(held.content)
	return nil
}

func (c s3Call) put(w http.ResponseWriter, content []byte) error {
	if err := c.object("s3:PutObject"); err != nil {
		return err
	}
	o := &c.aws.objects
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, there := o.held[c.name]; !there && len(o.held) >= maxObjects {
		return errBucketsFull
	}
	if o.held == nil {
		o.held = map[objectName]object{}
	}
	o.held[c.name] = object{content, c.aws.now()}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (c s3Call) remove(w http.ResponseWriter) error {
	if err := c.object("s3:DeleteObject"); err != nil {
		return err
	}
	c.aws.objects.mu.Lock()
	delete(c.aws.objects.held, c.name)
	c.aws.objects.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
	return nil
}
