package fetch

import (
	"fmt"
	"io"
	"os"
)

// maxFile bounds what a configuration may name as a file: metadata, keys,
// certificates.
const maxFile = 4 << 20

// ReadFile reads a regular file of at most 4 MiB. A device or a pipe, which may
// have no end or no beginning, is refused without being opened.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return data, err
}
