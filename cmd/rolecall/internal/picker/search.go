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
		text := []rune(item.Name + " " + item.Note)
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

// What a letter is worth: at the start of a part, right behind the one before,
// anywhere else. Each letter that is skipped costs one, up to maxGap.
const (
	atStart, inRow, anywhere = 8, 7, 1
	maxGap                   = 4
	impossible               = -1 << 20
)

// score rates how well a word's letters stand in a text, over all ways to place
// them: best[j] is the best for the letters so far with the last of them at j.
func score(word, text []rune) (int, bool) {
	best := make([]int, len(text))
	for j := range text {
		best[j] = impossible
		if unicode.ToLower(text[j]) == word[0] {
			best[j] = worth(text, j) - min(j/8, 3)
		}
	}
	next := make([]int, len(text))
	for _, letter := range word[1:] {
		far := impossible // the best of all that lie maxGap or more back
		for j := range text {
			if j > maxGap {
				far = max(far, best[j-1-maxGap])
			}
			next[j] = impossible
			if unicode.ToLower(text[j]) != letter {
				continue
			}
			from := far - maxGap
			for gap := 1; gap < maxGap && gap < j; gap++ {
				from = max(from, best[j-1-gap]-gap)
			}
			next[j] = from + worth(text, j)
			if j > 0 {
				next[j] = max(next[j], best[j-1]+max(inRow, worth(text, j)))
			}
		}
		best, next = next, best
	}
	if len(best) == 0 {
		return 0, false
	}
	top := slices.Max(best)
	return top, top > impossible/2
}

// worth of a letter for itself: parts start behind a sign and at a capital.
func worth(text []rune, j int) int {
	if j == 0 {
		return atStart
	}
	before := text[j-1]
	word := unicode.IsLetter(before) || unicode.IsDigit(before)
	if !word || unicode.IsUpper(text[j]) && !unicode.IsUpper(before) {
		return atStart
	}
	return anywhere
}
