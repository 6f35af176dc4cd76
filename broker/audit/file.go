package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// openFile opens or creates the file for appending, readable by its owner alone,
// and takes it for this process.
func openFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := prepare(file, path); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("audit: %s: %w", path, err)
	}
	return file, nil
}

func prepare(file *os.File, path string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file; a chain must be read back at the next start")
	}
	if err := lock(file); err != nil {
		return fmt.Errorf("another process has it: each process needs an audit file of its own (audit.file): %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := file.Chmod(0o600); err != nil {
			return fmt.Errorf("others may read it, and that cannot be changed: %w", err)
		}
	}
	if info.Size() > 0 {
		return nil
	}
	return syncFolder(filepath.Dir(path))
}

// end is where a chain ends.
type end struct {
	last       digest
	size       int64
	torn       int // bytes of an unfinished record that were cut off
	tornDigest digest
}

// recoverEnd finds the last whole record and cuts off what a crash left behind it.
// A last line that is whole and wrong was not left by a crash of ours, which
// writes lines from left to right: it is evidence and stays.
func recoverEnd(file *os.File) (end, error) {
	info, err := file.Stat()
	if err != nil {
		return end{}, err
	}
	tail := make([]byte, min(info.Size(), 2*maxRecord+4096))
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return end{}, err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	if whole == 0 && int64(len(tail)) < info.Size() {
		return end{}, errors.New("its end holds no record at all: it is no audit file")
	}
	e := end{size: info.Size() - int64(len(tail)-whole), torn: len(tail) - whole, tornDigest: sum(tail[whole:])}
	if whole > 0 {
		line := tail[bytes.LastIndexByte(tail[:whole-1], '\n')+1 : whole-1]
		l, err := parse(line)
		if err != nil {
			return end{}, fmt.Errorf("the last record is broken: %w. Nothing is appended to it: "+
				"look at it with `rolecalld audit verify`, keep it, and move it away to begin a new chain", err)
		}
		e.last = l.hash
	}
	if e.torn == 0 {
		return e, nil
	}
	if err := file.Truncate(e.size); err != nil {
		return end{}, fmt.Errorf("cut off an unfinished record: %w", err)
	}
	return e, file.Sync()
}
