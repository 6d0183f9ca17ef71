package strictyaml

import "strings"

// Nearest is the choice that was probably meant: at most two letters off, or begun the same way; empty if there is none.
func Nearest(word string, choices []string) string {
	best, distance := "", 3
	lower := strings.ToLower(word)
	for _, choice := range choices {
		d := edits(lower, strings.ToLower(choice))
		// Two of three letters exchanged is another word.
		if d < distance && d < max(len(choice), len(word)) && d*2 <= len(choice)+1 {
			best, distance = choice, d
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, choice := range choices {
		if strings.HasPrefix(choice, lower) || len(choice) >= 3 && strings.HasPrefix(lower, choice) {
			return choice
		}
	}
	return ""
}

// Choices is choices as a sentence names them.
func Choices(choices []string) string { return strings.Join(choices, ", ") }

// edits is how many letters differ, an exchange of neighbours counting once; words of very different length are 3 apart.
func edits(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	var before []int
	row := make([]int, len(b)+1)
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
