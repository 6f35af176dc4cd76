// Package atonce answers a warm `rolecall credential-process` while the program
// is still starting. It is the one place where loading a package does work, on
// purpose: the program links HTTP, TLS, keyrings and a command-line library, and
// preparing those takes longer than the whole answer.
//
// Go initialises packages in the order of their import paths, each as soon as
// those that it imports are done (language specification, "Program
// initialization"). This one needs os, time and a hash, so its turn comes before
// net, net/http, crypto/tls and nearly everything of others. A test holds that
// order; where it changes the answer is the same, only later.
//
// Only the program's main package imports it.
package atonce

import (
	"os"
	"time"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/warm"
)

var _ = answer()

// answer prints and ends the process, or leaves all to main.
func answer() bool {
	line, ok := warm.Answer(os.Args[1:], os.Getenv, time.Now())
	if !ok {
		return false
	}
	if _, err := os.Stdout.Write(line); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
	return true
}
