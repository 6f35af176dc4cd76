package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// childMain is a program to run under exec: it does what its first word says.
func childMain() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch args := os.Args[2:]; os.Args[1] {
	case "sts": // a stock SDK that finds its credentials by itself
		loaded, err := config.LoadDefaultConfig(ctx)
		fail(err)
		who, err := sts.NewFromConfig(loaded).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		fail(err)
		fmt.Println(*who.Arn, loaded.Region)
	case "exit":
		var code int
		_, err := fmt.Sscan(args[0], &code)
		fail(err)
		os.Exit(code)
	case "die":
		fail(syscall.Kill(os.Getpid(), syscall.SIGKILL))
		<-ctx.Done()
	case "env":
		env := os.Environ()
		slices.Sort(env)
		for _, v := range env {
			if strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "ROLECALL_EXEC") {
				fmt.Println(v)
			}
		}
	case "signals": // says that it is ready, and which signal came
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
		fail(os.WriteFile(args[0], []byte("ready\n"), 0o600))
		select {
		case s := <-heard:
			fmt.Println("heard", s)
			os.Exit(42)
		case <-ctx.Done():
		}
		os.Exit(1)
	case "count": // how many interrupts one Ctrl-C makes
		heard := make(chan os.Signal, 9)
		signal.Notify(heard, syscall.SIGINT)
		fail(os.WriteFile(args[0], []byte("ready\n"), 0o600))
		n := 0
		for wait := 10 * time.Second; ; wait = 300 * time.Millisecond { // after the first, what comes with it
			select {
			case <-heard:
				n++
				continue
			case <-time.After(wait):
			}
			break
		}
		fail(os.WriteFile(args[0]+".count", fmt.Appendln(nil, n), 0o600))
	case "await": // a file that has a word
		for ctx.Err() == nil {
			if text, err := os.ReadFile(args[0]); err == nil && strings.Contains(string(text), args[1]) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		fail(ctx.Err())
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
