package assemble

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

const brokersOwn = "arn:aws:iam::999988887777:user/rolecall"

// stsAnswer is a well-formed answer to AssumeRole.
func stsAnswer(id, secretKey, token, expires string) string {
	return fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>`+
		`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>`+
		`</Credentials><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/Admin/alice</Arn><AssumedRoleId>AROA:alice</AssumedRoleId></AssumedRoleUser>`+
		`</AssumeRoleResult></AssumeRoleResponse>`, id, secretKey, token, expires)
}

func stsFault(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, message)
	}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// Whatever stands where STS should be, people get a page, and the record the reason.
func TestNothingIsHandedOutWhereSTSIsNotAsItShouldBe(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	elsewhere := httptest.NewServer(says(stsAnswer("ASIAELSEWHERE0000000", "elsewhere-secret", "t", soon)))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		sts    http.HandlerFunc
		status int
		tries  int32 // at most; 0 is any
	}{
		"no XML":               {says("<!doctype html><title>Welcome to the hotel</title>"), 503, 6},
		"nothing":              {says(""), 503, 6},
		"an endless answer":    {says(strings.Repeat("<a>", 1<<20)), 503, 6},
		"keys without an id":   {says(stsAnswer("", "half-a-secret-key", "token", soon)), 503, 6},
		"keys without a token": {says(stsAnswer("ASIAHALFHALFHALFHALF", "half-a-secret-key", "", soon)), 503, 6},
		"an error of its own":  {stsFault(500, "InternalFailure", "x"), 503, 6},
		"throttling":           {stsFault(400, "Throttling", "Rate exceeded"), 503, 6},
		"our keys are wrong":   {stsFault(403, "InvalidClientTokenId", "The security token included in the request is invalid."), 503, 6},
		"our clock is wrong":   {stsFault(403, "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z"), 503, 6},
		"a refusal":            {stsFault(403, "AccessDenied", "User: "+brokersOwn+" is not authorized to perform: sts:AssumeRole"), 502, 1},
		"too large":            {stsFault(400, "PackedPolicyTooLarge", "Packed size is 101%"), 502, 1},
		"a way to elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, 503, 6},
		"silence": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, 503, 6},
		"a line that is cut": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				c.sts(w, r)
			}))
			t.Cleanup(sts.Close)
			w := run(t, func(conf *config.Config) {
				conf.AWS.Endpoint.Value, conf.AWS.Timeout = sts.URL, 2*time.Second
			})
			b := w.signIn(t, "staff")
			order(t, b, w.URL, "production/Admin")
			if b.Page.Status != c.status || keysOn(b.Page) != "" {
				t.Errorf("%d, keys %q; want %d", b.Page.Status, keysOn(b.Page), c.status)
			}
			if c.tries > 0 && tries.Load() > c.tries {
				t.Errorf("STS was asked %d times, at most %d are allowed", tries.Load(), c.tries)
			}
			if c.status == 503 && b.Page.Header.Get("Retry-After") == "" {
				t.Error("nobody says when to come back")
			}
			id := b.Page.Header.Get("X-Request-Id")
			if !strings.Contains(b.Page.Text, id) {
				t.Error("the page does not show its request id")
			}
			without(t, "the page", b.Page.Text, brokersOwn, "half-a-secret-key", "elsewhere-secret", sts.URL)
			without(t, "the log", w.log.String(), "half-a-secret-key", "elsewhere-secret")
			said := recordsOf(w.record(t), id)
			if len(said) != 2 || strings.Contains(said[0], `"outcome"`) || strings.Contains(said[1], `"outcome":"granted"`) || !strings.Contains(said[1], `"reason":"aws_`) {
				t.Errorf("want an intent and a failure in the record, got:\n%s", strings.Join(said, "\n"))
			}
		})
	}
}

func recordsOf(record, id string) []string {
	var found []string
	for line := range strings.Lines(record) {
		if strings.Contains(line, `"request_id":"`+id+`"`) {
			found = append(found, line)
		}
	}
	return found
}

// SIGKILL in the middle of an order: the record has its intent, and at the next
// start nothing is lost that had been answered.
func TestWhatWasAnsweredIsThereAfterAnEndWithoutClosing(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	b := w.signIn(t, "corp")
	order(t, b, w.URL, "production/Admin")
	w.record(t)           // waits for the outcome
	copyOf := t.TempDir() // what a power cut would leave
	for _, name := range []string{"rolecall.db", "rolecall.db-wal", "rolecall.key", "audit.jsonl"} {
		data, err := os.ReadFile(filepath.Join(w.options.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "audit.jsonl" {
			data = append(data, `{"time":"2026-11-24T12:0`...)
		}
		write(t, filepath.Join(copyOf, name), string(data), 0o600)
	}
	again := *w.Config
	again.Store.Value, again.File = "sqlite:"+filepath.Join(copyOf, "rolecall.db"), ""
	d := start(t, Options{Config: &again, Log: w.options.Log, Now: time.Now, AWS: w.daemon.options.AWS})
	r := httptest.NewRequest(http.MethodGet, w.URL+"/", nil)
	for _, c := range b.Client.Jar.Cookies(b.Page.URL) {
		r.AddCookie(c)
	}
	answer := httptest.NewRecorder()
	if d.Handler().ServeHTTP(answer, r); answer.Code != 200 || !strings.Contains(answer.Body.String(), "Admin") {
		t.Errorf("the session is lost: %d", answer.Code)
	}
	text, err := os.ReadFile(filepath.Join(copyOf, "audit.jsonl"))
	if err != nil || !strings.Contains(string(text), `"event":"audit.recovered"`) || !strings.Contains(string(text), `"event":"credentials","outcome":"granted"`) {
		t.Errorf("the record: %v\n%s", err, text)
	}
}

// A clock that is set back must not open what has been closed.
func TestAClockThatGoesBackwardsHarmsNothing(t *testing.T) {
	t.Parallel()
	var back atomic.Int64
	log := &scripted.Log{}
	d := &Dev{options: DevOptions{Listen: "127.0.0.1:0", Data: t.TempDir(), Log: quiet("", "").Log,
		Now: func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }}}
	w := world{Dev: d, log: log}
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; _ = d.Close() })
	b := w.signIn(t, "staff")
	order(t, b, w.URL, "production/Admin")
	for _, step := range []time.Duration{time.Second, 30 * time.Minute, 2 * time.Hour} {
		back.Store(int64(step))
		if err := b.Get(w.URL + "/"); err != nil || b.Page.Status >= 500 {
			t.Errorf("%s back: %d %v", step, b.Page.Status, err)
		}
		if fresh := w.signIn(t, "corp"); keysOn(fresh.Page) != "" {
			t.Error("keys without an order")
		}
	}
	w.record(t) // the chain holds although times go back
}

// What the broker has to say of a missing configuration of AWS it says at the
// order, and never by asking somebody else's machine.
func TestWithoutKeysOfItsOwnTheBrokerServesAndSaysSoAtTheOrder(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	w := &Dev{options: quiet("127.0.0.1:0", t.TempDir())}
	if err := w.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.daemon.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.daemon, err = New(t.Context(), Options{Config: w.Config, Log: w.options.Log, Now: time.Now}); err != nil {
		t.Fatalf("a missing key stops the start: %v", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; _ = w.Close() })
	b := world{Dev: w}.signIn(t, "staff")
	order(t, b, w.URL, "production/Admin")
	if b.Page.Status != 503 || keysOn(b.Page) != "" {
		t.Errorf("%d %q", b.Page.Status, keysOn(b.Page))
	}
}
