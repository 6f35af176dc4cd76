package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Query says which records Search gives.
type Query struct {
	// Contains must stand in the line, byte for byte; nil is any. It spares decoding others.
	Contains []byte
	// Match judges a decoded record; nil is any.
	Match func(Record) bool
	// Since ends the search at the first record that is older; zero is none.
	Since time.Time
	// Until begins it at the newest record that is not newer; zero is the end of the file.
	Until time.Time
	// Before begins it at the records before a place, Found.Next or Record.At, whatever
	// has been appended since; zero is the end of the file.
	Before int64
	// After looks the other way: at the records behind the one that has this byte, and
	// gives those that are nearest to it. Before does not count then.
	After int64
	// Limit bounds the records given, Bytes how much of the file is read.
	Limit int
	Bytes int64
}

// Record is one line as it stands in the file.
type Record struct {
	Time time.Time `json:"time"`
	Event
	Hash string `json:"hash"`
	// At is its place: the offset of its first byte.
	At int64 `json:"-"`
}

// Found is what a search gives.
type Found struct {
	Records []Record // newest first
	// Read is how many records were looked at; Whole says that they link into one chain.
	Read  int
	Whole bool
	// More says that the bounds ended the search: there are records that were not
	// looked at, before Next.
	More bool
	Next int64
}

// ErrNoRecord says that no record begins or ends at a place.
var ErrNoRecord = errors.New("no record of this file begins there")

// Search reads the end of this process's file, newest record first. It reads what
// is on the disk, beside the writer and without holding it up.
func (l *Log) Search(ctx context.Context, q Query) (Found, error) {
	limit, ahead := q.Limit, q.After > 0
	if ahead {
		q.Limit = 0
	}
	var records []Record
	found, err := l.Walk(ctx, q, func(r Record, _ []byte) error {
		records = append(records, r)
		return nil
	})
	if ahead && len(records) > limit { // those nearest to the place come last
		records = slices.Clone(records[len(records)-limit:])
	}
	found.Records = records
	if ahead && len(records) > 0 {
		found.Next = records[len(records)-1].At
	}
	return found, err
}

// Walk is Search that hands each record that fits, with its very line, to each
// while it goes, and keeps none; an error of each ends it. A Limit of 0 is none.
func (l *Log) Walk(ctx context.Context, q Query, each func(r Record, line []byte) error) (Found, error) {
	found, err := l.walk(ctx, q, each)
	if err != nil {
		return Found{}, fmt.Errorf("audit: search: %w", err)
	}
	return found, nil
}

func (l *Log) walk(ctx context.Context, q Query, each func(Record, []byte) error) (found Found, err error) {
	lines, err := l.backward(q)
	if err != nil {
		return Found{}, err
	}
	defer func() { err = errors.Join(err, lines.file.Close()) }()
	found.Whole = true
	var next digest // prev of the record after
	given := 0
	for {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		line, err := lines.previous()
		if err != nil || line == nil {
			found.Next, found.More = lines.at, lines.at > 0 && q.After == 0
			return found, err
		}
		link, failed := parse(line)
		if failed != nil || (found.Read > 0 && link.hash != next) {
			found.Whole = false
		}
		next = link.prev
		found.Read++
		if q.Contains != nil && !bytes.Contains(line, q.Contains) {
			continue
		}
		r := Record{At: lines.at}
		if json.Unmarshal(line, &r) != nil {
			continue // Whole says it
		}
		if r.Time.Before(q.Since) {
			return found, nil
		}
		if (!q.Until.IsZero() && r.Time.After(q.Until)) || (q.Match != nil && !q.Match(r)) {
			continue
		}
		if q.Limit > 0 && given >= q.Limit {
			found.More, found.Next = true, r.At+int64(len(line))+1
			return found, nil
		}
		if err := each(r, line); err != nil {
			return found, err
		}
		given++
	}
}

// chunk is how much is read at a time; a line may be longer.
const chunk = 1 << 20

// backward gives the lines of a file from its end to its beginning.
type backward struct {
	file  *os.File
	held  []byte // whole lines but for the first, from at on
	at    int64  // of the line that was given last; where nothing was, of the end
	start int64  // of held in the file
	floor int64  // nothing before it is read
	exact bool   // a line begins at floor
}

// backward opens the part of the file that a query is about.
func (l *Log) backward(q Query) (*backward, error) {
	file, err := os.Open(l.cfg.File)
	if err != nil {
		return nil, err
	}
	b := &backward{file: file}
	if err := b.bound(q); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return b, nil
}

func (b *backward) bound(q Query) error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	switch {
	case q.After > 0:
		if b.floor, err = b.nextLine(q.After, end); err != nil {
			return err
		}
		b.exact = true
		end = min(end, b.floor+q.Bytes)
	case q.Before > 0:
		if ok, err := b.begins(q.Before, end); err != nil || !ok {
			return errors.Join(err, ErrNoRecord)
		}
		end = q.Before
	case !q.Until.IsZero():
		if end, err = b.newer(q.Until, end); err != nil {
			return err
		}
	}
	if q.After == 0 {
		b.floor = max(0, end-q.Bytes)
		b.exact = b.floor == 0
	}
	b.start, b.at = end, end
	return b.unfinished()
}

// begins reports whether a record begins at a place, or the file ends there.
func (b *backward) begins(at, size int64) (bool, error) {
	if at <= 0 || at > size {
		return at == 0, nil
	}
	var one [1]byte
	_, err := b.file.ReadAt(one[:], at-1)
	return one[0] == '\n', err
}

// nextLine is where the line behind the one with a byte begins, or the end.
func (b *backward) nextLine(at, size int64) (int64, error) {
	if at >= size {
		return size, nil
	}
	window := make([]byte, min(size-at, 2*maxRecord))
	if _, err := b.file.ReadAt(window, at); err != nil {
		return 0, err
	}
	if i := bytes.IndexByte(window, '\n'); i >= 0 {
		return at + int64(i) + 1, nil
	}
	return size, nil
}

// unfinished drops what follows the last newline: the writer is at it, or the
// bytes of a bound end there.
func (b *backward) unfinished() error {
	for b.start > b.floor {
		if i := bytes.LastIndexByte(b.held, '\n'); i >= 0 {
			b.held = b.held[:i+1]
			b.at = b.start + int64(i) + 1
			return nil
		}
		if err := b.more(); err != nil {
			return err
		}
	}
	if i := bytes.LastIndexByte(b.held, '\n'); i >= 0 {
		b.held, b.at = b.held[:i+1], b.start+int64(i)+1
		return nil
	}
	b.held, b.at = nil, b.floor
	return nil
}

// more reads the chunk before held.
func (b *backward) more() error {
	size := min(chunk, b.start-b.floor)
	part := make([]byte, size, int(size)+len(b.held))
	if _, err := b.file.ReadAt(part, b.start-size); err != nil {
		return err
	}
	b.held, b.start = append(part, b.held...), b.start-size
	return nil
}

// previous is the line before the one that it gave last, without its newline; nil
// where there is none.
func (b *backward) previous() ([]byte, error) {
	for {
		if len(b.held) == 0 && b.start <= b.floor {
			return nil, nil
		}
		if len(b.held) > 0 {
			if i := bytes.LastIndexByte(b.held[:len(b.held)-1], '\n'); i >= 0 {
				return b.give(i + 1), nil
			}
			if b.start <= b.floor {
				if !b.exact {
					return nil, nil // its beginning was not read
				}
				return b.give(0), nil
			}
		}
		if err := b.more(); err != nil {
			return nil, err
		}
	}
}

// give is the line of held that begins at i.
func (b *backward) give(i int) []byte {
	line := b.held[i : len(b.held)-1]
	b.held, b.at = b.held[:i], b.start+int64(i)
	return line
}

// newer finds where the first record that is newer than until begins, by halving:
// times rise. Where the clock was set back it may be a place too early or too late.
func (b *backward) newer(until time.Time, size int64) (int64, error) {
	low, high := int64(0), size
	for high-low > chunk/4 {
		at, stamp, err := b.stampAt(low+(high-low)/2, high)
		switch {
		case err != nil:
			return 0, err
		case stamp.IsZero(): // no record begins in the upper half
			return high, nil
		case stamp.After(until):
			if at == high {
				return high, nil
			}
			high = at
		default:
			low = at
		}
	}
	return high, nil
}

// stampAt finds the first record that begins at or behind a place, and its time.
func (b *backward) stampAt(from, high int64) (int64, time.Time, error) {
	window := make([]byte, min(high-from, 2*maxRecord))
	if _, err := b.file.ReadAt(window, from); err != nil {
		return 0, time.Time{}, err
	}
	begins := bytes.IndexByte(window, '\n') + 1
	text, ok := bytes.CutPrefix(window[begins:], []byte(`{"time":"`))
	if begins == 0 || !ok || len(text) < len(timeLayout) {
		return high, time.Time{}, nil
	}
	stamp, err := time.Parse(timeLayout, string(text[:len(timeLayout)]))
	if err != nil {
		return high, time.Time{}, nil //nolint:nilerr // a line that is no record is found by the walk
	}
	return from + int64(begins), stamp, nil
}
