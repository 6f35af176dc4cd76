package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFollowed bounds how much of the chain before a record Position follows.
const maxFollowed = 256 << 20

// Position is one record with its place in the chain.
type Position struct {
	Record
	// Line is the record as it stands in the file.
	Line string
	// Number counts from 1; Prev is the hash that it says stood before it.
	Number int
	Prev   string
	// Intact says that its bytes have the hash that it says. Followed is from which
	// record on the chain was followed up to it without a break, 0 where it breaks at
	// Broken, for the reason Why.
	Intact   bool
	Followed int
	Broken   int
	Why      string
	// NextHash is that of the record after it, "" where it is the last. Linked says
	// that the record after it names it.
	NextHash string
	Linked   bool
}

// Position reads the record that begins at a place and follows the chain to it.
func (l *Log) Position(ctx context.Context, at int64) (p Position, err error) {
	file, err := os.Open(l.cfg.File)
	if err != nil {
		return Position{}, fmt.Errorf("audit: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return Position{}, fmt.Errorf("audit: %w", err)
	}
	b := &backward{file: file}
	if ok, err := b.begins(at, info.Size()); err != nil || !ok || at < 0 || at >= info.Size() {
		return Position{}, fmt.Errorf("audit: place %d: %w", at, errors.Join(err, ErrNoRecord))
	}
	if err := p.read(io.NewSectionReader(file, at, info.Size()-at), at); err != nil {
		return Position{}, err
	}
	before, err := newlines(ctx, io.NewSectionReader(file, 0, max(0, at-maxFollowed)))
	if err != nil {
		return Position{}, fmt.Errorf("audit: %w", err)
	}
	return p, p.follow(ctx, file, at, before)
}

// read takes the record and the link of the one after it.
func (p *Position) read(r io.Reader, at int64) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	line, err := readLine(lines)
	if err != nil {
		return fmt.Errorf("audit: place %d: %w", at, errors.Join(err, ErrNoRecord))
	}
	link, failed := parse(line)
	p.Intact, p.Line = failed == nil, string(line)
	if failed != nil {
		p.Why = failed.Error()
	}
	if err := json.Unmarshal(line, &p.Record); err != nil {
		return fmt.Errorf("audit: place %d: %w", at, errors.Join(err, ErrNoRecord))
	}
	p.At, p.Prev = at, link.prev.String()
	if next, err := readLine(lines); err == nil {
		if after, err := parse(next); err == nil {
			p.NextHash, p.Linked = after.hash.String(), after.prev == link.hash && p.Intact
		}
	}
	return nil
}

// newlines counts the lines of a part that is not followed.
func newlines(ctx context.Context, r io.Reader) (int, error) {
	buffer, n := make([]byte, chunk), 0
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		read, err := r.Read(buffer)
		n += bytes.Count(buffer[:read], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// follow goes through the chain up to the record. Before it are lines that are
// only counted; the one that the part begins in is the last of these.
func (p *Position) follow(ctx context.Context, file io.ReaderAt, at int64, before int) error {
	from := max(0, at-maxFollowed)
	lines := bufio.NewReaderSize(io.NewSectionReader(file, from, at-from), chunk)
	p.Number = before
	if from > 0 {
		if _, err := lines.ReadBytes('\n'); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		p.Number++
	}
	p.Followed = p.Number + 1
	var prev digest
	known := from == 0 // what stands before the first record is
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("audit: line %d: %w", p.Number+1, err)
		}
		p.Number++
		link, failed := parse(line)
		switch {
		case failed != nil:
			p.breaks(p.Number, failed.Error())
		case known && link.prev != prev:
			p.breaks(p.Number, whyUnlinked(p.Number))
		}
		prev, known = link.hash, true
	}
	p.Number++
	switch {
	case !p.Intact:
		p.breaks(p.Number, p.Why)
	case known && p.Prev != prev.String():
		p.breaks(p.Number, whyUnlinked(p.Number))
	}
	return nil
}

// breaks remembers the first break.
func (p *Position) breaks(number int, why string) {
	if p.Broken == 0 {
		p.Followed, p.Broken, p.Why = 0, number, why
	}
}
