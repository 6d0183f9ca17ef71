package learn

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Forge says what the answers of GitHub or GitLab are of. The zero value takes the service from the addresses in them.
type Forge struct {
	Options
	PreReleases bool // releases marked so are deployed too
	Transient   bool // environments that are made for a review and thrown away count too
}

// Private

// maxAttempts bounds what is held of the answers: deployments, their states and releases.
const maxAttempts = 2 * MaxDeployments

// attempt is one deployment, or release, as a forge tells it.
type attempt struct {
	arrival
	id      string
	live    bool      // it was, or may well have been
	failure time.Time // when its failure was told; zero: never
	state   string    // the last word
}

// attempts are what a forge told, each once.
type attempts struct {
	noun  string
	all   []*attempt
	notes notes

	twice, unfinished, transient, before, undated int
}

// history follows each environment through its attempts. Those that never became live stand beside the track.
func (s *attempts) history(o Forge) (History, error) {
	if len(s.all) > MaxDeployments {
		return History{}, errTooMany()
	}
	slices.SortStableFunc(s.all, func(a, b *attempt) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return compareText(a.id, b.id)
	})
	now := o.Now
	byPlace := map[string][]*attempt{}
	var order []string
	for _, a := range s.all {
		key := a.Service + "\x00" + a.Environment
		if byPlace[key] == nil {
			order = append(order, key)
		}
		byPlace[key] = append(byPlace[key], a)
		if o.Now.IsZero() && a.At.After(now) {
			now = a.At
		}
	}
	var all []*arrival
	for _, key := range order {
		all = append(all, s.follow(byPlace[key], o.Rules, now)...)
	}
	s.notes.counted(s.twice, "%d were told twice and count once")
	s.notes.counted(s.unfinished, "%d deployments never ended, were cancelled or wait: what would have become of them is unknown")
	s.notes.counted(s.transient, "%d deployments to environments that are thrown away were left out")
	s.notes.counted(s.before, "%d drafts, pre-releases and coming releases were left out")
	s.notes.counted(s.undated, "%d say no possible time, commit or version and were left out")
	if len(all) == 0 {
		s.notes.add("the answers hold no deployments and no releases")
	}
	return finish(all, o.Rules, &s.notes), nil
}

func (s *attempts) follow(place []*attempt, r Rules, now time.Time) []*arrival {
	var all, live []*arrival
	var previous *attempt
	for i, a := range place {
		all = append(all, &a.arrival)
		if previous != nil {
			a.From, a.FromCommit = previous.To, previous.ToCommit
			a.fix = a.fix && (!a.behind || isPatchOf(a.To, a.From)) // the notes of most releases speak of some fix
		}
		if a.live {
			if !a.failure.IsZero() {
				a.Outcome, a.FailedAt = Incident, a.failure
				a.Why = "it was live, and was told to have failed " + span(a.failure.Sub(a.At)) + " after it began"
			}
			live = append(live, &a.arrival)
			previous = a
			continue
		}
		if a.failure.IsZero() {
			s.unfinished++
			a.Why = "it never ended: its last state is " + clean(first(a.state, "none"))
			continue
		}
		a.Outcome, a.FailedAt, a.Why = Blocked, a.failure, "it failed before it was live: "+clean(a.state)
		if again := nextLive(place[i+1:], a.To); again != nil && again.At.Sub(a.At) <= r.Superseded {
			a.Outcome, a.FailedAt = Superseded, time.Time{}
			a.Why = "it failed before it was live, and was live when tried again " + span(again.At.Sub(a.At)) + " later"
		}
	}
	newTrack(s.noun, live).label(r, now)
	return all
}

// nextLive is the next attempt that became live, if it is of the same version.
func nextLive(later []*attempt, version string) *attempt {
	for _, a := range later[:min(len(later), maxPassed)] {
		if a.live {
			if a.To == version {
				return a
			}
			return nil
		}
	}
	return nil
}

// eachObject hands over the JSON objects of an answer one by one: an array, arrays one behind the other as paging
// prints them, arrays of arrays, or one object in a line.
func eachObject(r io.Reader, each func([]byte) error) error {
	plain, err := unzipped(r)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(&limited{r: plain, whole: true}, 1<<16)
	depth := 0
	for seen := 0; ; {
		sign, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && depth == 0:
			return nil
		case errors.Is(err, io.EOF):
			return adg.Errorf(adg.Invalid, "the answer ends in the middle, behind object %d", seen)
		case err != nil:
			return adg.Errorf(adg.CodeOf(err), "read the answer behind its object %d: %w", seen, err)
		case strings.IndexByte(" \t\r\n,", sign) >= 0:
		case sign == '[' && depth < 3:
			depth++
		case sign == ']' && depth > 0:
			depth--
		case sign == '{':
			object, err := readObject(in)
			if err == nil {
				err = each(object)
			}
			if err != nil {
				return adg.Errorf(adg.Invalid, "object %d of the answer: %w", seen+1, err)
			}
			if seen++; seen > maxAttempts {
				return errTooMany()
			}
		default:
			return adg.Errorf(adg.Invalid, "behind object %d of the answer comes %q: a list of JSON objects is expected", seen, sign)
		}
	}
}

// readObject reads on to the end of an object that has been opened.
func readObject(in *bufio.Reader) ([]byte, error) {
	object := []byte{'{'}
	depth, quoted, escape := 1, false, false
	for depth > 0 {
		c, err := in.ReadByte()
		if err != nil {
			return nil, fmt.Errorf("it is cut off: %w", err)
		}
		if object = append(object, c); len(object) > maxRecord {
			return nil, fmt.Errorf("it is larger than %d MiB", maxRecord>>20)
		}
		switch {
		case escape:
			escape = false
		case quoted && c == '\\':
			escape = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return object, nil
}

// decode reads an object, without the text that it holds in the error.
func decode(object []byte, into any) error {
	err := json.Unmarshal(object, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("its field %s cannot be a %s", clean(wrong.Field), wrong.Value)
	}
	if err != nil {
		return errors.New("it is no JSON")
	}
	return nil
}

// forgeTime reads a forge's time; what is none is the zero time.
func forgeTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !plausible(at) {
		return time.Time{}
	}
	return at.UTC()
}

// projectOf is the repository's name in an address: the word after mark and the owner, or the last before mark.
func projectOf(address, mark string) string {
	_, rest, found := strings.Cut(address, mark)
	if !found {
		return ""
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// versionOf names what was deployed: a ref that is a tag, or else the start of the commit.
func versionOf(ref, sha string, isTag bool) string {
	ref = strings.TrimPrefix(ref, "refs/tags/")
	if _, ok := parseVersion(ref); isTag || ok && isVersion(ref) && ref != sha {
		return clean(ref)
	}
	return clean(sha[:min(len(sha), 12)])
}
