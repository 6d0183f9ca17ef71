package row

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// ValidDocument refuses a document that no store keeps.
func ValidDocument(d adg.Document) error {
	if !ValidWord(d.Kind) || !ValidWord(d.Key) {
		return adg.Errorf(adg.Invalid, "a document cannot have the kind %.80q and the key %.80q: each needs 1 to %d bytes of text", d.Kind, d.Key, maxWord)
	}
	if len(d.Data) > adg.MaxDocument {
		return adg.Errorf(adg.Invalid, "%s %.80q is too large: it has %d bytes, %d are allowed", d.Kind, d.Key, len(d.Data), adg.MaxDocument)
	}
	return nil
}

// ValidWord tells whether a document can have this kind or key.
func ValidWord(word string) bool {
	return word != "" && len(word) <= maxWord && utf8.ValidString(word) && !strings.ContainsRune(word, 0)
}

// VersionAllows is nil if a write may change a document that has this version; 0: there is none.
func VersionAllows(w adg.Write, version int64) error {
	d := w.Document
	switch {
	case w.If == adg.AnyVersion, w.If == version:
		return nil
	case w.If == 0:
		return adg.Errorf(adg.Conflict, "%s %q exists already, in version %d", d.Kind, d.Key, version)
	case version == 0:
		return adg.Errorf(adg.Conflict, "%s %q does not exist any more: read it again", d.Kind, d.Key)
	default:
		return adg.Errorf(adg.Conflict, "%s %q was changed since it was read: it has version %d now, not %d: read it again", d.Kind, d.Key, version, w.If)
	}
}

// Legible gives copies of audit entries in which what is no text is replaced and what is too long is shortened, so that
// what is read back has the digest of what was stored. An outcome that does not exist is Invalid.
func Legible(entries []adg.AuditEntry) ([]adg.AuditEntry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	entries = slices.Clone(entries)
	for i := range entries {
		e := &entries[i]
		e.At = time.Time{} // it is the store's: one that cannot be written is no error
		for _, word := range []*string{&e.Actor, &e.From, &e.Action, &e.Resource, &e.Service, &e.Environment} {
			*word = clipped(strings.ReplaceAll(*word, "\x00", string(utf8.RuneError)), maxWord)
		}
		e.Reason = clipped(strings.ReplaceAll(e.Reason, "\x00", string(utf8.RuneError)), maxDetail)
		e.Detail = maps.Clone(e.Detail)
		for name, text := range e.Detail {
			e.Detail[name] = clipped(text, maxDetail)
		}
	}
	text, err := Encode(entries)
	if err != nil {
		return nil, err
	}
	return Decode[[]adg.AuditEntry](text)
}

// Private

const (
	maxWord   = 1024    // bytes of a kind, a key, or a word of an audit entry
	maxDetail = 8 << 10 // bytes of a reason, or what else an audit entry tells
)

// clipped is a text of at most so many bytes, which says so if it was longer: a log that nobody can shorten is no place
// for what somebody has sent to fill it.
func clipped(text string, most int) string {
	const mark = " … (shortened)"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(mark)], "") + mark
}
