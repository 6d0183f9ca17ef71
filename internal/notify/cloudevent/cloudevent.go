// Package cloudevent is the envelope that facts leave in, and that announcements of deployments come in: CloudEvents
// 1.0 in their JSON format, in the structured mode that is the same over HTTP, Kafka, RabbitMQ and NATS.
package cloudevent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// ContentType is the media type of an event in structured mode.
const ContentType = "application/cloudevents+json; charset=utf-8"

// MaxBytes bounds an event that is read.
const MaxBytes = 256 << 10

// Event is an event of which the data is JSON.
type Event struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            time.Time       `json:"time,omitzero"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// Of is the event that tells a fact. Its id is the fact's, the same each time that it is sent; its subject is the
// deployment, or what was changed; its type is io.github.deployguardian.adg.<kind>.v1. Foreign text is made printable.
func Of(f adg.Fact, source string) (Event, error) {
	f.Text, f.Actor, f.Resource = adg.Printable(f.Text), adg.Printable(f.Actor), adg.Printable(f.Resource)
	reasons := make([]string, len(f.Reasons))
	for i, r := range f.Reasons {
		reasons[i] = adg.Printable(r)
	}
	f.Reasons = reasons
	data, err := json.Marshal(f)
	if err != nil {
		return Event{}, fmt.Errorf("writing fact %s as an event: %w", f.ID, err)
	}
	return Event{
		SpecVersion: "1.0", ID: f.ID, Source: source, Type: "io.github.deployguardian.adg." + f.Kind.String() + ".v1",
		Subject: cmp.Or(f.Deployment, f.Resource), Time: f.At.UTC(), DataContentType: "application/json", Data: data,
	}, nil
}

// Encode is the JSON of the event that tells a fact.
func Encode(f adg.Fact, source string) ([]byte, error) {
	e, err := Of(f, source)
	if err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// Topic is where facts of this kind about this service are published: <service>.<environment>.<kind>. What a word of
// a topic may not hold, dots included, is written as %XX, so that no name can pose as another one's words.
func Topic(f adg.Fact) string {
	return word(f.Service) + "." + word(f.Environment) + "." + word(f.Kind.String())
}

// ValidSource refuses what is not a source: a URI reference, which is not empty.
func ValidSource(source string) error {
	if _, err := url.Parse(source); err != nil || source == "" || len(source) > 255 || strings.ContainsFunc(source, unprintable) {
		return adg.Errorf(adg.Invalid, "source %q: write it as a URI or a path such as /adg/production", adg.Printable(source))
	}
	return nil
}

// Parse reads an event in structured mode. Extension attributes are allowed and dropped; attributes that are missing,
// of the wrong type, given twice or too long are an Invalid error. The data is JSON, not yet looked into.
func Parse(text []byte) (Event, error) {
	if len(text) > MaxBytes {
		return Event{}, adg.Errorf(adg.Invalid, "the event has more than %d bytes", MaxBytes)
	}
	attributes, err := Object(text)
	if err != nil {
		return Event{}, fmt.Errorf("the event: %w", err)
	}
	e := Event{Data: attributes["data"]}
	for name, to := range map[string]any{
		"specversion": &e.SpecVersion, "id": &e.ID, "source": &e.Source, "type": &e.Type, "subject": &e.Subject,
		"time": &e.Time, "datacontenttype": &e.DataContentType,
	} {
		if value, found := attributes[name]; found {
			if err := json.Unmarshal(value, to); err != nil {
				return Event{}, adg.Errorf(adg.Invalid, "the event's %s is of the wrong form: %w", name, err)
			}
		}
	}
	if _, found := attributes["data_base64"]; found {
		return Event{}, adg.Errorf(adg.Invalid, "the event has data_base64: send its data as JSON")
	}
	return e, e.check()
}

// Object reads a JSON object into its members; a member given twice is refused, as is anything after the object.
func Object(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, adg.Errorf(adg.Invalid, "this is no UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, adg.Errorf(adg.Invalid, "this is no JSON object")
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "this is no JSON: %w", err)
		}
		name, _ := key.(string) // the decoder accepts nothing else where a name belongs
		if _, twice := members[name]; twice {
			return nil, adg.Errorf(adg.Invalid, "%q is given twice", adg.Printable(name))
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, adg.Errorf(adg.Invalid, "this is no JSON: %w", err)
		}
		members[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, adg.Errorf(adg.Invalid, "this is no JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, adg.Errorf(adg.Invalid, "there is something after the JSON object")
	}
	return members, nil
}

// Private

func (e Event) check() error {
	const longest = 1024
	if e.SpecVersion != "1.0" {
		return adg.Errorf(adg.Invalid, "the event's specversion is %q: it has to be \"1.0\"", adg.Printable(cut(e.SpecVersion)))
	}
	for _, a := range []struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}, {"subject", e.Subject}} {
		switch {
		case a.value == "" && a.name != "subject":
			return adg.Errorf(adg.Invalid, "the event's %s is missing", a.name)
		case len(a.value) > longest:
			return adg.Errorf(adg.Invalid, "the event's %s has more than %d bytes", a.name, longest)
		case strings.ContainsFunc(a.value, unprintable):
			return adg.Errorf(adg.Invalid, "the event's %s holds control characters", a.name)
		}
	}
	media, _, _ := strings.Cut(e.DataContentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media != "" && media != "application/json" && !strings.HasSuffix(media, "+json") {
		return adg.Errorf(adg.Invalid, "the event's data is %q: it has to be JSON", adg.Printable(cut(media)))
	}
	return nil
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "") }

func unprintable(r rune) bool { return adg.Printable(string(r)) != string(r) || r == '\n' || r == '\t' }

// word is text as one word of a topic; no text at all is a word, too.
func word(text string) string {
	if text == "" {
		return "-"
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
