package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// shown names a path in a fault.
func shown(path string) string {
	if path == "" {
		return "the file"
	}
	return keyShown(path)
}

// clip shortens what somebody wrote to what fits a line.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return s
}

// quoted is clip in quotes, with control characters made visible.
func quoted(s string) string { return strconv.Quote(clip(s)) }

// unknown words the fault for a key that a section does not have.
func unknown(fields []field, path, key string) string {
	var known []string
	for _, f := range fields {
		if !f.unbuilt() {
			known = append(known, f.key)
		}
	}
	where := "at the top level"
	if path != "" {
		where = "in " + keyShown(path)
	}
	if hint := didYouMean(key, known); hint != "" {
		return fmt.Sprintf("unknown key %s %s%s", quoted(key), where, hint)
	}
	return fmt.Sprintf("unknown key %s %s; known: %s", quoted(key), where, strings.Join(known, ", "))
}

// offer names the first few keys of a section.
func offer(fields []field) string {
	var keys []string
	for _, f := range fields {
		if len(keys) < 3 && !f.unbuilt() {
			keys = append(keys, f.key)
		}
	}
	return strings.Join(keys, ", ")
}

func indexOf(fields []field, key string) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.key == key })
}

// didYouMean is "; did you mean X?" where one of known is near, else "".
func didYouMean(word string, known []string) string {
	best, least := "", 0
	folded := fold(word)
	for _, k := range known {
		away := distance(folded, fold(k))
		near := away <= 1+len(k)/4 || (len(folded) > 3 && strings.HasPrefix(fold(k), folded))
		if near && (best == "" || away < least) {
			best, least = k, away
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// fold takes away how people write the same word: clientId, client-id, client_id.
func fold(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(clip(s)))
}

// distance is how many letters must be put in, taken out, changed or swapped
// with their neighbour to make a into b.
func distance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
