package revoke_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/vend/revoke"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	production = "111122223333"
	staging    = "444455556666"
	tools      = "999988887777"
	vending    = "AKIAVENDING000000001" // the broker's own key: it may do nothing at IAM
	operator   = "AKIAOPERATOR00000001"
	word       = "some/secret+key/of/forty/characters/0000"
)

// revoker is what the revocation role may do: see cmd/internal/awssetup.
const revoker = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GetRolePolicy","iam:PutRolePolicy"],"Resource":"arn:aws:iam::*:role/*"}]}`

// cloud is a stand-in for AWS, and every call that came to it, read here anew from
// the bytes on the wire.
type cloud struct {
	t   *testing.T
	aws *devaws.AWS
	url string

	mu    sync.Mutex
	calls []recorded
	// after runs when a call has been answered.
	after func(call recorded)
}

type recorded struct {
	form   url.Values
	key    string // who signed
	status int
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		c.t.Error(err)
	}
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	c.aws.ServeHTTP(answer, r)
	call := recorded{form, key, answer.Code}
	c.mu.Lock()
	c.calls = append(c.calls, call)
	after := c.after
	c.mu.Unlock()
	if after != nil {
		after(call)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func parse(t *testing.T, account, name string) iam.RoleARN {
	t.Helper()
	arn, err := iam.ParseRoleARN("arn:aws:iam::" + account + ":role/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func start(t *testing.T, change func(*devaws.Config)) *cloud {
	t.Helper()
	c := &cloud{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	user := func(name, key, permissions string) devaws.User {
		return devaws.User{ARN: "arn:aws:iam::" + tools + ":user/" + name, AccessKeyID: key, SecretAccessKey: secret.New(word), Permissions: permissions}
	}
	config := devaws.Config{
		URL: c.url, Accounts: []devaws.Account{{ID: production}, {ID: staging}, {ID: tools}},
		Users: []devaws.User{
			user("broker", vending, ""),
			user("operator", operator, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/ops/rolecall-revocation"}]}`),
		},
	}
	for _, account := range []string{production, staging} {
		for _, name := range []string{"Admin", "Reader"} {
			config.Roles = append(config.Roles, devaws.Role{ARN: parse(t, account, name), Trust: devaws.TrustPolicy("", "arn:aws:iam::"+tools+":user/broker"), MaxSessionDuration: time.Hour})
		}
		config.Roles = append(config.Roles,
			devaws.Role{ARN: parse(t, account, "Target"), Trust: devaws.TrustPolicy("", account)},
			devaws.Role{ARN: parse(t, account, "ops/rolecall-revocation"), Trust: devaws.TrustPolicy("", "arn:aws:iam::"+tools+":user/operator"), Permissions: revoker},
		)
	}
	if change != nil {
		change(&config)
	}
	made, err := devaws.New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.aws = made
	return c
}

func own(key string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(key, word, "")
}

func (c *cloud) writer(change func(*revoke.WriterConfig)) *revoke.Writer {
	c.t.Helper()
	config := revoke.WriterConfig{
		Credentials: own(operator), Role: "ops/rolecall-revocation", Operator: "carol", Region: "eu-west-1", Endpoint: c.url,
		Settle: 50 * time.Millisecond, Now: time.Now,
	}
	if change != nil {
		change(&config)
	}
	w, err := revoke.NewWriter(config)
	if err != nil {
		c.t.Fatal(err)
	}
	return w
}

// session is what the broker would hand out of a role for a person.
func (c *cloud) session(role iam.RoleARN, person string) aws.CredentialsProvider {
	c.t.Helper()
	client := sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: own(vending)})
	out, err := client.AssumeRole(c.t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String(role.String()), RoleSessionName: aws.String("alice"), SourceIdentity: &person,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
}

// works reports whether credentials may still do something.
func (c *cloud) works(credentials aws.CredentialsProvider, account string) bool {
	c.t.Helper()
	client := sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: credentials})
	_, err := client.AssumeRole(c.t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(parse(c.t, account, "Target").String()), RoleSessionName: aws.String("next")})
	if err != nil && !strings.Contains(err.Error(), "AccessDenied") {
		c.t.Fatal(err)
	}
	return err == nil
}

func worked(t *testing.T, changes []revoke.Change) {
	t.Helper()
	for _, change := range changes {
		if change.Err != nil {
			t.Errorf("%s: %v", change.Role, change.Err)
		}
	}
}

func TestTheDenyCutsThatPersonOffAndNobodyElse(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	admin, reader, elsewhere := parse(t, production, "Admin"), parse(t, production, "Reader"), parse(t, staging, "Admin")
	alice, bob := c.session(admin, "corp=alice"), c.session(admin, "corp=bob")
	unreached, other := c.session(reader, "corp=alice"), c.session(elsewhere, "corp=alice")
	for _, s := range []aws.CredentialsProvider{alice, bob, unreached} {
		if !c.works(s, production) {
			t.Fatal("before, they do not work")
		}
	}
	changes := c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{elsewhere, admin}})
	worked(t, changes)
	if len(changes) != 2 || changes[0].Role != admin || changes[1].Role != elsewhere || changes[1].By != parse(t, staging, "ops/rolecall-revocation") {
		t.Errorf("%+v", changes)
	}
	if c.works(alice, production) || c.works(other, staging) {
		t.Error("hers still work")
	}
	if !c.works(bob, production) || !c.works(unreached, production) {
		t.Error("others' do not")
	}
	for end := time.Now().Add(5 * time.Second); !c.works(c.session(admin, "corp=alice"), production); {
		if time.Now().After(end) {
			t.Fatal("what she gets later does not work either")
		}
	}
	// A grant: everybody's, by the time of issue alone.
	worked(t, c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now(), Roles: []iam.RoleARN{admin}}))
	if c.works(bob, production) || !c.works(unreached, production) {
		t.Error("everybody's of one role were to be cut, and of no other")
	}
}

func TestTheRevocationRoleAloneActsAndTouchesOnePolicyOnly(t *testing.T) {
	t.Parallel()
	admin := parse(t, production, "Admin")
	const mine = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	c := start(t, func(config *devaws.Config) {
		for i := range config.Roles {
			if config.Roles[i].ARN == admin {
				config.Roles[i].Inline = map[string]string{"what-admins-do": mine}
			}
		}
	})
	worked(t, c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{admin}}))
	if got := c.aws.InlinePolicies(admin); len(got) != 2 || got["what-admins-do"] != mine || !strings.Contains(got["rolecall-revoke"], `"corp=alice"`) {
		t.Errorf("%v", got)
	}
	session := ""
	for _, call := range c.calls {
		switch action := call.form.Get("Action"); action {
		case "AssumeRole":
			if call.key != operator || call.form.Get("RoleArn") != "arn:aws:iam::"+production+":role/ops/rolecall-revocation" || !strings.Contains(call.form.Get("RoleSessionName"), "carol") || call.form.Get("DurationSeconds") != "900" {
				t.Errorf("%s by %s: %v", action, call.key, call.form)
			}
			session = "made"
		case "GetRolePolicy", "PutRolePolicy":
			if session == "" || !strings.HasPrefix(call.key, "ASIA") {
				t.Errorf("%s is signed by %s, which is no session of the revocation role", action, call.key)
			}
			if call.form.Get("PolicyName") != "rolecall-revoke" || call.form.Get("RoleName") != "Admin" {
				t.Errorf("%v", call.form)
			}
		default:
			t.Errorf("%s was called", action)
		}
	}
	if session == "" {
		t.Error("nothing was assumed")
	}
	// The key that hands out credentials cannot do any of it.
	client := awsiam.New(awsiam.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: own(vending)})
	if _, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{RoleName: aws.String("Admin"), PolicyName: aws.String("rolecall-revoke"), PolicyDocument: aws.String(mine)}); err == nil {
		t.Error("the vending identity may write policies")
	}
	for _, change := range c.writer(func(config *revoke.WriterConfig) { config.Credentials = own(vending) }).Write(t.Context(), revoke.Deny{Before: time.Now(), Roles: []iam.RoleARN{admin}}) {
		if change.Err == nil || !strings.Contains(change.Err.Error(), "AccessDenied") {
			t.Errorf("the vending identity may assume the revocation role: %v", change.Err)
		}
	}
}

// overwrite puts a policy on a role as somebody else would, past the recording.
func (c *cloud) overwrite(name, document string) {
	session := c.writerSession()
	client := awsiam.New(awsiam.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: session})
	_, err := client.PutRolePolicy(context.Background(), &awsiam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String(revoke.PolicyName), PolicyDocument: &document})
	if err != nil {
		c.t.Error(err)
	}
}

func (c *cloud) writerSession() aws.CredentialsProvider {
	client := sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: own(operator)})
	out, err := client.AssumeRole(context.Background(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + production + ":role/ops/rolecall-revocation"), RoleSessionName: aws.String("other")})
	if err != nil {
		c.t.Error(err)
		return aws.AnonymousCredentials{}
	}
	return credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
}

func TestWhatSomebodyElseOverwritesIsWrittenAgain(t *testing.T) {
	t.Parallel()
	admin := parse(t, production, "Admin")
	other := revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=other"}}.Document()
	for name, when := range map[string]string{"between our writing and our reading": "PutRolePolicy", "after we have seen it": "GetRolePolicy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, nil)
			seen, done := 0, false
			c.after = func(call recorded) {
				if call.form.Get("Action") != when || done {
					return
				}
				if seen++; when == "GetRolePolicy" && seen < 2 { // the first reads before the write
					return
				}
				done = true
				c.overwrite("Admin", other)
			}
			changes := c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{admin}})
			worked(t, changes)
			got := c.aws.InlinePolicies(admin)[revoke.PolicyName]
			if !done || !strings.Contains(got, "corp=alice") || !strings.Contains(got, "corp=other") {
				t.Errorf("%v: %s", done, got)
			}
			if changes[0].Before != "" || !strings.HasPrefix(changes[0].Undo, "aws iam delete-role-policy") {
				t.Errorf("undoing goes to what is not from before: %+v", changes[0])
			}
		})
	}
}

func TestSomebodyWhoNeverStopsIsSaid(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	mine := true
	c.after = func(call recorded) {
		if call.form.Get("Action") == "PutRolePolicy" {
			if mine = !mine; !mine {
				c.overwrite("Admin", revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=other"}}.Document())
			}
		}
	}
	changes := c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{parse(t, production, "Admin")}})
	if err := changes[0].Err; err == nil || !strings.Contains(err.Error(), "somebody else keeps writing") {
		t.Errorf("%v", err)
	}
}

func TestEarlierEntriesAreMergedAndTheirUndoingPutsThemBack(t *testing.T) {
	t.Parallel()
	admin := parse(t, production, "Admin")
	live := revoke.Deny{Before: time.Now().Add(-time.Hour), SourceIdentities: []string{"corp=a"}}.Document()
	over := revoke.Deny{Before: time.Now().Add(-13 * time.Hour), SourceIdentities: []string{"corp=b"}}.Document()
	both := strings.TrimSuffix(strings.TrimSpace(live), "]\n}")
	_, second, _ := strings.Cut(over, `"Statement": [`)
	both += "," + strings.Replace(second, "RolecallRevoke", "RolecallRevoke2", 1)
	c := start(t, func(config *devaws.Config) {
		for i := range config.Roles {
			if config.Roles[i].ARN == admin {
				config.Roles[i].Inline = map[string]string{revoke.PolicyName: both}
			}
		}
	})
	changes := c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{admin}})
	worked(t, changes)
	got := changes[0]
	if got.Kept != 1 || got.Dropped != 1 || got.Foreign != 0 || got.Before != both || !strings.Contains(got.Undo, "put-role-policy") || !strings.Contains(got.Undo, "corp=b") {
		t.Errorf("%+v", got)
	}
	if now := c.aws.InlinePolicies(admin)[revoke.PolicyName]; now != got.After || strings.Contains(now, "corp=b") || !strings.Contains(now, "corp=a") {
		t.Error(now)
	}
	// The same order once more changes nothing, and writes nothing.
	written := len(c.calls)
	again := c.writer(nil).Write(t.Context(), revoke.Deny{Before: time.Now().Add(-time.Minute), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{admin}})
	worked(t, again)
	for _, call := range c.calls[written:] {
		if call.form.Get("Action") == "PutRolePolicy" {
			t.Error("written again")
		}
	}
}

func TestWhatCannotBeDoneIsSaidForEachRole(t *testing.T) {
	t.Parallel()
	admin, gone, elsewhere := parse(t, production, "Admin"), parse(t, production, "Gone"), parse(t, staging, "Admin")
	odd := parse(t, production, "Reader")
	c := start(t, func(config *devaws.Config) {
		for i := range config.Roles {
			switch config.Roles[i].ARN {
			case odd:
				config.Roles[i].Inline = map[string]string{revoke.PolicyName: `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`}
			case parse(t, staging, "ops/rolecall-revocation"):
				config.Roles[i].Permissions = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetRolePolicy","Resource":"*"}}`
			}
		}
	})
	deny := revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{admin, gone, elsewhere, odd}}
	for _, change := range c.writer(nil).Write(t.Context(), deny) {
		want := map[iam.RoleARN]string{admin: "", gone: "there is no such role", elsewhere: "write rolecall-revoke: AccessDenied", odd: "not of our making"}[change.Role]
		if (change.Err == nil) != (want == "") || change.Err != nil && !strings.Contains(change.Err.Error(), want) {
			t.Errorf("%s: %v", change.Role, change.Err)
		}
	}
	// An ARN is a role of one account, and changes nothing elsewhere.
	one := c.writer(func(config *revoke.WriterConfig) {
		config.Role = "arn:aws:iam::" + production + ":role/ops/rolecall-revocation"
	})
	for _, change := range one.Write(t.Context(), revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=bob"}, Roles: []iam.RoleARN{admin, elsewhere}}) {
		if (change.Err == nil) != (change.Role == admin) || change.Err != nil && !strings.Contains(change.Err.Error(), "another account") {
			t.Errorf("%s: %v", change.Role, change.Err)
		}
	}
}

func TestAPolicyThatIAMWouldNotTakeIsExplained(t *testing.T) {
	t.Parallel()
	admin := parse(t, production, "Admin")
	many := revoke.Deny{Before: time.Now(), Roles: []iam.RoleARN{admin}}
	for i := range 200 {
		many.SourceIdentities = append(many.SourceIdentities, strings.Repeat("x", 60)+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	few := revoke.Deny{Before: time.Now(), SourceIdentities: []string{"corp=alice"}, Roles: []iam.RoleARN{admin}}
	c := start(t, func(config *devaws.Config) {
		for i := range config.Roles {
			if config.Roles[i].ARN == admin {
				config.Roles[i].Inline = map[string]string{"large": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"` + strings.Repeat("x", 10100) + `"}}`}
			}
		}
	})
	for name, deny := range map[string]revoke.Deny{"by itself": many, "beside others": few} {
		changes := c.writer(nil).Write(t.Context(), deny)
		if err := changes[0].Err; err == nil || !strings.Contains(err.Error(), "too large") || !strings.Contains(err.Error(), "revoke the grant") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
