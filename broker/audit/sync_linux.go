package audit

import (
	"errors"
	"os"
	"syscall"
)

// datasync puts data and length of the file on the disk, without its times.
func datasync(file *os.File) error {
	for {
		err := syscall.Fdatasync(int(file.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
