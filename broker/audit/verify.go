package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Summary is what a whole chain is known by. Note LastHash and Records elsewhere:
// it is the only way to see later that records were cut off at the end.
type Summary struct {
	Records   int
	FirstHash string
	LastHash  string
}

// Broken is the first record at which a chain breaks.
type Broken struct {
	Name string // of the file, "" from Verify
	Line int    // from 1
	Why  string
}

// Error implements error.
func (b *Broken) Error() string {
	at := fmt.Sprintf("line %d: the chain breaks: %s", b.Line, b.Why)
	if b.Name != "" {
		return b.Name + ": " + at
	}
	return at
}

// Verify follows the chain of one file from its first record. The error is a
// *Broken, or a failure to read. The summary covers what holds up to there.
func Verify(r io.Reader) (Summary, error) {
	var s Summary
	var prev digest
	lines := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if errors.Is(err, errUnfinished) || errors.Is(err, errTooLong) {
			return s, &Broken{Line: number, Why: err.Error()}
		}
		if err != nil {
			return s, fmt.Errorf("read line %d: %w", number, err)
		}
		l, err := parse(line)
		if err != nil {
			return s, &Broken{Line: number, Why: err.Error()}
		}
		if l.prev != prev {
			return s, &Broken{Line: number, Why: whyUnlinked(number)}
		}
		prev = l.hash
		if s.Records++; number == 1 {
			s.FirstHash = l.hash.String()
		}
		s.LastHash = l.hash.String()
	}
}

func whyUnlinked(line int) string {
	if line == 1 {
		return "it says that records stood before it, and they are gone"
	}
	return "it does not follow the record before it: one was removed, inserted or moved"
}

var (
	errUnfinished = errors.New("it is unfinished, without a newline: the process was killed while writing, or the end was cut off")
	errTooLong    = errors.New("it is longer than any record")
)

// readLine gives one line without its newline, io.EOF at a clean end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, errUnfinished
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > 2*maxRecord:
			return nil, errTooLong
		}
	}
}

// File is one file of a set.
type File struct {
	Name   string
	Reader io.Reader
}

// VerifySet verifies the files of several processes or of several times, each a
// chain of its own, and also refuses two files that begin with the same record:
// one is a copy of the other, perhaps shortened. The error joins a *Broken per
// bad file; the summaries are in the order of the files.
func VerifySet(files []File) ([]Summary, error) {
	var errs []error
	summaries := make([]Summary, len(files))
	first := map[string]string{}
	for i, file := range files {
		s, err := Verify(file.Reader)
		summaries[i] = s
		if broken, ok := errors.AsType[*Broken](err); ok {
			broken.Name = file.Name
			errs = append(errs, broken)
		} else if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
		if s.Records == 0 {
			continue
		}
		if other, ok := first[s.FirstHash]; ok {
			errs = append(errs, &Broken{Name: file.Name, Line: 1, Why: "it begins with the same record as " + other + ": one is a copy of the other"})
		}
		first[s.FirstHash] = file.Name
	}
	return summaries, errors.Join(errs...)
}
