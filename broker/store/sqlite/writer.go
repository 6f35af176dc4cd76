package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
)

// errClosed is what a write gets after Close.
var errClosed = errors.New("the store is closed")

// maxBatch bounds how many operations wait for one another's commit.
const maxBatch = 256

// writer is the one goroutine that writes. It takes everybody who waits into one
// transaction; each operation succeeds or fails by itself, and all are answered
// when the transaction is on the disk.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // by text, of conn; the goroutine's own

	ops  chan op
	stop chan struct{} // closed by close
	done chan struct{} // the goroutine has ended
}

// op is one operation of a caller who waits.
type op interface {
	// gone reports whether the caller has given up already.
	gone() bool
	// single reports whether run is one statement, which undoes itself where it fails.
	single() bool
	run(tx *tx) error
	answer(err error)
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		conn: conn, stmts: map[string]*sql.Stmt{},
		ops: make(chan op), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

// close ends the goroutine after what was handed to it is done.
func (w *writer) close() error {
	close(w.stop)
	<-w.done
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case first := <-w.ops:
			w.commit(w.collect(first))
		case <-w.stop:
			return
		}
	}
}

// collect takes whoever waits at this moment.
func (w *writer) collect(first op) []op {
	batch := []op{first}
	runtime.Gosched() // whoever was answered a moment ago may have its next operation ready
	for len(batch) < maxBatch {
		select {
		case next := <-w.ops:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. Where that fails as a whole, nothing of
// it has happened, or nobody knows; so everybody gets the error.
func (w *writer) commit(batch []op) {
	tx := &tx{w: w}
	failed := make([]error, len(batch))
	err := tx.exec("BEGIN IMMEDIATE")
	begun := err == nil
	for i, o := range batch {
		if err != nil {
			break
		}
		if o.gone() {
			failed[i] = context.Canceled
			continue
		}
		failed[i], err = w.apply(tx, o)
	}
	if err == nil {
		err = tx.exec("COMMIT")
	}
	if err != nil {
		err = fmt.Errorf("commit: %w", err)
	}
	if err != nil && begun { // SQLite may have rolled back already: then this fails and changes nothing
		_ = tx.exec("ROLLBACK")
	}
	for i, o := range batch {
		if err != nil {
			failed[i] = err
		}
		o.answer(failed[i])
	}
}

// apply runs one operation so that its failure undoes itself and nothing else.
// The second error is of the transaction.
func (w *writer) apply(tx *tx, o op) (own, whole error) {
	if o.single() {
		return o.run(tx), nil
	}
	if whole := tx.exec("SAVEPOINT op"); whole != nil {
		return nil, whole
	}
	if own = o.run(tx); own != nil {
		if whole := tx.exec("ROLLBACK TO op"); whole != nil {
			return own, whole
		}
	}
	return own, tx.exec("RELEASE op")
}

// request is an op with its result.
type request[T any] struct {
	ctx    context.Context
	one    bool
	do     func(*tx) (T, error)
	result T
	err    error
	done   chan struct{}
}

func (r *request[T]) gone() bool { return r.ctx.Err() != nil }

func (r *request[T]) single() bool { return r.one }

func (r *request[T]) run(tx *tx) (err error) {
	r.result, err = r.do(tx)
	return err
}

func (r *request[T]) answer(err error) {
	r.err = err
	close(r.done)
}

// write hands an operation to the writer and waits until it is on the disk. Where
// ctx ends first it may happen all the same.
func write[T any](ctx context.Context, s *Store, do func(*tx) (T, error)) (T, error) {
	return submit(s, &request[T]{ctx: ctx, do: do, done: make(chan struct{})})
}

// writeOne is write for an operation of one statement.
func writeOne[T any](ctx context.Context, s *Store, do func(*tx) (T, error)) (T, error) {
	return submit(s, &request[T]{ctx: ctx, do: do, one: true, done: make(chan struct{})})
}

func submit[T any](s *Store, r *request[T]) (result T, err error) {
	defer func() { s.stats.write(err) }()
	var none T
	select {
	case s.writer.ops <- r:
	case <-s.writer.stop:
		return none, errClosed
	case <-r.ctx.Done():
		return none, fmt.Errorf("gave up waiting for the store: %w", r.ctx.Err())
	}
	select {
	case <-r.done:
	case <-r.ctx.Done():
		return none, fmt.Errorf("gave up waiting for the store: %w", r.ctx.Err())
	}
	if r.err != nil {
		return none, r.err
	}
	return r.result, nil
}

// do runs several statements without a result.
func do(ctx context.Context, s *Store, run func(*tx) error) error {
	_, err := write(ctx, s, func(tx *tx) (struct{}, error) { return struct{}{}, run(tx) })
	return err
}

// exec runs one statement.
func (s *Store) exec(ctx context.Context, text string, args ...any) error {
	_, err := s.affect(ctx, text, args...)
	return err
}

// affect runs one statement and reports how many rows it changed.
func (s *Store) affect(ctx context.Context, text string, args ...any) (int64, error) {
	return writeOne(ctx, s, func(tx *tx) (int64, error) { return tx.affect(text, args...) })
}

// tx is the open transaction. Its statements are not cancelled by a caller's
// context: others share the transaction, and the driver would start a goroutine
// for each.
type tx struct{ w *writer }

func (t *tx) stmt(text string) (*sql.Stmt, error) {
	if stmt, ok := t.w.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := t.w.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.w.stmts[text] = stmt
	return stmt, nil
}

func (t *tx) exec(text string, args ...any) error {
	_, err := t.affect(text, args...)
	return err
}

// affect runs a statement and reports how many rows it changed.
func (t *tx) affect(text string, args ...any) (int64, error) {
	stmt, err := t.stmt(text)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query runs a statement that gives at most one row; found is false for none.
func (t *tx) query(text string, args []any, into ...any) (found bool, err error) {
	stmt, err := t.stmt(text)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(context.Background(), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
