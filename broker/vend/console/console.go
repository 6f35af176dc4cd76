// Package console makes the URL that signs a browser in to the AWS console with
// temporary credentials.
//
//	credentials -> POST /federation Action=getSigninToken -> a token, good for 15 minutes
//	            -> https://SIGNIN-HOST/federation?Action=login&Issuer=...&Destination=...&SigninToken=...
//
// The URL is a secret: whoever opens it is signed in.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
package console

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

var (
	// ErrBadRequest marks a region, service, partition or duration that no console has.
	ErrBadRequest = errors.New("not a console to sign in to")
	// ErrRefused marks an answer of the federation endpoint that holds no token.
	ErrRefused = errors.New("the federation endpoint gave no sign-in token")
)

// errStatus marks an answer that is a plain no.
var errStatus = errors.New("with status")

const (
	maxAnswer = 64 << 10
	maxToken  = 16 << 10
	timeout   = 10 * time.Second
)

// hosts are the sign-in and console hosts of a partition. The token and the
// login must use the same sign-in host.
type hosts struct{ signin, console string }

var partitions = map[string]hosts{
	"aws":        {"https://signin.aws.amazon.com", "https://console.aws.amazon.com"},
	"aws-us-gov": {"https://signin.amazonaws-us-gov.com", "https://console.amazonaws-us-gov.com"},
	"aws-cn":     {"https://signin.amazonaws.cn", "https://console.amazonaws.cn"},
}

// Config says where to sign in.
type Config struct {
	// Endpoint is the origin of a stand-in for AWS; "" is AWS itself, by partition.
	Endpoint string
	// Issuer is the portal's URL. The page of an ended session links to its
	// /console?role=ACCOUNT/ROLE, or to itself where the role is not known.
	Issuer string
	// HTTP is a client with bounds of its own; redirects are never followed.
	// nil is one that knows no proxy.
	HTTP *http.Client
	Now  func() time.Time // time.Now where nil
}

// Federation makes console URLs.
type Federation struct {
	endpoint string
	issuer   string
	client   *http.Client
	now      func() time.Time
}

// Request is a console to open.
type Request struct {
	Partition string // "aws" where empty
	Account   string
	Role      string // the role's name; Account and Role only make the issuer's link
	Region    string // "" leaves the choice to the console
	Service   string // the console's path, like "s3"; "" is its home
	// SessionDuration is how long the console session lasts, 15 min to 12 h; zero
	// is as long as the credentials. It must be zero for role-chained credentials.
	SessionDuration time.Duration
	// Issuer is the whole link of the page of an ended session, instead of the portal's.
	Issuer string
}

// New checks the configuration.
func New(cfg Config) (*Federation, error) {
	if cfg.Endpoint != "" && !isOrigin(strings.TrimSuffix(cfg.Endpoint, "/")) {
		return nil, fmt.Errorf("console: endpoint %q: want an origin like http://127.0.0.1:8401", cfg.Endpoint)
	}
	if u, err := url.Parse(cfg.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("console: issuer %q: want the portal's URL", cfg.Issuer)
	}
	f := &Federation{endpoint: strings.TrimSuffix(cfg.Endpoint, "/"), issuer: cfg.Issuer, now: cfg.Now}
	if f.now == nil {
		f.now = time.Now
	}
	client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer}}
	if cfg.HTTP != nil {
		client = *cfg.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	f.client = &client
	return f, nil
}

func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}

// URL signs the credentials in and gives the address to redirect the browser to.
func (f *Federation) URL(ctx context.Context, credentials iam.Credentials, req Request) (secret.String, error) {
	at, err := f.hostsOf(req.Partition)
	if err != nil {
		return secret.String{}, err
	}
	destination, err := f.destination(at, req)
	if err != nil {
		return secret.String{}, err
	}
	if d := req.SessionDuration; d != 0 && (d < iam.MinDuration || d > iam.MaxDuration) {
		return secret.String{}, fmt.Errorf("%w: a console session of %s; want 15m to 12h", ErrBadRequest, d)
	}
	if !credentials.Expires.IsZero() && !f.now().Before(credentials.Expires) {
		return secret.String{}, fmt.Errorf("%w: the credentials have expired", ErrRefused)
	}
	token, err := f.signinToken(ctx, at.signin, credentials, req.SessionDuration)
	if req.SessionDuration > 0 && errors.Is(err, errStatus) {
		// AWS gives no reason: perhaps these may not have one. Without, the session
		// ends with the credentials, which is never later.
		token, err = f.signinToken(ctx, at.signin, credentials, 0)
	}
	if err != nil {
		return secret.String{}, err
	}
	query := url.Values{"Action": {"login"}, "Issuer": {f.issuerOf(req)}, "Destination": {destination}, "SigninToken": {token}}
	return secret.New(at.signin + "/federation?" + query.Encode()), nil
}

func (f *Federation) hostsOf(partition string) (hosts, error) {
	if f.endpoint != "" {
		return hosts{f.endpoint, f.endpoint + "/console"}, nil
	}
	if partition == "" {
		partition = "aws"
	}
	at, ok := partitions[partition]
	if !ok {
		return hosts{}, fmt.Errorf("%w: partition %q; known are aws, aws-us-gov and aws-cn", ErrBadRequest, partition)
	}
	return at, nil
}

// issuerOf is where the page of an ended session links to: the portal's page of
// the same role, which opens the console again.
func (f *Federation) issuerOf(req Request) string {
	if req.Issuer != "" {
		return req.Issuer
	}
	if req.Account == "" || req.Role == "" {
		return f.issuer
	}
	query := url.Values{"role": {req.Account + "/" + req.Role}}
	if req.Service != "" {
		query.Set("service", req.Service)
	}
	return strings.TrimSuffix(f.issuer, "/") + "/console?" + query.Encode()
}

var slug = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

// destination is a page of the partition's console. Region and service are the
// only parts that a caller chooses.
func (f *Federation) destination(at hosts, req Request) (string, error) {
	service := req.Service
	if service == "" {
		service = "console"
	}
	if !slug.MatchString(service) {
		return "", fmt.Errorf("%w: service %q; want letters, digits and hyphens", ErrBadRequest, clip(service))
	}
	page := at.console + "/" + service + "/home"
	if req.Region == "" {
		return page, nil
	}
	if !slug.MatchString(req.Region) {
		return "", fmt.Errorf("%w: region %q; want letters, digits and hyphens", ErrBadRequest, clip(req.Region))
	}
	return page + "?region=" + req.Region, nil
}

func clip(s string) string { return s[:min(len(s), 64)] }

// signinToken asks for a token. Nothing of the answer reaches an error: it may
// repeat what was sent.
func (f *Federation) signinToken(ctx context.Context, origin string, c iam.Credentials, d time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	keys, err := json.Marshal(map[string]string{
		"sessionId": c.AccessKeyID, "sessionKey": c.SecretAccessKey.Reveal(), "sessionToken": c.SessionToken.Reveal(),
	})
	if err != nil {
		return "", fmt.Errorf("%w: the credentials have no JSON", ErrRefused)
	}
	form := url.Values{"Action": {"getSigninToken"}, "Session": {string(keys)}}
	if d > 0 {
		form.Set("SessionDuration", strconv.Itoa(int(d.Seconds())))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/federation", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("%w: %s is no address", ErrRefused, origin)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: %s could not be asked: %w", ErrRefused, origin, cause(ctx, err))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s answered %w %d", ErrRefused, origin, errStatus, res.StatusCode)
	}
	return readToken(res.Body, origin)
}

// cause is why a request failed, without what the other side sent: an error of
// net/http may quote it.
func cause(ctx context.Context, err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	}
	return errors.New("it did not answer in HTTP")
}

var tokenShape = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]+$`)

func readToken(body io.Reader, origin string) (string, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return "", fmt.Errorf("%w: the answer of %s broke off", ErrRefused, origin)
	}
	if len(data) > maxAnswer {
		return "", fmt.Errorf("%w: the answer of %s is over %d bytes", ErrRefused, origin, maxAnswer)
	}
	var answer struct{ SigninToken string }
	if json.Unmarshal(data, &answer) != nil || len(answer.SigninToken) > maxToken || !tokenShape.MatchString(answer.SigninToken) {
		return "", fmt.Errorf("%w: the answer of %s is not the JSON of a token", ErrRefused, origin)
	}
	return answer.SigninToken, nil
}
