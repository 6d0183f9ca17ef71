package cli

import (
	"encoding"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
)

// Private

// wordOf is an enum's value as people say it: STATE_ROLLED_BACK is rolled_back.
func wordOf(e protoreflect.Enum) string {
	values := e.Descriptor().Values()
	value := values.ByNumber(e.Number())
	if value == nil {
		return fmt.Sprintf("unknown(%d)", e.Number()) // a newer server has more words
	}
	return short(values, value)
}

// spoken is an enum's value within a sentence.
func spoken(e protoreflect.Enum) string { return strings.ReplaceAll(wordOf(e), "_", " ") }

// choices are the words of an enum, but for the one that stands for none.
func choices[E protoreflect.Enum]() []string {
	var e E
	values := e.Descriptor().Values()
	words := make([]string, 0, values.Len())
	for i := range values.Len() {
		if w := short(values, values.Get(i)); w != "unspecified" {
			words = append(words, w)
		}
	}
	return words
}

// enums reads words of an enum as typed.
func enums[E interface {
	~int32
	protoreflect.Enum
}](flag string, typed []string) ([]E, error) {
	var all []E
	var e E
	values := e.Descriptor().Values()
	for _, text := range typed {
		if err := oneOf(flag, text, choices[E]()...); err != nil {
			return nil, err
		}
		for i := range values.Len() {
			if short(values, values.Get(i)) == text {
				all = append(all, E(values.Get(i).Number()))
			}
		}
	}
	return all, nil
}

// short drops what all the names of an enum begin with.
func short(values protoreflect.EnumValueDescriptors, value protoreflect.EnumValueDescriptor) string {
	zero := string(values.Get(0).Name())
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), zero[:strings.LastIndex(zero, "_")+1]))
}

// same reads the root's word for an enum of the API; a word that this program does not know leaves it as it is.
func same(to encoding.TextUnmarshaler, from protoreflect.Enum) {
	_ = to.UnmarshalText([]byte(wordOf(from)))
}

// when is a time as people say it, from now.
func when(now time.Time, at *timestamppb.Timestamp) string {
	if at == nil {
		return "–"
	}
	switch d := at.AsTime().Sub(now).Round(time.Second); {
	case d > 0:
		return "in " + span(d)
	case d > -time.Second:
		return "now"
	default:
		return span(-d) + " ago"
	}
}

// coming reads a time that may be ahead, or how long it is until then; empty is no time.
func coming(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if at, ok := written(text); ok {
		return timestamppb.New(at), nil
	}
	if ahead, err := time.ParseDuration(text); err == nil && ahead > 0 {
		return timestamppb.New(now.Add(ahead)), nil
	}
	return nil, adg.Errorf(adg.Invalid, "--%s %q: write a day (2026-05-01), a time (2026-05-01T12:00:00Z), or how long until then (2h)", flag, text)
}

// past reads a time that has been; empty is no time.
func past(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	at, err := moment(flag, text, now)
	if err != nil || at.IsZero() {
		return nil, err
	}
	return timestamppb.New(at), nil
}

// dash stands for what is empty.
func dash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// table writes rows below their header. On a terminal each fits the width: the last column gives way.
func table(t Terminal, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	all := slices.Concat([][]string{header}, rows)
	for _, row := range all {
		for i := range row {
			row[i] = flat(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	width := 0
	if t.Interactive() {
		width = t.Width()
	}
	var text strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fit := strings.TrimRight(line.String(), " ")
		if width > 0 {
			fit = cut(fit, width)
		}
		text.WriteString(fit + "\n")
	}
	_, err := io.WriteString(t.Out, text.String())
	return err
}

// facts writes names with what they stand for, one per line, without those that stand for nothing.
func facts(t Terminal, pairs ...string) error {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			width = max(width, utf8.RuneCountInString(pairs[i]))
		}
	}
	var text strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(&text, "%-*s  %s\n", width, pairs[i], strings.ReplaceAll(clean(pairs[i+1]), "\n", "\n"+strings.Repeat(" ", width+2)))
		}
	}
	_, err := io.WriteString(t.Out, text.String())
	return err
}
