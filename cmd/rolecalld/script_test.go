package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rolecalld": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			d := &daemon{getenv: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
			os.Exit(d.run(ctx, os.Args[1:])) //nolint:gocritic // as main does
		},
	})
}

// Each script is what an operator types and reads.
func TestScripts(t *testing.T) {
	t.Parallel()
	corpus, err := filepath.Abs("../../testdata/saml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SAML", corpus)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "bad-tokens": badTokens, "bad-tokens-within-2s": badTokensSoon,
		},
	})
}

// await FILE PATTERN waits until a line of a file matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var text []byte
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		text, _ = os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		if pattern.Match(text) {
			return
		}
	}
	ts.Fatalf("%s never holds %q:\n%s", args[0], args[1], text)
}

var listening = regexp.MustCompile(`"listen":"(127\.0\.0\.1:\d+)"`)

// exchange brings a token of nobody to the daemon whose log is there, and gives the status.
func exchange(ts *testscript.TestScript) int {
	found := listening.FindStringSubmatch(ts.ReadFile("log"))
	if found == nil {
		ts.Fatalf("the log does not say where it listens")
	}
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"a.b.c"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+found[1]+"/oauth2/token", strings.NewReader(form.Encode()))
	ts.Check(err)
	r.Host = "127.0.0.1:8497"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	ts.Check(resp.Body.Close())
	return resp.StatusCode
}

// badTokens N STATUS brings so many tokens, and each must be answered so.
func badTokens(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := range n {
		if got := strconv.Itoa(exchange(ts)); got != args[1] {
			ts.Fatalf("token %d: %s, want %s", i+1, got, args[1])
		}
	}
}

// badTokensSoon STATUS waits at most two seconds for an answer.
func badTokensSoon(ts *testscript.TestScript, _ bool, args []string) {
	got := ""
	for late := time.Now().Add(2 * time.Second); got != args[0]; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			ts.Fatalf("after two seconds: %s, want %s", got, args[0])
		}
		got = strconv.Itoa(exchange(ts))
	}
}
