package learn

import (
	"regexp"
	"strconv"
	"strings"
)

// Private

// A version that can be put in order: letters that all of a series share, numbers, and what follows them.
var (
	numbered   = regexp.MustCompile(`^([A-Za-z_./-]*?)(\d{1,18}(?:\.\d{1,18}){0,5})(?:[-~]([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)
	hexWord    = regexp.MustCompile(`^(?:.*[-_.])?([0-9a-f]{7,40}|[0-9a-f]{64})$`)
	preRelease = regexp.MustCompile(`(?i)(^|[-.~_0-9])(alpha|beta|rc|pre|preview|snapshot|dev|canary|nightly|[abm])[-.]?\d*([-.~+]|$)`)
	rangeSign  = regexp.MustCompile(`[*^~<>=|, {}$%]|\.[xX](\.|$)`)
)

// moving are names that point to another version every day.
var moving = map[string]bool{
	"": true, "latest": true, "stable": true, "edge": true, "nightly": true, "head": true, "main": true, "master": true, "trunk": true,
	"develop": true, "dev": true, "development": true, "staging": true, "stage": true, "production": true, "prod": true, "release": true,
	"current": true, "canary": true, "next": true, "test": true, "null": true,
}

// isVersion tells whether a word names one version for good.
func isVersion(word string) bool {
	return !moving[strings.ToLower(word)] && !strings.HasPrefix(word, "refs/heads/") && !rangeSign.MatchString(word)
}

// parsedVersion is a version that can be compared with others of its series.
type parsedVersion struct {
	prefix  string
	numbers []int64
	pre     string // empty: a release
}

func parseVersion(word string) (parsedVersion, bool) {
	if commit := commitIn(word); commit != "" { // its digits say nothing about the order
		word = strings.TrimRight(strings.TrimSuffix(word, commit), "-_.g")
	}
	m := numbered.FindStringSubmatch(word)
	if m == nil {
		return parsedVersion{}, false
	}
	v := parsedVersion{prefix: strings.ToLower(strings.TrimSuffix(m[1], "v")), pre: m[3]}
	for _, digits := range strings.Split(m[2], ".") {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return parsedVersion{}, false
		}
		v.numbers = append(v.numbers, n)
	}
	return v, true
}

// compareVersions puts two versions in order; ok is false where nothing says which came first.
func compareVersions(a, b string) (order int, ok bool) {
	left, ok1 := parseVersion(a)
	right, ok2 := parseVersion(b)
	if !ok1 || !ok2 || left.prefix != right.prefix {
		return 0, false
	}
	for i := range max(len(left.numbers), len(right.numbers)) {
		if x, y := left.at(i), right.at(i); x != y {
			return sign(x - y), true
		}
	}
	switch {
	case left.pre == right.pre:
		return 0, a == b
	case left.pre == "":
		return 1, true
	case right.pre == "":
		return -1, true
	default:
		return comparePre(left.pre, right.pre), true
	}
}

// comparePre is the order of semantic versioning: numbers by size and before words, a shorter list before a longer.
func comparePre(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, err1 := strconv.ParseInt(x[i], 10, 64)
		n, err2 := strconv.ParseInt(y[i], 10, 64)
		switch {
		case x[i] == y[i]:
		case err1 == nil && err2 == nil && m != n:
			return sign(m - n)
		case err1 == nil && err2 != nil:
			return -1
		case err1 != nil && err2 == nil:
			return 1
		default:
			return strings.Compare(x[i], y[i])
		}
	}
	return sign(int64(len(x) - len(y)))
}

// isPatchOf tells whether a version differs from the one before it in the last places only.
func isPatchOf(next, before string) bool {
	a, ok1 := parseVersion(next)
	b, ok2 := parseVersion(before)
	order, ok := compareVersions(next, before)
	if !ok1 || !ok2 || !ok || order <= 0 || len(a.numbers) < 2 && len(b.numbers) < 2 {
		return false
	}
	return a.at(0) == b.at(0) && a.at(1) == b.at(1)
}

// commitIn is the commit that a version names, empty if it names none.
func commitIn(version string) string {
	m := hexWord.FindStringSubmatch(version)
	if m == nil {
		return ""
	}
	// Dates and build numbers consist of digits that would pass for a commit's.
	if len(m[1]) < 40 && (strings.Trim(m[1], "0123456789") == "" || strings.Trim(m[1], "abcdef") == "") {
		return ""
	}
	return m[1]
}

func isPreRelease(version string) bool {
	v, ok := parseVersion(version)
	return ok && v.pre != "" && preRelease.MatchString("-"+v.pre)
}

func (v parsedVersion) at(i int) int64 {
	if i < len(v.numbers) {
		return v.numbers[i]
	}
	return 0
}

func sign(n int64) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	default:
		return 0
	}
}
