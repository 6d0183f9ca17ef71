// Package intake is how deployments are announced from outside: as CloudEvents through brokers and webhooks, and as the
// webhooks of GitHub and GitLab. It trusts nothing that comes in: signatures are checked, repeats and unknown fields
// are refused, and every secret and every queue may announce what its Binding allows, and nothing else.
package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
)

// DefaultType is the type of the CloudEvents that announce deployments.
const DefaultType = "io.github.deployguardian.adg.announce.v1"

// Announcement is a deployment that somebody outside asks for.
type Announcement struct {
	Service        string `json:"service"`
	Environment    string `json:"environment"`
	Version        string `json:"version"`
	Artifact       string `json:"artifact,omitempty"`
	Commit         string `json:"commit,omitempty"`
	ConfigRevision string `json:"config_revision,omitempty"`
	Actor          string `json:"actor,omitempty"`           // who it says is behind it
	Reason         string `json:"reason,omitempty"`          // why, in a sentence
	IdempotencyKey string `json:"idempotency_key,omitempty"` // the same for the same wish, however often it is announced
	Ref            string `json:"-"`                         // git ref that it was made from, if the announcer is a forge
	Origin         string `json:"-"`                         // where it came from: the source of the event, or the repository
}

// Release is the release that is announced.
func (a Announcement) Release() adg.Release {
	return adg.Release{Service: a.Service, Version: a.Version, Artifact: a.Artifact, Config: a.ConfigRevision, Commit: a.Commit}
}

// Validate reports the first thing that is wrong; the error is Invalid.
func (a Announcement) Validate() error {
	if err := a.Release().Validate(); err != nil {
		return err
	}
	if err := adg.ValidName("environment", a.Environment); err != nil {
		return err
	}
	for _, t := range []struct {
		name, value string
		longest     int
	}{{"actor", a.Actor, 128}, {"reason", a.Reason, 1024}, {"ref", a.Ref, 512}, {"origin", a.Origin, 1024}} {
		if len(t.value) > t.longest || !utf8.ValidString(t.value) || adg.Printable(t.value) != t.value {
			return adg.Errorf(adg.Invalid, "%s: use at most %d bytes of text without control characters", t.name, t.longest)
		}
	}
	if !keys.MatchString(a.IdempotencyKey) {
		return adg.Errorf(adg.Invalid, "idempotency_key: use 1 to 128 letters, digits and ._:/+-")
	}
	return nil
}

// FromEvent reads an announcement from the JSON of a CloudEvent of that type. Fields that are not known are refused: a
// misspelt one would otherwise deploy something else than was meant. Without an idempotency_key the event's source and
// id take its place. Errors are Invalid.
func FromEvent(text []byte, eventType string) (Announcement, error) {
	e, err := cloudevent.Parse(text)
	if err != nil {
		return Announcement{}, err
	}
	return fromEvent(e, eventType)
}

// Private

var keys = regexp.MustCompile(`^[A-Za-z0-9._:/+-]{1,128}$`)

func fromEvent(e cloudevent.Event, eventType string) (Announcement, error) {
	if e.Type != eventType {
		return Announcement{}, adg.Errorf(adg.Invalid, "the event is of type %q: announcements are of type %q", excerpt(e.Type), eventType)
	}
	members, err := cloudevent.Object(e.Data)
	if err != nil {
		return Announcement{}, fmt.Errorf("the event's data: %w", err)
	}
	a := Announcement{Origin: e.Source}
	fields := map[string]*string{
		"service": &a.Service, "environment": &a.Environment, "version": &a.Version, "artifact": &a.Artifact, "commit": &a.Commit,
		"config_revision": &a.ConfigRevision, "actor": &a.Actor, "reason": &a.Reason, "idempotency_key": &a.IdempotencyKey,
	}
	for name, value := range members {
		field, known := fields[name]
		if !known {
			return Announcement{}, adg.Errorf(adg.Invalid, "the event's data: unknown field %q", excerpt(name))
		}
		if value[0] != '"' || json.Unmarshal(value, field) != nil {
			return Announcement{}, adg.Errorf(adg.Invalid, "the event's data: %s is no text", name)
		}
	}
	if a.IdempotencyKey == "" {
		a.IdempotencyKey = key("event", e.Source, e.ID)
	}
	return a, a.Validate()
}

// key is an idempotency key that stands for all of the words.
func key(kind string, words ...string) string {
	sum := sha256.New()
	for _, w := range words {
		fmt.Fprintf(sum, "%d:%s", len(w), w)
	}
	return kind + ":" + hex.EncodeToString(sum.Sum(nil)[:16])
}

func excerpt(text string) string {
	return adg.Printable(strings.ToValidUTF8(text[:min(len(text), 64)], ""))
}
