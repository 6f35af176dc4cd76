package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rolecall": main,
		"person":   personMain,
		"child":    childMain,
	})
}

// startDev runs a whole broker, identity provider and AWS on loopback, in this
// process, until the test ends.
func startDev(t *testing.T) *assemble.Dev {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dev, err := assemble.NewDev(ctx, assemble.DevOptions{
		Listen: "127.0.0.1:0", Data: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the broker ended with %v", err)
		}
	})
	return dev
}

// Every script runs against the same real broker, with a home of its own. The
// browser of a script is the program `person`, who signs in as $PERSON.
func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts are written for a Unix system")
	}
	t.Run("scripts", func(t *testing.T) { // ends when all parallel scripts have
		dev := startDev(t)
		bin := t.TempDir()
		testscript.Run(t, testscript.Params{
			Dir:                 "testdata/script",
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
			Setup: func(e *testscript.Env) error {
				home := filepath.Join(e.WorkDir, "home")
				for _, p := range dev.People {
					e.Setenv("PASSWORD_"+p.Username, p.Password.Reveal())
				}
				for name, value := range map[string]string{
					"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "ROLECALL_KEYRING": "file",
					"URL": dev.URL, "STS": dev.AWS, "BROWSER": "person", "PERSON": "alice", "PROVIDER": "corp", "TMPDIR": e.WorkDir,
					"NO_PROXY": "*", "BIN": bin, "SHELL": "/bin/sh",
				} {
					e.Setenv(name, value)
				}
				return os.MkdirAll(home, 0o700)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"mode":   checkMode,
				"lineup": checkOrder,
				"sed":    replaceInFile,
			},
		})
	})
}

// checkMode is `mode 0600 FILE`.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// checkOrder is `lineup FILE WORD...`: the words are in the file, in this order.
func checkOrder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: lineup FILE WORD...")
	}
	rest := ts.ReadFile(args[0])
	for _, word := range args[1:] {
		_, after, found := strings.Cut(rest, word)
		if !found {
			ts.Fatalf("%q is not (or not in this order) in\n%s", word, ts.ReadFile(args[0]))
		}
		rest = after
	}
}

// replaceInFile is `sed FILE OLD NEW`.
func replaceInFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: sed FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q:\n%s", args[0], args[1], text)
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), info.Mode()))
}
