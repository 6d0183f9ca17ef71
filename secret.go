package adg

import (
	"fmt"
	"io"
)

// Secret is a value that never shows itself: not in logs, errors, JSON or YAML. A policy names where it is
// ({env: NAME} or {file: PATH}); whoever reads the policy resolves it.
type Secret struct {
	Env   string
	File  string
	value *string // a pointer, because fmt prints what is in unexported fields of others' structs without asking
}

const redacted = "[redacted]"

// NewSecret makes a resolved secret.
func NewSecret(value string) Secret { return Secret{}.With(value) }

// Reveal is the value itself, for the one place that sends it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero tells whether no secret was named or given.
func (s Secret) IsZero() bool { return s == Secret{} }

// With is the same reference with its value.
func (s Secret) With(value string) Secret {
	if s.value = nil; value != "" {
		s.value = &value
	}
	return s
}

// String hides the value.
func (s Secret) String() string { return redacted }

// Format hides the value from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalYAML reads a reference; a literal secret is refused, and not repeated.
func (s *Secret) UnmarshalYAML(unmarshal func(any) error) error {
	var ref struct {
		Env  string `yaml:"env"`
		File string `yaml:"file"`
	}
	if err := unmarshal(&ref); err != nil || (ref.Env == "") == (ref.File == "") {
		return Errorf(Invalid, "a secret is named, never written here: {env: NAME} or {file: PATH}")
	}
	s.Env, s.File = ref.Env, ref.File
	return nil
}
