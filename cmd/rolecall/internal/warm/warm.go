// Package warm knows how role credentials lie on disk, and answers `rolecall
// credential-process` from there. An SDK starts that command again and again, so
// it must cost hardly more than a process that reads one small file. Whatever the
// package does not know at once it leaves to the rest of the program.
//
// A file is two lines of its own and the document as it is printed:
//
//	rolecall 1 CHECKSUM MADE EXPIRES
//	URL ROLE DURATION
//	{"Version":1,...}
//
// The package imports os, time, strconv and hash/fnv only, not even strings: see
// package atonce, which is as early as the imports here allow. The checksum finds
// damage, not malice: whoever can write these files can do all that their owner can.
package warm

import (
	"hash/fnv"
	"os"
	"strconv"
	"time"
)

// margin is how much life credentials must have left to be handed out, where
// their whole life allows it: SDKs refresh from 15 minutes before the end.
const margin = 15 * time.Minute

const magic = "rolecall 1 "

// Question is what an entry answers.
type Question struct{ URL, Role, Duration string }

func (q Question) line() string { return q.URL + " " + q.Role + " " + q.Duration + "\n" }

// FileName is where the answer lies, in the folder of all profiles.
func (q Question) FileName(profile string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(q.line())) // never fails
	name := make([]byte, 0, 32)
	for _, b := range h.Sum(nil) {
		name = append(name, hexadecimal[b>>4], hexadecimal[b&15])
	}
	return profile + "~" + string(name) + ".json"
}

const hexadecimal = "0123456789abcdef"

// Entry is a file of the cache.
type Entry struct {
	Made, Expires time.Time
	Question      Question
	Document      []byte // one line, with its end
}

// Seal is the entry as a file.
func (e Entry) Seal() []byte {
	body := strconv.FormatInt(e.Made.Unix(), 10) + " " + strconv.FormatInt(e.Expires.Unix(), 10) + "\n" + e.Question.line() + string(e.Document)
	return []byte(magic + checksum(body) + " " + body)
}

func checksum(body string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(body)) // never fails
	return strconv.FormatUint(h.Sum64(), 16)
}

// Open reads a file; one that is damaged, or answers another question, is none.
func Open(text []byte, q Question) (Entry, bool) {
	e, ok := OpenAny(text)
	question, document, _ := cut(string(e.Document), '\n')
	e.Question, e.Document = q, []byte(document)
	return e, ok && question+"\n" == q.line() && document != ""
}

// OpenAny reads the times of a file, whatever it answers.
func OpenAny(text []byte) (Entry, bool) {
	rest, ok := cutPrefix(string(text), magic)
	sum, body, _ := cut(rest, ' ')
	times, document, _ := cut(body, '\n')
	first, second, _ := cut(times, ' ')
	made, err1 := strconv.ParseInt(first, 10, 64)
	expires, err2 := strconv.ParseInt(second, 10, 64)
	if !ok || err1 != nil || err2 != nil || checksum(body) != sum {
		return Entry{}, false
	}
	return Entry{Made: time.Unix(made, 0), Expires: time.Unix(expires, 0), Document: []byte(document)}, true
}

// cut is strings.Cut.
func cut(s string, at byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == at {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return s, false
	}
	return s[len(prefix):], true
}

// Fresh: a quarter of an hour left, or half of a life shorter than 30 minutes.
func (e Entry) Fresh(now time.Time) bool {
	return e.Expires.Sub(now) >= min(margin, e.Expires.Sub(e.Made)/2)
}

// call is a command line that asks a question.
type call struct {
	Question
	dir, profile string
}

// Answer gives what `credential-process` has to print, if args are that command
// in its plain form and the cache has the credentials.
func Answer(args []string, getenv func(string) string, now time.Time) ([]byte, bool) {
	c, ok := read(args)
	if !ok {
		return nil, false
	}
	if c.dir = or(c.dir, getenv("ROLECALL_CONFIG_DIR")); c.dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, false
		}
		c.dir = base + "/rolecall"
	}
	if c.profile = or(c.profile, getenv("ROLECALL_PROFILE"), "default"); !plain(c.profile) {
		return nil, false
	}
	if c.URL = or(c.URL, getenv("ROLECALL_URL")); c.URL == "" {
		c.URL = remembered(c.dir, c.profile)
	}
	if n := len(c.URL); n > 0 && c.URL[n-1] == '/' {
		c.URL = c.URL[:n-1]
	}
	text, err := os.ReadFile(c.dir + "/cache/" + c.FileName(c.profile))
	if err != nil {
		return nil, false
	}
	e, ok := Open(text, c.Question)
	return e.Document, ok && e.Fresh(now)
}

// plain: a profile's name is no path.
func plain(name string) bool {
	_, _, slash := cut(name, '/')
	_, _, backslash := cut(name, '\\')
	return !slash && !backslash
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// read understands `credential-process --FLAG VALUE...` and `--FLAG=VALUE`.
func read(args []string) (c call, ok bool) {
	if len(args) < 2 || args[0] != "credential-process" {
		return c, false
	}
	for i := 1; i < len(args); i++ {
		name, value, joined := cut(args[i], '=')
		if !joined {
			if i++; i == len(args) {
				return c, false
			}
			value = args[i]
		}
		switch name {
		case "--config-dir":
			c.dir = value
		case "--profile":
			c.profile = value
		case "--url":
			c.URL = value
		case "--role":
			c.Role = value
		case "--duration":
			c.Duration = value
		default:
			return c, false
		}
	}
	return c, c.Role != ""
}

// remembered is the broker in a profile's file, if it is in the form in which
// package settings writes it; "" where it is not.
func remembered(dir, profile string) string {
	text, err := os.ReadFile(dir + "/profiles/" + profile + ".json")
	rest, ok := cutPrefix(string(text), `{"url":"`)
	url, _, closed := cut(rest, '"')
	if _, _, escaped := cut(url, '\\'); err != nil || !ok || !closed || escaped {
		return ""
	}
	return url
}
