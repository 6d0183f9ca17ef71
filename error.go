package adg

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of error this is; each surface maps it once: to an exit code, an HTTP status, a gRPC code.
type Code uint8

// The codes. Internal is the zero value: an error that nobody classified is ours to explain.
const (
	Internal Code = iota
	Invalid
	NotFound
	Conflict
	Unauthorized
	Unavailable
)

var codeNames = []string{"internal", "invalid", "not_found", "conflict", "unauthorized", "unavailable"}

// String is the code as logs and answers show it.
func (c Code) String() string { return enumText(c, codeNames) }

// Error is an error with a code and a sentence for the person who sees it.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause; may be nil
}

// Error is the sentence, and the cause where there is one.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Message
	case e.Message == "":
		return e.Err.Error()
	default:
		return e.Message + ": " + e.Err.Error()
	}
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error; %w wraps a cause.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// CodeOf is the code of the outermost Error in err's chain, Internal if it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// ErrFenced refuses a write by an owner whose lease another has taken since. The writer must drop the deployment and
// do nothing more for it.
var ErrFenced = &Error{Code: Conflict, Message: "another owner has taken this deployment since"}

// ErrNoSlot refuses an automatic rollback past the limit on rollbacks per hour over all services.
var ErrNoSlot = &Error{Code: Conflict, Message: "the limit on automatic rollbacks per hour is reached"}

// permanent marks what retrying cannot cure.
type permanent struct{ error }

// Unwrap gives the cause.
func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as something that retrying cannot cure; nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent tells whether err, or something that it wraps, was marked by Permanent.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}

// throttled carries the time that the other side asked us to wait.
type throttled struct {
	error
	after time.Duration
}

// Unwrap gives the cause.
func (t throttled) Unwrap() error { return t.error }

// Throttled marks err as "ask again after that long"; a wait of zero means that the other side did not say.
func Throttled(err error, after time.Duration) error { return throttled{err, max(after, 0)} }

// RetryAfter is the wait that the other side asked for; false if err is no throttling.
func RetryAfter(err error) (time.Duration, bool) {
	t, ok := errors.AsType[throttled](err)
	return t.after, ok
}

// advised carries what to do about an error, where that is more than its code tells.
type advised struct {
	error
	wayOut string
}

// Error is the sentence, and the way out behind it.
func (a advised) Error() string { return a.error.Error() + ": " + a.wayOut }

// Unwrap gives the cause.
func (a advised) Unwrap() error { return a.error }

// Advised gives err a way out of its own: what the person who sees it can do now, beginning with a verb. Who shows errors
// puts none of his own behind it; nil stays nil.
func Advised(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return advised{err, fmt.Sprintf(format, args...)}
}

// WayOut is the outermost way out that err was given; empty if there is none.
func WayOut(err error) string {
	a, _ := errors.AsType[advised](err)
	return a.wayOut
}
