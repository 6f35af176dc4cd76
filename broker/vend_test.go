package broker_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
)

func TestAGrantedRoleBecomesCredentials(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	vended, err := b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := vended.Credentials.AssumedRoleARN, "arn:aws:sts::111122223333:assumed-role/Admin/alice"; got != want {
		t.Errorf("the credentials act as %s, want %s", got, want)
	}
	records := b.recorded(t, "credentials")
	if len(records) != 2 {
		t.Fatalf("recorded %v, want an intent and an outcome", records)
	}
	intent, outcome := records[0], records[1]
	if _, has := intent["outcome"]; has {
		t.Errorf("the intent has an outcome: %v", intent)
	}
	if outcome["outcome"] != "granted" || outcome["access_key_id"] != vended.Credentials.AccessKeyID {
		t.Errorf("the outcome is %v", outcome)
	}
	for _, key := range []string{"request_id", "role", "grant", "session_name", "source_identity", "duration", "session", "subject", "address"} {
		if intent[key] == nil || intent[key] != outcome[key] {
			t.Errorf("%s: intent %v, outcome %v", key, intent[key], outcome[key])
		}
	}
}

func TestASecondOrderComesFromTheCacheAndIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	for range 2 {
		if _, err := b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"}); err != nil {
			t.Fatal(err)
		}
	}
	records := b.recorded(t, "credentials")
	if b.calls.n != 1 || len(records) != 4 || records[3]["cached"] != true || records[1]["cached"] != nil {
		t.Errorf("%d calls of STS, recorded %v", b.calls.n, records)
	}
}

func TestWhatIsNotGrantedIsRefusedBeforeAWSIsAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order  broker.Order
		code   broker.Code
		reason string
	}{
		"a role of nobody":                {broker.Order{Role: "production/Nothing"}, broker.AccessDenied, "role_not_granted"},
		"a role of an unknown account":    {broker.Order{Role: "arn:aws:iam::999900001111:role/Admin"}, broker.AccessDenied, "role_not_granted"},
		"the role in another case":        {broker.Order{Role: "production/admin"}, broker.AccessDenied, "role_not_granted"},
		"a wildcard":                      {broker.Order{Role: "arn:aws:iam::111122223333:role/*"}, broker.InvalidRequest, "malformed_role"},
		"no role":                         {broker.Order{}, broker.InvalidRequest, "malformed_role"},
		"a user's ARN":                    {broker.Order{Role: "arn:aws:iam::111122223333:user/alice"}, broker.InvalidRequest, "malformed_role"},
		"a role that wants a factor more": {broker.Order{Role: "production/Vault"}, broker.StepUp, "step_up"},
		"longer than the grant":           {broker.Order{Role: "production/Admin", Duration: "61m"}, broker.InvalidRequest, "duration_out_of_bounds"},
		"shorter than STS":                {broker.Order{Role: "production/Admin", Duration: "899"}, broker.InvalidRequest, "duration_out_of_bounds"},
		"negative":                        {broker.Order{Role: "production/Admin", Duration: "-1h"}, broker.InvalidRequest, "duration_out_of_bounds"},
		"no duration at all":              {broker.Order{Role: "production/Admin", Duration: "soon"}, broker.InvalidRequest, "malformed_duration"},
		"a policy that is none":           {broker.Order{Role: "production/Admin", Policy: `{"Statement":1}`}, broker.InvalidRequest, "policy_not_narrower"},
		"a policy beside managed ones": {broker.Order{Role: "production/Bounded",
			Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`}, broker.InvalidRequest, "policy_not_narrower"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, err := b.Vend(t.Context(), origin, b.caller(t), c.order)
			refused(t, err, c.code, c.reason)
			records := b.recorded(t, "credentials")
			if b.calls.n != 0 || len(records) != 1 || records[0]["outcome"] != "refused" || records[0]["reason"] != c.reason {
				t.Errorf("%d calls of STS, recorded %v", b.calls.n, records)
			}
		})
	}
}

func TestAllThatIsAskedForWithinBoundsIsGiven(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	for _, order := range []broker.Order{
		{Role: "arn:aws:iam::111122223333:role/Admin", Duration: "15m"},
		{Role: "111122223333/Admin", Duration: "1800"},
		{Role: "production/Admin", Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`},
	} {
		if _, err := b.Vend(t.Context(), origin, alice, order); err != nil {
			t.Errorf("%+v: %v", order, err)
		}
	}
	if b.calls.n != 3 {
		t.Errorf("%d calls of STS for three different orders", b.calls.n)
	}
}

func TestWhatAWSRefusesIsSaidWithoutOurPrincipal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.Vend(t.Context(), origin, b.caller(t), broker.Order{Role: "production/Missing"})
	refused(t, err, broker.AWSRefused, "aws_AccessDenied")
	if strings.Contains(broker.Shown(err).Message, "arn:") {
		t.Errorf("the caller reads %q", broker.Shown(err).Message)
	}
	records := b.recorded(t, "credentials")
	if len(records) != 2 || records[1]["outcome"] != "refused" || !strings.Contains(records[1]["detail"].(string), brokerUser) {
		t.Errorf("the record does not say whom AWS refused: %v", records)
	}
}

func TestWithoutARecordNothingIsHandedOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	b.record.fail()
	vended, err := b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"})
	refused(t, err, broker.Unavailable, "audit")
	if vended.Credentials.AccessKeyID != "" {
		t.Error("credentials without a record")
	}
	console, err := b.Console(t.Context(), origin, alice, broker.ConsoleOrder{Role: "production/Admin"})
	refused(t, err, broker.Unavailable, "audit")
	if !console.URL.IsZero() {
		t.Error("a console without a record")
	}
}

func TestCredentialsEndWithTheProvidersSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.login.NotAfter = b.clock.Now().Add(20 * time.Minute)
	alice := b.caller(t)
	vended, err := b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"})
	if err != nil {
		t.Fatal(err)
	}
	if vended.Credentials.Expires.After(b.provider.login.NotAfter) {
		t.Errorf("they live until %s, past %s", vended.Credentials.Expires, b.provider.login.NotAfter)
	}
	b.clock.advance(6 * time.Minute)
	_, err = b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"})
	refused(t, err, broker.StepUp, "session_ends")
}

func TestTwoPeopleOfOneNameHaveTwoSessionNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.caller(t)
	b.provider.login = b.login("alice", "platform")
	b.provider.login.Identity.Subject = "another-alice"
	second := b.caller(t)
	one, err := b.Vend(t.Context(), origin, first, broker.Order{Role: "production/Admin"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Vend(t.Context(), origin, second, broker.Order{Role: "production/Admin"})
	if err != nil {
		t.Fatal(err)
	}
	if one.Credentials.AssumedRoleARN == two.Credentials.AssumedRoleARN || one.Credentials.AccessKeyID == two.Credentials.AccessKeyID {
		t.Errorf("both are %s", one.Credentials.AssumedRoleARN)
	}
	decision, err := b.Explain(t.Context(), origin, second, "production/Admin")
	if err != nil || len(decision.Granted) != 1 || !strings.HasSuffix(two.Credentials.AssumedRoleARN, "/"+decision.Granted[0].SessionName) {
		t.Errorf("explain foretells %+v, %v; STS gave %s", decision.Granted, err, two.Credentials.AssumedRoleARN)
	}
}

func TestTheConsoleOpensForRolesThatHaveOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	console, err := b.Console(t.Context(), origin, alice, broker.ConsoleOrder{Role: "production/Admin", Service: "s3", Region: "eu-west-1"})
	if err != nil || !strings.Contains(console.URL.Reveal(), "SigninToken=") {
		t.Errorf("%v", err)
	}
	_, err = b.Console(t.Context(), origin, alice, broker.ConsoleOrder{Role: "production/Program"})
	refused(t, err, broker.AccessDenied, "no_console")
	_, err = b.Console(t.Context(), origin, alice, broker.ConsoleOrder{Role: "production/Admin", Service: "../evil"})
	refused(t, err, broker.InvalidRequest, "bad_console_target")
	records := b.recorded(t, "console")
	if last := records[len(records)-1]; last["outcome"] != "failed" || last["reason"] != "bad_console_target" {
		t.Errorf("the last record is %v", last)
	}
}

func TestRolesListWhatIsGrantedAndWhatIsWithheld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	roles, err := b.Roles(t.Context(), origin, b.caller(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range roles {
		state := "granted"
		if r.Withheld != "" {
			state = "withheld"
		}
		if r.StepUp {
			state = "step up"
		}
		got[r.AccountName+"/"+r.ARN.Name] = state
	}
	if got["production/Admin"] != "granted" || got["production/Vault"] != "step up" || len(got) != 5 {
		t.Errorf("%v", got)
	}
}

func TestAPersonWhoOrdersTooOftenWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	var err error
	for range 11 {
		_, err = b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"})
	}
	refused(t, err, broker.RateLimited, "rate_limited")
}

// What is left of kept credentials does not shorten the console: AWS lets a
// session of a user's keys last as long as it is told.
func TestAConsoleLastsAsLongAsTheGrantSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := b.caller(t)
	if _, err := b.Vend(t.Context(), origin, alice, broker.Order{Role: "production/Admin"}); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(40 * time.Minute)
	opened, err := b.Console(t.Context(), origin, alice, broker.ConsoleOrder{Role: "production/Admin"})
	if err != nil {
		t.Fatal(err)
	}
	if b.calls.n != 1 {
		t.Fatalf("%d orders: the credentials were not kept ones", b.calls.n)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Jar: jar}).Get(opened.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if ends := b.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339); !strings.Contains(string(text), ends) {
		t.Errorf("it does not last until %s:\n%s", ends, text)
	}
}
