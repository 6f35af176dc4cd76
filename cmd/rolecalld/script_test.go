package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rolecalld": func() {
			d := &daemon{getenv: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
			os.Exit(d.run(context.Background(), os.Args[1:]))
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
	})
}
