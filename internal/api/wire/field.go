package wire

import "github.com/deployguardian/adg"

// FieldError says which field of a request is wrong.
type FieldError struct {
	Field string // the path, as in release.version
	Err   error
}

// Error is the sentence.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// Wrong is an Invalid error about one field of a request.
func Wrong(field, format string, args ...any) error {
	return InField(field, adg.Errorf(adg.Invalid, format, args...))
}

// InField says which field an error is about; nil stays nil.
func InField(field string, err error) error {
	if err == nil {
		return nil
	}
	return &FieldError{Field: field, Err: err}
}
