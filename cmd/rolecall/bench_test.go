package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/cache"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// BenchmarkWarmCredentialProcess starts the real program and a bare reader of one
// sealed file in turn, and reports the median of their ratios: the goal is 1.4 at
// most, 1.15 is what we are after.
func BenchmarkWarmCredentialProcess(b *testing.B) {
	dir := b.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", dir+string(filepath.Separator), ".", "./internal/warm/testdata/reader")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	profile := settings.Settings{Dir: filepath.Join(dir, "conf"), Profile: settings.DefaultProfile, URL: "https://sso.example.com"}
	document := iam.ProcessDocument{Version: 1, AccessKeyID: "ASIAEXAMPLEEXAMPLE12", SecretAccessKey: strings.Repeat("s", 40),
		SessionToken: strings.Repeat("ABCDEFGH", 100), Expiration: time.Now().Add(12 * time.Hour).UTC().Truncate(time.Second), AccountID: "111122223333"}
	kept := cache.Cache{Settings: profile, Now: time.Now}
	if err := profile.Remember(""); err != nil {
		b.Fatal(err)
	}
	if err := kept.Put(cache.Key{URL: profile.URL, Role: "production/Admin"}, document); err != nil {
		b.Fatal(err)
	}
	line, err := json.Marshal(document)
	if err != nil {
		b.Fatal(err)
	}
	reader, sealed := filepath.Join(dir, "reader"), filepath.Join(dir, "sealed")
	if out, err := exec.Command(reader, sealed, string(line)).CombinedOutput(); err != nil {
		b.Fatalf("%v %s", err, out)
	}
	ours := []string{filepath.Join(dir, "rolecall"), "credential-process", "--config-dir", profile.Dir, "--role", "production/Admin"}
	var us, them, ratios []float64
	for b.Loop() { // pair by pair, so that others on the machine disturb both
		a, of := timed(b, ours), timed(b, []string{reader, sealed})
		us, them, ratios = append(us, a), append(them, of), append(ratios, a/of)
	}
	b.ReportMetric(median(us), "rolecall-µs")
	b.ReportMetric(median(them), "reader-µs")
	b.ReportMetric(median(ratios), "x-of-reader")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// timed is how long a process takes from start to end, in microseconds.
func timed(b *testing.B, args []string) float64 {
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout = &out
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil || !bytes.Contains(out.Bytes(), []byte(`"Version":1`)) {
		b.Fatalf("%v: %v %s", args, err, out.Bytes())
	}
	return float64(took.Microseconds())
}
