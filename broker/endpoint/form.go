package endpoint

import (
	"mime"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker"
)

// ParseForm reads a posted form. Another content type, a malformed or too large
// body is an error with its Code.
func ParseForm(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return broker.Fail(broker.InvalidRequest, "content_type", "The body must be application/x-www-form-urlencoded.")
	}
	if err := r.ParseForm(); err != nil {
		if e := readable(err); e != err {
			return e
		}
		return broker.Fail(broker.InvalidRequest, "malformed_form", "The form could not be read.").Because(err)
	}
	return nil
}

// LocalPath gives s where it is an absolute path of this site with an optional
// query, and "/" otherwise, so that nobody is sent elsewhere after signing in.
func LocalPath(s string) string {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsFunc(s, unfitForPath) || len(s) > 2048 {
		return "/"
	}
	return s
}

func unfitForPath(c rune) bool { return c == '\\' || c < ' ' || c == 0x7f }
