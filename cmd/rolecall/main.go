// Command rolecall brings AWS credentials from a rolecall broker to the command
// line: sign in once, then use it as the credential_process of AWS profiles.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "github.com/rolecall/rolecall/cmd/rolecall/internal/warm/atonce" // a warm credential-process ends here
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run executes one command line and gives the exit code: 0 done, 1 refused or
// failed, 2 wrong usage or configuration, 130 interrupted.
func run(args []string) int {
	endings := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		endings = append(endings, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endings...)
	defer stop()
	t := &tool{getenv: os.Getenv, environ: os.Environ, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
	return t.exitCode(ctx, t.root(args).ExecuteContext(ctx))
}
