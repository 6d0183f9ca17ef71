package adg_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestAnErrorHasTheOutermostCode(t *testing.T) {
	refused := adg.Errorf(adg.Unauthorized, "token refused")
	for _, row := range []struct {
		name string
		err  error
		want adg.Code
	}{
		{"an error with a code", refused, adg.Unauthorized},
		{"wrapped without a code", fmt.Errorf("query prom: %w", refused), adg.Unauthorized},
		{"wrapped with another code", adg.Errorf(adg.Unavailable, "query prom: %w", refused), adg.Unavailable},
		{"among others", errors.Join(io.EOF, refused), adg.Unauthorized},
		{"marked permanent", adg.Permanent(refused), adg.Unauthorized},
		{"marked throttled", adg.Throttled(refused, time.Second), adg.Unauthorized},
		{"an error of others", io.EOF, adg.Internal},
		{"none", nil, adg.Internal},
		{"a stale owner's write", fmt.Errorf("commit: %w", adg.ErrFenced), adg.Conflict},
		{"no slot left", adg.ErrNoSlot, adg.Conflict},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := adg.CodeOf(row.err); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

func TestAnErrorKeepsItsCauseAndItsSentence(t *testing.T) {
	err := adg.Errorf(adg.Unavailable, "read answer: %w", io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "read answer: unexpected EOF" {
		t.Error(err)
	}
	for _, row := range []struct {
		err  adg.Error
		want string
	}{
		{adg.Error{Message: "no such check"}, "no such check"},
		{adg.Error{Err: io.EOF}, "EOF"},
		{adg.Error{Message: "read answer", Err: io.EOF}, "read answer: EOF"},
	} {
		if got := row.err.Error(); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
	if !errors.Is(fmt.Errorf("commit: %w", adg.ErrFenced), adg.ErrFenced) || errors.Is(adg.ErrNoSlot, adg.ErrFenced) {
		t.Error("the two conflicts are told apart by identity")
	}
}

func TestPermanentIsSeenThroughEveryWrapping(t *testing.T) {
	if adg.Permanent(nil) != nil {
		t.Error("nil became an error")
	}
	permanent := adg.Permanent(io.EOF)
	for _, err := range []error{permanent, fmt.Errorf("query: %w", permanent), adg.Errorf(adg.Invalid, "query: %w", permanent), errors.Join(io.EOF, permanent), adg.Throttled(permanent, 0)} {
		if !adg.IsPermanent(err) || !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
	}
	for _, err := range []error{nil, io.EOF, adg.Errorf(adg.Invalid, "query"), adg.Throttled(io.EOF, time.Second)} {
		if adg.IsPermanent(err) {
			t.Errorf("%v is permanent", err)
		}
	}
	if permanent.Error() != "EOF" {
		t.Error(permanent)
	}
}

func TestThrottlingSaysHowLongToWait(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want time.Duration
		ok   bool
	}{
		{"a wait", adg.Throttled(io.EOF, time.Minute), time.Minute, true},
		{"a wait further down", fmt.Errorf("query: %w", adg.Throttled(io.EOF, time.Minute)), time.Minute, true},
		{"no wait was named", adg.Throttled(io.EOF, 0), 0, true},
		{"a negative wait is none", adg.Throttled(io.EOF, -time.Minute), 0, true},
		{"no throttling", io.EOF, 0, false},
		{"no error", nil, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, ok := adg.RetryAfter(row.err); got != row.want || ok != row.ok {
				t.Errorf("%s, %t", got, ok)
			}
			if row.ok && !errors.Is(row.err, io.EOF) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestAnErrorMayCarryItsOwnWayOut(t *testing.T) {
	if adg.Advised(nil, "wait") != nil {
		t.Error("nil became an error")
	}
	for _, row := range []struct {
		name         string
		err          error
		text, wayOut string
	}{
		{"its own", adg.Advised(io.EOF, "try again in %s", time.Minute), "EOF: try again in 1m0s", "try again in 1m0s"},
		{"of what it wraps", adg.Throttled(fmt.Errorf("log in: %w", adg.Advised(io.EOF, "wait")), time.Second), "log in: EOF: wait", "wait"},
		{"the outermost counts", adg.Advised(fmt.Errorf("log in: %w", adg.Advised(io.EOF, "wait")), "go"), "log in: EOF: wait: go", "go"},
		{"none", io.EOF, "EOF", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := adg.WayOut(row.err); got != row.wayOut || row.err.Error() != row.text || !errors.Is(row.err, io.EOF) {
				t.Errorf("%q with the way out %q", row.err, got)
			}
		})
	}
	if adg.CodeOf(adg.Advised(adg.Errorf(adg.Conflict, "it changed"), "look again")) != adg.Conflict || adg.WayOut(nil) != "" {
		t.Error("a way out changes no code, and no error has none")
	}
}
