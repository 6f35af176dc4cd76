//go:build !unix

package audit

import "os"

// lock does nothing here: the operator sees to it that two processes do not share
// a file. One that does is found out by its size at the next append.
func lock(*os.File) error { return nil }

// syncFolder has no equal here.
func syncFolder(string) error { return nil }
