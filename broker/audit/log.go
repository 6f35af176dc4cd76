package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"
)

// ErrFailed says that the record cannot be written. It is final: after one failed
// write or sync what is on the disk is not known, so nothing more is accepted
// until the process has been started again.
var ErrFailed = errors.New("the audit record cannot be written")

// Config is what a Log is made of. All fields but Observe are required.
type Config struct {
	File string
	Now  func() time.Time
	Log  *slog.Logger
	// Observe hears of every record, with how long its caller waited for the disk (zero
	// where it does not wait) and what went wrong. It must not wait.
	Observe func(event Event, took time.Duration, err error)
}

// Log is the record of one process: it owns the file and one goroutine that
// writes to it, from Open until Close. It is safe for concurrent use.
type Log struct {
	cfg  Config
	file *os.File

	wake chan struct{} // one waiting batch, or closed
	done chan struct{} // the writer has ended

	mu    sync.Mutex
	prev  digest
	batch *batch
	// written is the batch that the writer took last, nil before the first.
	written *batch
	closed  bool
	failed  error
	// size is the writer's: how long the file must be.
	size int64
}

// batch is the records that reach the disk by one write and one sync.
type batch struct {
	lines   []byte
	records int
	done    chan struct{}
	err     error // read after done
}

// newBatch writes its lines where those of one that is on the disk were.
func newBatch(room []byte) *batch { return &batch{lines: room[:0], done: make(chan struct{})} }

// Open takes the file for this process, creates it where there is none, and goes
// on with the chain where it ended. A record that a crash left unfinished is cut
// off and a record of that is written: see the package comment.
func Open(config Config) (*Log, error) {
	file, err := openFile(config.File)
	if err != nil {
		return nil, err
	}
	end, err := recoverEnd(file)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("audit: %s: %w", config.File, err)
	}
	l := &Log{
		cfg: config, file: file, prev: end.last, size: end.size, batch: newBatch(nil),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go l.write()
	if end.torn > 0 {
		config.Log.Warn("an unfinished audit record was cut off; the process had been killed while writing", "file", config.File, "bytes", end.torn)
		err := l.Append(context.Background(), Event{
			RequestID: "audit-" + end.last.String()[:16], Event: "audit.recovered", Outcome: Failed, Reason: "unfinished_record",
			Detail: fmt.Sprintf("%d bytes of an unfinished record were cut off, SHA-256 %s", end.torn, end.tornDigest),
		})
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	config.Log.Info("audit record opened", "file", config.File, "last_hash", end.last.String(), "bytes", end.size)
	return l, nil
}

// Append adds a record to the chain and returns once it, and every record before
// it, is on the disk. Records that come while a sync is under way share the next
// one. Where ctx ends first the record may be written all the same.
func (l *Log) Append(ctx context.Context, event Event) error {
	if l.cfg.Observe == nil {
		return l.append(ctx, event)
	}
	begun := l.cfg.Now()
	err := l.append(ctx, event)
	l.cfg.Observe(event, l.cfg.Now().Sub(begun), err)
	return err
}

func (l *Log) append(ctx context.Context, event Event) error {
	body, err := event.encode()
	if err != nil {
		return err
	}
	b, err := l.add(body)
	if err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("audit: gave up waiting for the disk: %w", ctx.Err())
	}
}

// Later adds a record to the chain and does not wait for the disk: it is for the
// outcome of an order whose intent is there already. It follows within the next
// sync, and Close waits for it; a kill before that leaves the intent alone. The
// error says that no records are taken any more.
func (l *Log) Later(event Event) error {
	body, err := event.encode()
	if err == nil {
		_, err = l.add(body)
	}
	if l.cfg.Observe != nil {
		l.cfg.Observe(event, 0, err)
	}
	return err
}

// Flush returns once every record that was added before is on the disk.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	b := l.batch
	if b.records == 0 {
		b = l.written
	}
	l.mu.Unlock()
	if b == nil {
		return nil
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("audit: gave up waiting for the disk: %w", ctx.Err())
	}
}

// add chains a record into the batch that is next to be written.
func (l *Log) add(body []byte) (*batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return nil, l.failed
	case l.closed:
		return nil, fmt.Errorf("%w: it is closed", ErrFailed)
	}
	b := l.batch
	b.lines, l.prev = appendLine(b.lines, l.cfg.Now(), body, l.prev)
	if b.records++; b.records == 1 {
		l.wake <- struct{}{} // has room: the writer takes the token before the batch
	}
	return b, nil
}

// write is the one goroutine that touches the file. It ends when Close has
// closed wake and the last batch is on the disk.
func (l *Log) write() {
	defer close(l.done)
	var room []byte
	for range l.wake {
		// Whoever was answered a moment ago may have its next record ready: letting
		// them run first makes syncs fewer and fuller.
		runtime.Gosched()
		l.mu.Lock()
		b := l.batch
		l.batch, l.written = newBatch(room), b
		l.mu.Unlock()
		if b.err = l.commit(b); b.err != nil {
			l.fail(b.err)
		}
		room, b.lines = b.lines, nil // who waits for the batch reads its error alone
		if cap(room) > maxRoom {
			room = nil
		}
		close(b.done)
	}
}

// maxRoom is the most that is kept for the next batch but one.
const maxRoom = 1 << 20

func (l *Log) commit(b *batch) error {
	l.mu.Lock()
	failed := l.failed
	l.mu.Unlock()
	if failed != nil { // its records follow ones that are lost
		return failed
	}
	if _, err := l.file.Write(b.lines); err != nil {
		return fmt.Errorf("%w: write: %w", ErrFailed, err)
	}
	l.size += int64(len(b.lines))
	if err := datasync(l.file); err != nil {
		return fmt.Errorf("%w: sync: %w", ErrFailed, err)
	}
	return l.unmoved()
}

// unmoved makes sure that what was written is where people look for it: the file
// has not been moved, removed, shortened or written to by anybody else.
func (l *Log) unmoved() error {
	at, err := os.Stat(l.cfg.File)
	if err != nil {
		return fmt.Errorf("%w: the file was moved or removed under the running process: %w", ErrFailed, err)
	}
	ours, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	switch {
	case !os.SameFile(at, ours):
		return fmt.Errorf("%w: another file has taken the place of %s", ErrFailed, l.cfg.File)
	case at.Size() != l.size:
		return fmt.Errorf("%w: %s has %d bytes and should have %d: somebody else wrote to it", ErrFailed, l.cfg.File, at.Size(), l.size)
	}
	return nil
}

func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
		l.cfg.Log.Error("the audit record cannot be written; nothing is handed out until the next start", "file", l.cfg.File, "error", err)
	}
}

// Ready reports whether records are still taken; the error is final.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close writes what is waiting, ends the writer and gives the file up.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	close(l.wake)
	l.mu.Unlock()
	<-l.done
	l.cfg.Log.Info("audit record closed", "file", l.cfg.File, "last_hash", l.prev.String(), "bytes", l.size)
	return l.file.Close()
}
