package adg

import (
	"fmt"
	"strings"
)

// enumText gives the name of an enum's value; a value outside the enum says so and never panics.
func enumText[E ~uint8](e E, names []string) string {
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("invalid(%d)", uint8(e))
}

// marshalEnum refuses to write a value that could not be read back.
func marshalEnum[E ~uint8](e E, what string, names []string) ([]byte, error) {
	if int(e) >= len(names) {
		return nil, Errorf(Internal, "%s %d does not exist", what, uint8(e))
	}
	return []byte(names[e]), nil
}

// unmarshalEnum reads a name; what it does not know it refuses, naming the choices.
func unmarshalEnum[E ~uint8](e *E, what string, names []string, text []byte) error {
	for i, name := range names {
		if name == string(text) {
			*e = E(i)
			return nil
		}
	}
	return Errorf(Invalid, "unknown %s %q: choose one of %s", what, text, strings.TrimPrefix(strings.Join(names, ", "), ", "))
}
