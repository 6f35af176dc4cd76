//go:build linux

package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rolecall/rolecall/broker/audit"
)

// BenchmarkAppend puts the record beside its ceilings: a synced append for each
// record by itself, and the least group commit of a hash chain (write and sync by
// whoever comes first). docs/performance.md has the ratios.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(callersName(n)+"/bare-fdatasync-each", func(b *testing.B) {
			c := newCeiling(b)
			callers(b, n, func() error {
				c.commit.Lock()
				defer c.commit.Unlock()
				if _, err := c.file.Write(make([]byte, 400)); err != nil {
					return err
				}
				return syscall.Fdatasync(int(c.file.Fd()))
			})
		})
		b.Run(callersName(n)+"/ceiling-group-commit", func(b *testing.B) {
			c := newCeiling(b)
			body := make([]byte, 320)
			for i := range body {
				body[i] = 'x'
			}
			callers(b, n, func() error { return c.append(body) })
		})
		b.Run(callersName(n)+"/audit", func(b *testing.B) {
			l := open(b, newPath(b))
			e := audit.Event{
				RequestID: "0123456789abcdef", Event: "credentials", Provider: "corp", Subject: "alice", Username: "alice",
				Address: "192.0.2.1", Session: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Role: "arn:aws:iam::111122223333:role/Admin",
			}
			callers(b, n, func() error { return l.Append(b.Context(), e) })
		})
	}
}

func callersName(n int) string { return map[int]string{1: "1", 16: "16", 64: "64"}[n] }

func callers(b *testing.B, n int, op func() error) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	for range n {
		group.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// ceiling is a hash chain with group commit and nothing else: no JSON, no
// recovery, no look at whether the file is still there.
type ceiling struct {
	mu, commit sync.Mutex
	file       *os.File
	prev       [32]byte
	batch      *ceilingBatch
}

type ceilingBatch struct {
	lines []byte
	done  chan struct{}
	err   error
}

func newCeiling(b *testing.B) *ceiling {
	b.Helper()
	file, err := os.OpenFile(newPath(b), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	return &ceiling{file: file, batch: &ceilingBatch{done: make(chan struct{})}}
}

func (c *ceiling) append(body []byte) error {
	c.mu.Lock()
	batch := c.batch
	lead := len(batch.lines) == 0
	from := len(batch.lines)
	batch.lines = hex.AppendEncode(append(batch.lines, body...), c.prev[:])
	c.prev = sha256.Sum256(batch.lines[from:])
	c.mu.Unlock()
	if !lead {
		<-batch.done
		return batch.err
	}
	c.commit.Lock()
	c.mu.Lock()
	c.batch = &ceilingBatch{done: make(chan struct{}), lines: make([]byte, 0, cap(batch.lines))}
	c.mu.Unlock()
	if _, batch.err = c.file.Write(batch.lines); batch.err == nil {
		batch.err = syscall.Fdatasync(int(c.file.Fd()))
	}
	c.commit.Unlock()
	close(batch.done)
	return batch.err
}
