package metrics

import (
	"regexp"
	"strings"
	"sync"
)

// maxWords bounds how many different words become values of labels. The code has
// fewer; a bug that lets something else in must not fill the memory.
const maxWords = 400

// wordShape is what words of the code look like: no person, ARN, address or token does.
var wordShape = regexp.MustCompile(`^[a-z][a-z0-9]*([._-][a-zA-Z0-9]+){0,5}$`)

// words are the values of labels so far.
type words struct {
	mu   sync.RWMutex
	seen map[string]string
}

// word gives the value of a label for a word of the code: "none" for none, "other"
// for what is no word.
func (w *words) word(text string) string {
	if text == "" {
		return "none"
	}
	w.mu.RLock()
	known, ok := w.seen[text]
	w.mu.RUnlock()
	if ok {
		return known
	}
	if len(text) > 48 || !wordShape.MatchString(text) {
		return "other"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) >= maxWords {
		return "other"
	}
	if w.seen == nil {
		w.seen = map[string]string{}
	}
	known = strings.Clone(text) // not a piece of somebody's request
	w.seen[known] = known
	return known
}
