// Command rolecalld is the broker: it signs people in at identity providers and
// hands out temporary AWS credentials by one policy.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&daemon{getenv: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
