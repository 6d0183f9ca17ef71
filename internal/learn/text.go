package learn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// Private

// maxWord bounds versions, names and pseudonyms; maxSentence the reasons.
const (
	maxWord     = 200
	maxSentence = 600
)

// clean makes a foreign word one that can be shown, stored and read back as it is.
func clean(word string) string { return cleanTo(word, maxWord) }

func cleanTo(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, adg.Printable(strings.ToValidUTF8(text, "·")))
	return cut(strings.TrimSpace(text), limit)
}

// cut shortens text to at most limit bytes without splitting a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func compareText(a, b string) int { return strings.Compare(a, b) }

func enumerate(words []string) string { return strings.Join(words, ", ") }

// plausible tells whether a moment can be one of a deployment: computers with a broken clock, and people, write others.
func plausible(at time.Time) bool {
	return at.Year() >= 1970 && at.Year() < 2200 && at.Unix() > 0
}

// span says how long something took, in the two largest units that matter.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// pseudonym is who did something: the e-mail address hashed, the name where there is none. It is the one that the
// features of a change know the same person by.
func pseudonym(key []byte, name, email string) string {
	identity := strings.ToLower(strings.TrimSpace(email))
	if identity == "" {
		if identity = strings.ToLower(strings.TrimSpace(name)); identity == "" {
			return ""
		}
		identity = "name:" + identity
	}
	if local, found := strings.CutSuffix(identity, "@users.noreply.github.com"); found {
		if _, login, numbered := strings.Cut(local, "+"); numbered {
			identity = login + "@users.noreply.github.com"
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(identity))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// maxMessage is how much of a message is looked at: nobody writes more than that for people.
const maxMessage = 1 << 14

var (
	fixWord     = regexp.MustCompile(`(?i)\b(bug|bugs|bugfix(es)?|fix|fixe[sd]|fixing|hotfix(es)?|defects?|patch(e[sd])?|regressions?)\b`)
	revertLine  = regexp.MustCompile(`(?im)^(revert(ed|s|ing)?|roll(ed|ing)? ?back|rollback)\b|^this reverts commit [0-9a-f]{7,64}`)
	relandLine  = regexp.MustCompile(`(?i)\A(re-?land(ed|s|ing)?\b|revert "revert\b|re-?apply\b)`)
	plannedWord = regexp.MustCompile(`(?i)\b(planned|scheduled|maintenance|temporar(y|ily)|experiment|load[- ]?test|drill|game ?day|rehears(al|e|ed))\b`)
	revertedID  = regexp.MustCompile(`(?i)\bthis reverts commits? ([0-9a-f]{7,64})`)
	revertedTo  = regexp.MustCompile(`(?i)\Arevert "(.+)"`)
)

// message is what a commit's text says about it.
type message struct {
	subject  string
	fix      bool
	revert   bool // and no re-land
	planned  bool // the revert was meant from the start
	reverted string
	quoted   string // subject of the commit that it reverts
}

func readMessage(text string) message {
	text = strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxMessage)], ""))
	subject, _, _ := strings.Cut(text, "\n")
	m := message{subject: strings.TrimSpace(subject), fix: fixWord.MatchString(text)}
	if relandLine.MatchString(text) || !revertLine.MatchString(text) {
		return m
	}
	// A word about plans counts in the reason only: the subject that is quoted belongs to the other commit.
	reason := text
	if quoted := revertedTo.FindStringSubmatch(m.subject); quoted != nil {
		m.quoted = quoted[1]
		reason = strings.TrimPrefix(text, m.subject)
	}
	m.revert, m.planned = true, plannedWord.MatchString(reason)
	if id := revertedID.FindStringSubmatch(text); id != nil {
		m.reverted = strings.ToLower(id[1])
	}
	return m
}
