package pattern

import (
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Tree holds patterns and finds the one that a masked message belongs to. The zero value is empty.
type Tree struct {
	Max    int // patterns at most; zero: adg.MaxLogPatterns
	leaves map[string][]int
	all    []template
}

// Add finds the pattern of a masked message, or makes one, and gives its number, counted from 0 in the order in which they
// were made. It says false where there are too many already.
func (t *Tree) Add(level adg.LogLevel, masked string) (int, bool) {
	words := strings.Fields(masked)
	key := branch(level, words)
	best, most := -1, 0
	for _, at := range t.leaves[key] {
		if n, alike := t.all[at].shares(words); alike && n > most {
			best, most = at, n
		}
	}
	if best >= 0 {
		t.all[best].widen(words)
		return best, true
	}
	limit := t.Max
	if limit == 0 {
		limit = adg.MaxLogPatterns
	}
	if len(t.all) >= limit {
		return 0, false
	}
	if t.leaves == nil {
		t.leaves = map[string][]int{}
	}
	t.leaves[key] = append(t.leaves[key], len(t.all))
	t.all = append(t.all, template{words: words})
	return len(t.all) - 1, true
}

// Text is a pattern as it is by now.
func (t *Tree) Text(at int) string { return strings.Join(t.all[at].words, " ") }

// Private

// wild stands for a word that differs.
const wild = "<*>"

// alike is the share of the words that two lines have in common at least, where they are one pattern.
const alike = 0.6

type template struct{ words []string }

// branch is where in the tree a message is looked for: by its level, its length and its first word, if that is one.
func branch(level adg.LogLevel, words []string) string {
	key := strconv.Itoa(int(level)) + " " + strconv.Itoa(len(words))
	if len(words) > 0 && !strings.Contains(words[0], "<") {
		return key + " " + words[0]
	}
	return key
}

// shares is how many words the template has in common with others, and whether that is enough: most of all, or all that it
// has not given up.
func (t template) shares(words []string) (n int, enough bool) {
	if len(words) != len(t.words) {
		return 0, false
	}
	fixed := 0
	for i, word := range words {
		if t.words[i] == wild {
			continue
		}
		fixed++
		if t.words[i] == word {
			n++
		}
	}
	return n, n > 0 && (n == fixed || float64(n) >= alike*float64(len(words)))
}

// widen makes wild what differs.
func (t *template) widen(words []string) {
	for i, word := range words {
		if t.words[i] != word {
			t.words[i] = wild
		}
	}
}
