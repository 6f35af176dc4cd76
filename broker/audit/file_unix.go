//go:build unix

package audit

import (
	"os"
	"syscall"
)

// lock takes the file for this process until it is closed; the kernel gives it
// back when the process dies.
func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
