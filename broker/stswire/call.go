package stswire

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxBody is the largest request, in bytes; STS itself takes 10,000,000.
const MaxBody = 256 << 10

const maxParameters = 2000

// Call is one request of the query API: read, not yet verified.
type Call struct {
	Action  string
	Version string
	// Body is the request's body as it came, which a signature covers.
	Body []byte

	params params
}

// params are decoded parameters; the first value of a name is the one that counts.
type params map[string]string

// Value is a parameter, "" where the call has none of that name.
func (c *Call) Value(name string) string { return c.params[name] }

// Read reads a call from the form of a POST or the query of a GET. Its errors
// are *Error, ready for WriteError.
func Read(r *http.Request) (*Call, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, &Error{Status: http.StatusMethodNotAllowed}
	}
	if r.ContentLength > MaxBody || len(r.URL.RawQuery) > MaxBody {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return nil, Fail("MalformedInput", "")
	}
	if len(body) > MaxBody {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge}
	}
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if !isForm(r.Header) {
			return nil, Fail("MissingAction", "The request is not a form: its Content-Type must be application/x-www-form-urlencoded.")
		}
		text = string(body)
	}
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	call := &Call{Body: body, params: make(params, len(pairs))}
	for _, p := range pairs {
		if _, seen := call.params[p.name]; !seen {
			call.params[p.name] = p.value
		}
	}
	call.Action, call.Version = call.params["Action"], call.params["Version"]
	if call.Action == "" {
		return nil, Fail("MissingAction", "The request must contain the parameter Action.")
	}
	return call, nil
}

func isForm(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

type pair struct{ name, value string }

// parsePairs decodes a query or form text, keeping order and repetitions.
func parsePairs(text string) ([]pair, error) {
	if text == "" {
		return nil, nil
	}
	if strings.Count(text, "&") >= maxParameters {
		return nil, Fail("MalformedQueryString", "The query string has too many parameters.")
	}
	var pairs []pair
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, errName := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(value)
		if errName != nil || errValue != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, Fail("MalformedQueryString", "The query string contains a syntax error.")
		}
		pairs = append(pairs, pair{name, value})
	}
	return pairs, nil
}
