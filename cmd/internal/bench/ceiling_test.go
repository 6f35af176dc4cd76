package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/coreos/go-oidc/v3/oidc"
)

const roleARN = "arn:aws:iam::111122223333:role/Admin"

var stubAnswer = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/Admin/alice</Arn><AssumedRoleId>AROAEXAMPLEEXAMPLE123:alice</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE12</AccessKeyId><SecretAccessKey>` +
	strings.Repeat("s", 40) + `</SecretAccessKey><SessionToken>` + strings.Repeat("t", 800) + `</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></AssumeRoleResponse>`

// stubSTS answers every call at once, and counts.
func stubSTS(b *testing.B) (address string, calls *atomic.Int64) {
	b.Helper()
	calls = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/xml")
		_, _ = fmt.Fprintf(w, stubAnswer, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	b.Cleanup(server.Close)
	return server.URL, calls
}

func transport() *http.Transport {
	return &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true}
}

// journal chains records and syncs those of all who wait together: the least that
// an audit record on disk costs.
type journal struct {
	file *os.File
	mu   sync.Mutex
	next *group
	busy bool
	last [32]byte
}

type group struct {
	lines []byte
	done  chan struct{}
	err   error
}

func newJournal(dir string) (*journal, error) {
	file, err := os.Create(filepath.Join(dir, "journal"))
	return &journal{file: file, next: &group{done: make(chan struct{})}}, err
}

func (j *journal) append(record []byte) error {
	j.mu.Lock()
	j.last = sha256.Sum256(append(j.last[:], record...))
	mine := j.next
	mine.lines = append(append(mine.lines, record...), hex.EncodeToString(j.last[:])...)
	lead := !j.busy
	j.busy = true
	j.mu.Unlock()
	if lead {
		go j.drain()
	}
	<-mine.done
	return mine.err
}

// drain writes groups until nobody waits.
func (j *journal) drain() {
	for {
		j.mu.Lock()
		g := j.next
		if len(g.lines) == 0 {
			j.busy = false
			j.mu.Unlock()
			return
		}
		j.next = &group{done: make(chan struct{})}
		j.mu.Unlock()
		_, g.err = j.file.Write(g.lines)
		g.err = errors.Join(g.err, j.file.Sync())
		close(g.done)
	}
}

// answer is the ceilings' JSON.
type answer struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expiration                                 string
}

// ceiling is the path by bare primitives: one signature, one signed call, one
// chained record on disk first. Without STS it is the signature alone.
func ceiling(o order) (http.Handler, error) {
	record, err := newJournal(o.Dir)
	if err != nil {
		return nil, err
	}
	key, err := publicKey(o.Key)
	if err != nil {
		return nil, err
	}
	client := bareClient{signer: v4.NewSigner(), http: &http.Client{Transport: transport()}, url: o.STS}
	return handler(func(ctx context.Context, token string) (answer, error) {
		subject, err := bareVerify(token, key)
		if err != nil || o.STS == "" {
			return answer{AccessKeyID: subject}, err
		}
		got, err := client.assumeRole(ctx, subject)
		if err != nil {
			return answer{}, err
		}
		return got, record.append(make([]byte, 400))
	}), nil
}

// bareClient is the SDK's signer around a form that is made by hand.
type bareClient struct {
	signer *v4.Signer
	http   *http.Client
	url    string
}

func (c bareClient) assumeRole(ctx context.Context, subject string) (answer, error) {
	body := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {roleARN}, "RoleSessionName": {subject}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	own := aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: strings.Repeat("s", 40)}
	if err := c.signer.SignHTTP(ctx, own, req, hex.EncodeToString(sum[:]), "sts", "us-east-1", time.Now()); err != nil {
		return answer{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{part(text, "AccessKeyId"), part(text, "SecretAccessKey"), part(text, "SessionToken"), part(text, "Expiration")}, err
}

func part(text []byte, name string) string {
	_, after, _ := bytes.Cut(text, []byte("<"+name+">"))
	value, _, _ := bytes.Cut(after, []byte("<"))
	return string(value)
}

// publicKey reads PKIX in Base64.
func publicKey(text string) (crypto.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return x509.ParsePKIXPublicKey(der)
}

// bareVerify checks a signature and decodes the claims once.
func bareVerify(token string, key crypto.PublicKey) (subject string, err error) {
	last := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[last+1:])
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(token[:last]))
	switch key := key.(type) {
	case *rsa.PublicKey:
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	case *ecdsa.PublicKey:
		if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			err = errors.New("signature")
		}
	}
	if err != nil {
		return "", err
	}
	payload, err := base64.RawURLEncoding.DecodeString(token[strings.IndexByte(token, '.')+1 : last])
	if err != nil {
		return "", err
	}
	var claims struct {
		Sub    string
		Groups []string
	}
	err = json.Unmarshal(payload, &claims)
	return claims.Sub, err
}

// libs is the same path by the product's libraries and nothing else.
func libs(o order) (http.Handler, error) {
	provider, err := oidc.NewProvider(context.Background(), o.Issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: o.ClientID, SupportedSigningAlgs: []string{"RS256", "ES256"}})
	record, err := newJournal(o.Dir)
	if err != nil {
		return nil, err
	}
	client := sts.New(sts.Options{
		Region: "us-east-1", BaseEndpoint: &o.STS, HTTPClient: &http.Client{Transport: transport()},
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", strings.Repeat("s", 40), "")),
	})
	return handler(func(ctx context.Context, token string) (answer, error) {
		t, err := verifier.Verify(ctx, token)
		if err != nil {
			return answer{}, err
		}
		var claims struct{ Groups []string }
		if err := t.Claims(&claims); err != nil || o.STS == "" {
			return answer{AccessKeyID: t.Subject}, err
		}
		out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(roleARN), RoleSessionName: &t.Subject})
		if err != nil {
			return answer{}, err
		}
		c := out.Credentials
		return answer{*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, c.Expiration.String()}, record.append(make([]byte, 400))
	}), nil
}

// handler is form in, JSON out.
func handler(exchange func(ctx context.Context, token string) (answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<18)
		a, err := exchange(r.Context(), r.PostFormValue("subject_token"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a)
	})
}
