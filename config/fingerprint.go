package config

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"reflect"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/config/secret"
)

// maxNamed bounds what is read of a file that a section names.
const maxNamed = 16 << 20

// Fingerprint names what values of a configuration say, secrets included, and the
// bytes of the files that they name, but not where in the file they stand: two with
// one fingerprint mean the same. It cannot be turned back into them.
func Fingerprint(values ...any) [sha256.Size]byte {
	f := fingerprint{sha256.New()}
	for _, v := range values {
		f.add(reflect.ValueOf(v), false)
	}
	return [sha256.Size]byte(f.hash.Sum(nil))
}

type fingerprint struct{ hash hash.Hash }

// text writes a text with its length, so that no two lists of texts look alike.
func (f fingerprint) text(s string) {
	f.hash.Write(binary.AppendUvarint(nil, uint64(len(s))))
	f.hash.Write([]byte(s))
}

func (f fingerprint) number(n int64) { f.hash.Write(binary.AppendVarint(nil, n)) }

// add writes a value; file says that a text is the path of a file.
func (f fingerprint) add(v reflect.Value, file bool) {
	if !v.IsValid() {
		f.text("nothing")
		return
	}
	f.text(v.Type().String())
	if s, ok := v.Interface().(secret.String); ok {
		f.text(s.Reveal())
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		f.section(v, file)
	case reflect.Slice:
		f.number(int64(v.Len()))
		for i := range v.Len() {
			f.add(v.Index(i), file)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		f.number(int64(len(keys)))
		for _, key := range keys {
			f.text(key.String())
			f.add(v.MapIndex(key), file)
		}
	case reflect.Pointer:
		f.add(v.Elem(), file)
	case reflect.Bool:
		f.number(map[bool]int64{true: 1}[v.Bool()])
	case reflect.String:
		f.text(v.String())
		if file && v.String() != "" {
			f.file(v.String())
		}
	default: // durations and counts
		f.number(v.Int())
	}
}

// section writes the fields of a struct but positions.
func (f fingerprint) section(v reflect.Value, file bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.IsExported() && field.Type != posType {
			f.text(field.Name)
			f.add(v.Field(i), file || field.Tag.Get("path") == "true")
		}
	}
}

// file writes what stands in a file now; one that cannot be read has the reason.
func (f fingerprint) file(path string) {
	data, err := readBounded(path, maxNamed)
	if err != nil {
		f.text(err.Error())
		return
	}
	f.text(string(data))
}
