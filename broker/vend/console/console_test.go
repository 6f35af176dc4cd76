package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/vend/console"
	"github.com/rolecall/rolecall/config/secret"
)

const portal = "https://sso.example.com"

// canary is a text that must appear in no error.
const canary = "CANARY-7f3a"

func keys() iam.Credentials {
	return iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE000000001", SecretAccessKey: secret.New(canary + "-key"), SessionToken: secret.New(canary + "-token"),
		Expires: time.Now().Add(time.Hour),
	}
}

func federation(t *testing.T, endpoint string, client *http.Client) *console.Federation {
	t.Helper()
	f, err := console.New(console.Config{Endpoint: endpoint, Issuer: portal, HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// standIn serves devaws and gives credentials of a role session there.
func standIn(t *testing.T) (endpoint string, made iam.Credentials) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	endpoint = "http://" + server.Listener.Addr().String()
	admin, err := iam.ParseRoleARN("arn:aws:iam::111122223333:role/Admin")
	if err != nil {
		t.Fatal(err)
	}
	const user = "arn:aws:iam::111122223333:user/broker"
	handler, err := devaws.New(devaws.Config{
		URL: endpoint, Accounts: []devaws.Account{{ID: "111122223333", Name: "production"}},
		Roles: []devaws.Role{{ARN: admin, Trust: devaws.TrustPolicy("", user)}},
		Users: []devaws.User{{ARN: user, AccessKeyID: "AKIABROKER0000000001", SecretAccessKey: secret.New("word")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	client := sts.New(sts.Options{
		BaseEndpoint: &endpoint, Region: "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIABROKER0000000001", "word", ""),
	})
	out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String(admin.String()), RoleSessionName: aws.String("alice"), SourceIdentity: aws.String("corp=alice"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return endpoint, iam.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: secret.New(*c.SecretAccessKey), SessionToken: secret.New(*c.SessionToken), Expires: *c.Expiration,
	}
}

func TestTheURLSignsABrowserInAtTheStandIn(t *testing.T) {
	t.Parallel()
	endpoint, made := standIn(t)
	address, err := federation(t, endpoint, nil).URL(t.Context(), made, console.Request{
		Partition: "aws", Account: "111122223333", Role: "Admin", Region: "eu-west-1", Service: "s3",
	})
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	status, page := get(t, &http.Client{Jar: jar}, address.Reveal())
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, page)
	}
	for _, want := range []string{
		"111122223333", "arn:aws:sts::111122223333:assumed-role/Admin/alice", "corp=alice", "eu-west-1", "<strong>s3</strong>",
		`href="https://sso.example.com/console?role=111122223333%2FAdmin&amp;service=s3"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if status, _ := get(t, http.DefaultClient, address.Reveal()); status != http.StatusBadRequest {
		t.Errorf("the same URL again: %d", status)
	}
}

func get(t *testing.T, client *http.Client, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// wire is a transport that records a request and answers it.
type wire struct {
	answer string
	got    *http.Request
	form   url.Values
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.got = r
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	w.form = r.PostForm
	rec := httptest.NewRecorder()
	_, _ = rec.WriteString(w.answer)
	return rec.Result(), nil
}

func TestEachPartitionHasItsOwnHosts(t *testing.T) {
	t.Parallel()
	for partition, want := range map[string][2]string{
		"":           {"https://signin.aws.amazon.com/federation", "https://console.aws.amazon.com/ec2/home?region=us-east-1"},
		"aws":        {"https://signin.aws.amazon.com/federation", "https://console.aws.amazon.com/ec2/home?region=us-east-1"},
		"aws-us-gov": {"https://signin.amazonaws-us-gov.com/federation", "https://console.amazonaws-us-gov.com/ec2/home?region=us-east-1"},
		"aws-cn":     {"https://signin.amazonaws.cn/federation", "https://console.amazonaws.cn/ec2/home?region=us-east-1"},
	} {
		t.Run("partition "+partition, func(t *testing.T) {
			t.Parallel()
			w := &wire{answer: `{"SigninToken":"VCQgs5qZZt3Q6fn8Tr5E"}`}
			address, err := federation(t, "", &http.Client{Transport: w}).URL(t.Context(), keys(),
				console.Request{Partition: partition, Region: "us-east-1", Service: "ec2"})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(address.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if got := u.Scheme + "://" + u.Host + u.Path; got != want[0] || w.got.URL.String() != want[0] {
				t.Errorf("login at %s, token from %s; want %s", got, w.got.URL, want[0])
			}
			if q.Get("Action") != "login" || q.Get("Destination") != want[1] || q.Get("Issuer") != portal || q.Get("SigninToken") != "VCQgs5qZZt3Q6fn8Tr5E" {
				t.Error(q)
			}
		})
	}
}

func TestTheCredentialsTravelInTheBodyOfAPostAndNowhereElse(t *testing.T) {
	t.Parallel()
	w := &wire{answer: `{"SigninToken":"abc"}`}
	f := federation(t, "", &http.Client{Transport: w})
	if _, err := f.URL(t.Context(), keys(), console.Request{}); err != nil {
		t.Fatal(err)
	}
	if w.got.Method != http.MethodPost || strings.Contains(w.got.URL.String(), canary) || w.got.URL.RawQuery != "" {
		t.Errorf("%s %s", w.got.Method, w.got.URL)
	}
	var sent map[string]string
	if err := json.Unmarshal([]byte(w.form.Get("Session")), &sent); err != nil {
		t.Fatal(err)
	}
	if sent["sessionId"] != "ASIAEXAMPLE000000001" || sent["sessionKey"] != canary+"-key" || sent["sessionToken"] != canary+"-token" || len(sent) != 3 {
		t.Error(sent)
	}
	if w.form.Has("SessionDuration") {
		t.Error("SessionDuration is sent though none was asked for; chained credentials would be refused")
	}
	if _, err := f.URL(t.Context(), keys(), console.Request{SessionDuration: 12 * time.Hour}); err != nil || w.form.Get("SessionDuration") != "43200" {
		t.Errorf("%v %v", err, w.form.Get("SessionDuration"))
	}
}

func TestWhatNoConsoleHasIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]console.Request{
		"an unknown partition":                {Partition: "aws-eusc"},
		"a service that leaves the path":      {Service: "../../evil"},
		"a service with a query":              {Service: "s3?x=y"},
		"a service with a host":               {Service: "s3.evil.example"},
		"a service with a userinfo trick":     {Service: "@evil.example"},
		"a service in upper case":             {Service: "S3"},
		"a region with a second parameter":    {Region: "eu-west-1&redirect=evil"},
		"a region with a fragment":            {Region: "eu-west-1#"},
		"a region with a line break":          {Region: "eu-west-1\n"},
		"a region that begins with a hyphen":  {Region: "-eu"},
		"a region of 65 characters":           {Region: strings.Repeat("a", 65)},
		"a region of full-width letters":      {Region: "ｅｕ-west-1"},
		"a session of less than 15 minutes":   {SessionDuration: 14 * time.Minute},
		"a session of more than twelve hours": {SessionDuration: 13 * time.Hour},
		"a session of negative length":        {SessionDuration: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &wire{answer: `{"SigninToken":"abc"}`}
			_, err := federation(t, "", &http.Client{Transport: w}).URL(t.Context(), keys(), req)
			if !errors.Is(err, console.ErrBadRequest) || w.got != nil {
				t.Errorf("%v, sent: %v", err, w.got != nil)
			}
		})
	}
}

func TestAHostileAnswerGivesAnErrorThatRepeatsNothingOfIt(t *testing.T) {
	t.Parallel()
	echo := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a refusal that repeats the credentials": echo(400, "<html>"+canary+"</html>"),
		"a server error":                         echo(500, canary),
		"a page instead of JSON":                 echo(200, "<html>"+canary+"</html>"),
		"JSON without a token":                   echo(200, `{"Error":"`+canary+`"}`),
		"an empty token":                         echo(200, `{"SigninToken":""}`),
		"a token that is a number":               echo(200, `{"SigninToken":7}`),
		"a token that breaks out of the URL":     echo(200, `{"SigninToken":"`+canary+`&Destination=https://evil.example"}`),
		"a token with a line break":              echo(200, `{"SigninToken":"`+canary+`\r\nSet-Cookie: a=b"}`),
		"a token that is far too long":           echo(200, `{"SigninToken":"`+strings.Repeat("a", 17<<10)+`"}`),
		"an answer without end":                  echo(200, `{"SigninToken":"a","x":"`+strings.Repeat(canary, 10000)+`"}`),
		"two documents":                          echo(200, `{"SigninToken":"a"} {"SigninToken":"`+canary+`"}`),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+canary, http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				handler(w, r)
			}))
			t.Cleanup(server.Close)
			_, err := federation(t, server.URL, server.Client()).URL(t.Context(), keys(), console.Request{})
			if !errors.Is(err, console.ErrRefused) || strings.Contains(err.Error(), canary) {
				t.Error(err)
			}
			if asked != 1 {
				t.Errorf("asked %d times: a redirect was followed", asked)
			}
		})
	}
}

func TestAPeerThatDoesNotSpeakHTTPIsNotQuoted(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(canary + "\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	_, err = federation(t, "http://"+listener.Addr().String(), nil).URL(t.Context(), keys(), console.Request{})
	if !errors.Is(err, console.ErrRefused) || strings.Contains(err.Error(), canary) {
		t.Error(err)
	}
}

func TestACancelledRequestSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := federation(t, "http://127.0.0.1:1", nil).URL(ctx, keys(), console.Request{})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, console.ErrRefused) {
		t.Error(err)
	}
}

func TestExpiredCredentialsAreNotSent(t *testing.T) {
	t.Parallel()
	w := &wire{answer: `{"SigninToken":"abc"}`}
	expired := keys()
	expired.Expires = time.Now().Add(-time.Second)
	_, err := federation(t, "", &http.Client{Transport: w}).URL(t.Context(), expired, console.Request{})
	if !errors.Is(err, console.ErrRefused) || w.got != nil {
		t.Errorf("%v, sent: %v", err, w.got != nil)
	}
}

func TestTheURLPrintsAsASecret(t *testing.T) {
	t.Parallel()
	w := &wire{answer: `{"SigninToken":"` + canary + `"}`}
	address, err := federation(t, "", &http.Client{Transport: w}).URL(t.Context(), keys(), console.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if printed := fmt.Sprintf("%v %+v %#v %q", address, address, address, address); strings.Contains(printed, canary) {
		t.Error(printed)
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]console.Config{
		"an endpoint with a path":      {Endpoint: "http://127.0.0.1:1/aws", Issuer: portal},
		"an endpoint with a password":  {Endpoint: "http://a:b@127.0.0.1:1", Issuer: portal},
		"an endpoint of another kind":  {Endpoint: "ftp://127.0.0.1:1", Issuer: portal},
		"no issuer":                    {},
		"an issuer that is a script":   {Issuer: "javascript:alert(1)"},
		"an issuer without its scheme": {Issuer: "sso.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := console.New(cfg); err == nil {
				t.Error("accepted")
			}
		})
	}
}
