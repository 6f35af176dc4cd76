package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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
	// Limit bounds the records given, Bytes how much of the file's end is read.
	Limit int
	Bytes int64
}

// Record is one line as it stands in the file.
type Record struct {
	Time time.Time `json:"time"`
	Event
	Hash string `json:"hash"`
}

// Found is what a search gives.
type Found struct {
	Records []Record // newest first
	// Read is how many records were looked at; Whole says that they link into one chain.
	Read  int
	Whole bool
	// More says that the bounds ended the search: older records were not looked at.
	More bool
}

// Search reads the end of this process's file, newest record first. It reads what
// is on the disk, beside the writer and without holding it up.
func (l *Log) Search(ctx context.Context, q Query) (Found, error) {
	tail, whole, err := readEnd(l.cfg.File, q.Bytes)
	if err != nil {
		return Found{}, fmt.Errorf("audit: search: %w", err)
	}
	found := Found{Whole: true, More: !whole}
	var next digest // prev of the record after
	for len(tail) > 0 {
		if err := ctx.Err(); err != nil {
			return Found{}, fmt.Errorf("audit: search: %w", err)
		}
		at := bytes.LastIndexByte(tail[:len(tail)-1], '\n') + 1
		line := tail[at : len(tail)-1]
		tail = tail[:at]
		link, err := parse(line)
		if err != nil || (found.Read > 0 && link.hash != next) {
			found.Whole = false
		}
		next = link.prev
		found.Read++
		if q.Contains != nil && !bytes.Contains(line, q.Contains) {
			continue
		}
		var r Record
		if json.Unmarshal(line, &r) != nil {
			continue // Whole says it
		}
		if r.Time.Before(q.Since) {
			found.More = false
			return found, nil
		}
		if q.Match != nil && !q.Match(r) {
			continue
		}
		if len(found.Records) >= q.Limit {
			found.More = true
			return found, nil
		}
		found.Records = append(found.Records, r)
	}
	return found, nil
}

// readEnd gives whole lines from the end of a file, and whether that is all of it.
func readEnd(path string, most int64) (tail []byte, whole bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	start := max(0, info.Size()-most)
	tail = make([]byte, info.Size()-start)
	if _, err := file.ReadAt(tail, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if start > 0 {
		tail = tail[bytes.IndexByte(tail, '\n')+1:]
	}
	return tail[:bytes.LastIndexByte(tail, '\n')+1], start == 0, nil
}
