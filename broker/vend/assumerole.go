package vend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	// hubSessionName is what CloudTrail shows of the hub's session, which people share.
	hubSessionName = "rolecall-hub"
	// hubEarly renews the hub's session before it ends, as the SDK's own providers do.
	hubEarly = 5 * time.Minute
)

// AssumeRole orders credentials by sts:AssumeRole, as the broker itself or from
// a hub role's session that is neutral, untagged and shared.
type AssumeRole struct {
	config Config
	direct regional

	mu   sync.Mutex
	hubs map[hubKey]*hub
}

type hubKey struct {
	role       iam.RoleARN
	externalID secret.String
}

// hub is one hub role: its cached session, and a client that acts as it.
type hub struct {
	session *aws.CredentialsCache
	client  regional
}

// NewAssumeRole makes the vendor. It does no I/O.
func NewAssumeRole(config Config) (*AssumeRole, error) {
	if config.Credentials == nil {
		return nil, errors.New("AssumeRole needs the broker's own AWS credentials")
	}
	if err := config.fill(); err != nil {
		return nil, err
	}
	return &AssumeRole{config: config, direct: config.clients(config.Credentials), hubs: map[hubKey]*hub{}}, nil
}

// Vend implements Vendor.
func (a *AssumeRole) Vend(ctx context.Context, spec Spec) (Result, error) {
	bounded, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	client, hop := a.direct, tries
	var through *hub
	if spec.HubRole != (iam.RoleARN{}) {
		through = a.hub(hubKey{spec.HubRole, spec.ExternalID})
		client, hop = through.client, triesOfAHop
		if _, err := through.session.Retrieve(bounded); err != nil {
			return Result{}, fmt.Errorf("hub role %s: %w", spec.HubRole, judge(ctx, err))
		}
	}
	out, err := ask(ctx, bounded, client, hop, assumeRole(spec))
	if err != nil {
		if through != nil && errors.Is(err, ErrUnavailable) {
			through.session.Invalidate() // its keys may be what is wrong
		}
		return Result{}, fmt.Errorf("assume role %s: %w", spec.Role, err)
	}
	credentials, err := read(out.Credentials, out.AssumedRoleUser, spec)
	return Result{Credentials: credentials, Unchained: through == nil && a.longTerm(bounded)}, err
}

// longTerm reports whether the broker's own keys are a user's and no session's.
func (a *AssumeRole) longTerm(ctx context.Context) bool {
	own, err := a.config.Credentials.Retrieve(ctx)
	return err == nil && own.SessionToken == ""
}

func assumeRole(spec Spec) operation[*sts.AssumeRoleOutput] {
	return func(ctx context.Context, client *sts.Client, o func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
		return client.AssumeRole(ctx, input(spec), o)
	}
}

// input is the order as STS takes it.
func input(spec Spec) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(spec.Role.String()),
		RoleSessionName: aws.String(spec.SessionName),
		SourceIdentity:  text(spec.SourceIdentity),
		Policy:          text(spec.Policy),
		ExternalId:      text(spec.ExternalID.Reveal()),
		DurationSeconds: seconds(spec.Duration),
	}
	if len(spec.TransitiveTags) > 0 {
		in.TransitiveTagKeys = spec.TransitiveTags
	}
	in.Tags, in.PolicyArns = tagsOf(spec), policiesOf(spec)
	return in
}

// hub finds or makes the client of a hub role. There are as many as the
// configuration has.
func (a *AssumeRole) hub(key hubKey) *hub {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hubs[key]
	if h == nil {
		session := aws.NewCredentialsCache(hubSession{a, key}, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = hubEarly })
		h = &hub{session: session, client: a.config.clients(session)}
		a.hubs[key] = h
	}
	return h
}

// hubSession gets the session of a hub role, without anything of a person in it.
type hubSession struct {
	a   *AssumeRole
	key hubKey
}

// Retrieve implements aws.CredentialsProvider. The cache around it hides the
// context of whoever asked first, so the bound is its own.
func (h hubSession) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, h.a.config.Timeout)
	defer cancel()
	spec := Spec{Role: h.key.role, SessionName: hubSessionName, ExternalID: h.key.externalID, Duration: iam.MaxChainedDuration}
	out, err := ask(ctx, ctx, h.a.direct, triesOfAHop, assumeRole(spec))
	if err != nil {
		return aws.Credentials{}, err
	}
	c, err := read(out.Credentials, out.AssumedRoleUser, spec)
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
		CanExpire: true, Expires: c.Expires, Source: "rolecall hub",
	}, nil
}
