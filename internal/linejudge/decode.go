package linejudge

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// number is a float for which JSON has a word: null where it does not exist.
type number float64

// MarshalJSON writes the number, or null.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// cell is the number in CSV; empty where it does not exist.
func (n number) cell() string {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', -1, 64)
}

// pointed is a number that may not exist.
func pointed(v *float64) number {
	if v == nil {
		return number(math.NaN())
	}
	return number(*v)
}

// samples are a JSON list of numbers; null is a sample that is missing (NaN).
type samples []float64

// UnmarshalJSON reads a list that is not too long.
func (s *samples) UnmarshalJSON(text []byte) error {
	if n := bytes.Count(text, []byte(",")); n >= maxSamples {
		return adg.Errorf(adg.Invalid, "%d samples in a list: at most %d are read", n+1, maxSamples)
	}
	var list []*float64
	if err := json.Unmarshal(text, &list); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return adg.Errorf(adg.Invalid, "a list of samples holds numbers, and null for a missing one: no %s can stand there", cut(kind.Value))
		}
		return err
	}
	*s = make(samples, len(list))
	for i, v := range list {
		(*s)[i] = math.NaN()
		if v != nil {
			(*s)[i] = *v
		}
	}
	return nil
}

// decode reads one JSON object over the defaults in it; it refuses what the object has too much.
func decode(text []byte, into any, what string) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return explain(err, text, into, what)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return adg.Errorf(adg.Invalid, "there is something after the object: one line, one object")
	}
	return nil
}

// explain makes what the JSON package says a sentence for the one who wrote the line.
func explain(err error, text []byte, into any, what string) error {
	if name, choices := stray(text, reflect.TypeOf(into)); name != "" {
		return adg.Errorf(adg.Invalid, "unknown field %q: choose one of %s", cut(name), strings.Join(choices, ", "))
	}
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return adg.Errorf(adg.Invalid, "%s: a JSON object has to stand here, and no %s", what, cut(kind.Value))
	case errors.As(err, &kind):
		return adg.Errorf(adg.Invalid, "%s: no %s can stand here", written(kind.Field), cut(kind.Value))
	case errors.As(err, &syntax):
		return adg.Errorf(adg.Invalid, "no JSON at byte %d: %w", syntax.Offset, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return adg.Errorf(adg.Invalid, "the JSON ends too early")
	}
	return adg.Errorf(adg.Invalid, "%w", err)
}

// written is a field's path as the line has it, without the structs that are embedded on the way.
func written(path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(path, "."), func(part string) bool { return strings.HasSuffix(part, "Settings") }), ".")
}

// isObject tells whether a type's fields are those of its JSON: not if it reads its text by itself.
func isObject(t reflect.Type) bool {
	by := reflect.PointerTo(t)
	return t.Kind() == reflect.Struct && !by.Implements(reflect.TypeFor[json.Unmarshaler]()) && !by.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// stray finds the first field that a type does not have, and which ones it has.
func stray(text []byte, t reflect.Type) (name string, choices []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && isObject(t.Elem()) {
		return strayInList(text, t.Elem())
	}
	var object map[string]json.RawMessage
	if !isObject(t) || json.Unmarshal(text, &object) != nil {
		return "", nil
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = f.Type
			choices = append(choices, name)
		}
	}
	known := func(key string) (reflect.Type, bool) {
		for name, t := range fields {
			if strings.EqualFold(name, key) {
				return t, true
			}
		}
		return nil, false
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		below, found := known(key)
		if !found {
			return key, choices
		}
		if name, inside := stray(object[key], below); name != "" {
			return key + "." + name, inside
		}
	}
	return "", nil
}

func strayInList(text []byte, t reflect.Type) (name string, choices []string) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil {
		return "", nil
	}
	for i, one := range list {
		if name, choices := stray(one, t); name != "" {
			return strconv.Itoa(i) + "." + name, choices
		}
	}
	return "", nil
}

// cut bounds what is repeated of a line.
func cut(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
