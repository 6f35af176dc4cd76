package picker

import (
	"slices"
	"strings"
	"unicode"
)

// Search gives the indexes of the items that have every word of the query, letter
// by letter in order, best first. Without a query it is all, in their order.
func Search(query string, items []Item) []int {
	words := strings.Fields(strings.ToLower(query))
	type hit struct{ index, score int }
	var hits []hit
	for i, item := range items {
		text := []rune(strings.ToLower(item.Name + " " + item.Note))
		total, all := 0, true
		for _, w := range words {
			s, ok := score([]rune(w), text)
			total, all = total+s, all && ok
		}
		if all {
			hits = append(hits, hit{i, total})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return b.score - a.score })
	found := make([]int, len(hits))
	for i, h := range hits {
		found[i] = h.index
	}
	return found
}

// score rates how well a word's letters stand in a text: letters side by side and
// at the start of a part count most. It tries every place of the first letter.
func score(word, text []rune) (int, bool) {
	best, found := 0, false
	for start := range text {
		if text[start] != word[0] {
			continue
		}
		s, ok := scoreFrom(word, text, start)
		if !ok {
			break // later starts have even less text
		}
		if !found || s > best {
			best, found = s, true
		}
	}
	return best, found
}

func scoreFrom(word, text []rune, start int) (int, bool) {
	total, at, last := 0, start, start-1
	for i, letter := range word {
		for at < len(text) && text[at] != letter {
			at++
		}
		if at == len(text) {
			return 0, false
		}
		switch {
		case i > 0 && at == last+1:
			total += 8
		case at == 0 || !unicode.IsLetter(text[at-1]) && !unicode.IsDigit(text[at-1]):
			total += 6
		default:
			total++
		}
		total -= min(at-last-1, 4)
		last = at
		at++
	}
	return total - min(start/8, 4), true
}
