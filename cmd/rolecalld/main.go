// Command rolecalld is the broker: it signs people in at identity providers and
// hands out temporary AWS credentials by one policy.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// heapGrowth is how much the heap may grow between two collections, in percent. What
// lives is a few megabytes: by Go's default of 100 the collector would run all the time.
const heapGrowth = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&daemon{getenv: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
