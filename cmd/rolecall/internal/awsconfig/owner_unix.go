//go:build unix

package awsconfig

import (
	"os"
	"syscall"
)

func hardLinks(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink) //nolint:unconvert // its type depends on the platform
	}
	return 0
}

// keepOwner matters to root only, who edits a file of somebody else; others may
// not give files away, and need not.
func keepOwner(of string, f *os.File) {
	info, err := os.Stat(of)
	if err != nil {
		return
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(s.Uid), int(s.Gid))
	}
}
