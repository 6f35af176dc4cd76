package assemble

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A damaged store must not be served from as if nothing were.
func TestADaemonOverADamagedStoreIsNotReadyAndSaysSo(t *testing.T) {
	t.Parallel()
	r := newReloadable(t)
	for i := range 200 {
		if err := r.store.PutPending(t.Context(), [32]byte{byte(i)}, [32]byte{}, bytes.Repeat([]byte{byte(i)}, 2000), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	options := r.options
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.dir, "rolecall.db")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := info.Size() / 2 &^ 4095; at < info.Size(); at += 4096 {
		if _, err := file.WriteAt(bytes.Repeat([]byte{0xA5}, 4096), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if r.Daemon, err = New(t.Context(), options); err != nil {
		return // it was found even before
	}
	t.Cleanup(func() { _ = r.Daemon.Close() })
	r.serve(t)
	for late := time.Now().Add(20 * time.Second); visit(r.Daemon, "https://sso.example.com/readyz").Code != 503; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it is ready")
		}
	}
	contains(t, "the log", r.log.String(), "the store's file is damaged", "restore a copy")
}
