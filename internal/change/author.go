package change

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
)

// Private

// author is who made a commit, under a pseudonym: e-mail addresses are hashed before anything keeps them.
type author struct {
	id  uint64
	bot bool
}

// String is the pseudonym as it is shown and compared.
func (a author) String() string { return fmt.Sprintf("%016x", a.id) }

// newAuthor takes the e-mail for the identity, and the name where there is none.
func newAuthor(key []byte, name, email string) author {
	identity := strings.ToLower(strings.TrimSpace(email))
	if identity == "" {
		identity = "name:" + strings.ToLower(strings.TrimSpace(name))
	}
	// GitHub puts a number before the name in the addresses that it hands out; the older ones have none.
	if local, found := strings.CutSuffix(identity, "@users.noreply.github.com"); found {
		if _, login, numbered := strings.Cut(local, "+"); numbered {
			identity = login + "@users.noreply.github.com"
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(identity))
	return author{binary.BigEndian.Uint64(mac.Sum(nil)), isBot(name, email)}
}

var (
	botName  = regexp.MustCompile(`(?i)\[bot\]$|(^|[-_ ])bot$|^(dependabot|renovate|greenkeeper|snyk|pyup|imgbot|mergify|github[- ]actions?|gitlab[- ]ci|jenkins|travis|semantic-release|weblate|allcontributors|copybara|rultor|scala-steward|k8s-ci-robot|web-flow)([-_ ].*)?$`)
	botEmail = regexp.MustCompile(`(?i)\[bot\]@|^(bot|dependabot|renovate|github-actions|jenkins|noreply-bot)@|[-_.+]bot@|@(dependabot|renovateapp|greenkeeper)\.`)
)

func isBot(name, email string) bool {
	return botName.MatchString(strings.TrimSpace(name)) || botEmail.MatchString(strings.TrimSpace(email))
}

var (
	fixWord    = regexp.MustCompile(`(?i)\b(bug|bugs|bugfix(es)?|fix|fixe[sd]|fixing|hotfix(es)?|defects?|patch(e[sd])?)\b`)
	revertLine = regexp.MustCompile(`(?im)^revert(ed|s|ing)?\b|^this reverts commit [0-9a-f]{7,64}`)
	relandLine = regexp.MustCompile(`(?im)\A(re-?land(ed|s|ing)?\b|revert "revert\b|re-?apply\b)`)
)

// word is what a commit's message says about it.
type word struct {
	fix, revert, reland bool
}

// read looks at the start of a message only: nobody writes more than that for people.
func read(message string) word {
	message = message[:min(len(message), 1<<16)]
	w := word{fix: fixWord.MatchString(message), reland: relandLine.MatchString(message)}
	w.revert = !w.reland && revertLine.MatchString(message)
	return w
}
