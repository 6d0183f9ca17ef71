// Package wire translates between the vocabulary of ADG and the messages of its API, in both directions. It decides
// nothing, except what the API tells on top of what is stored: what will happen next, what somebody may ask for, and
// what a plan comes to. It is pure.
//
// What is zero is not set in a message. Text that is no UTF-8 has the broken bytes replaced, because no message may hold
// them; nothing else about it is changed, so that it is still as untrusted as it was. Functions that read what a caller
// sent begin with Read: what they refuse is Invalid.
package wire

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Timestamp is a time; the zero time is not set.
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ReadTimestamp is the time in UTC; one that is not set is the zero time. What says which field it is, for the refusal
// of a time outside the years 1 to 9999.
func ReadTimestamp(what string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, Wrong(what, "%s is no time: %w", what, err)
	}
	return t.AsTime(), nil
}

// Duration is a length of time; zero is not set.
func Duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// ReadDuration is the length of time; one that is not set is zero. What says which field it is, for the refusal of one
// that is below zero or longer than 292 years.
func ReadDuration(what string, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, Wrong(what, "%s is no length of time: %w", what, err)
	}
	read := d.AsDuration()
	if read < 0 || read == math.MaxInt64 {
		return 0, Wrong(what, "%s is a length of time of 0 or more, not %s", what, read)
	}
	return read, nil
}

// Private

// text is foreign text as a message may hold it.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(all []string) []string { return each(all, text) }

func textMap(all map[string]string) map[string]string {
	return eachValue(all, text)
}

// each translates a list; none is none.
func each[From, To any](all []From, one func(From) To) []To {
	if len(all) == 0 {
		return nil
	}
	made := make([]To, len(all))
	for i, a := range all {
		made[i] = one(a)
	}
	return made
}

// eachValue translates a map whose keys are foreign text, too; none is none.
func eachValue[From, To any](all map[string]From, one func(From) To) map[string]To {
	if len(all) == 0 {
		return nil
	}
	made := make(map[string]To, len(all))
	for key, a := range all {
		made[text(key)] = one(a)
	}
	return made
}

// optional translates what may be missing.
func optional[From, To any](one *From, translate func(From) *To) *To {
	if one == nil {
		return nil
	}
	return translate(*one)
}

// count is a number of things. Nothing in ADG has more of them than the message can hold.
func count(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
