package strictyaml

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Shown is the value of the field at a path of a struct, as a file would write it on one line; empty where it has none.
// Of a secret it is where that is kept, and an address goes without what stands before its @.
func (l Language) Shown(of any, path string) string {
	v := reflect.ValueOf(of)
	for name := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if !v.IsValid() || v.Kind() != reflect.Struct {
			return ""
		}
		f, found := shapeOf(v.Type()).field(name)
		if !found {
			return ""
		}
		v = v.FieldByIndex(f.index)
	}
	text := l.shown(v)
	if l.formOf(v.Type()) == textForm {
		text = v.String() // alone on its line it needs no quotes
	}
	return userInfo.ReplaceAllString(text, "://[redacted]@")
}

// Private

// plainText needs no quotes.
var plainText = regexp.MustCompile(`^[A-Za-z0-9/._-][A-Za-z0-9/._:*@-]*$`)

func (l Language) shown(v reflect.Value) string {
	switch l.formOf(v.Type()) {
	case secretForm:
		return shownSecret(v.Interface().(adg.Secret))
	case textualForm:
		return shownTextual(v)
	case enumForm:
		return fmt.Sprint(v.Interface())
	case pointerForm:
		if v.IsNil() {
			return ""
		}
		return l.shown(v.Elem())
	case structForm:
		var all []string
		for _, f := range shapeOf(v.Type()).fields {
			if inner := v.FieldByIndex(f.index); !inner.IsZero() {
				all = append(all, f.name+": "+l.shown(inner))
			}
		}
		return "{" + strings.Join(all, ", ") + "}"
	case mapForm:
		var all []string
		entries := map[string]string{}
		for _, key := range v.MapKeys() {
			entries[key.String()] = l.shown(v.MapIndex(key))
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			all = append(all, quoted(name)+": "+entries[name])
		}
		return "{" + strings.Join(all, ", ") + "}"
	case listForm:
		var all []string
		for i := range v.Len() {
			all = append(all, l.shown(v.Index(i)))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case textForm:
		return quoted(v.String())
	case boolForm, wholeForm, numberForm:
		return fmt.Sprint(v.Interface())
	case noForm, rawForm:
	}
	return ""
}

func quoted(text string) string {
	if plainText.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

// shownSecret is where a secret is kept, never what it is.
func shownSecret(s adg.Secret) string {
	switch {
	case s.Env != "":
		return "{env: " + s.Env + "}"
	case s.File != "":
		return "{file: " + s.File + "}"
	}
	return ""
}

func shownTextual(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return adg.Short(x)
	case Percent:
		return strconv.FormatFloat(float64(x), 'g', -1, 64) + "%"
	}
	return fmt.Sprint(v.Interface())
}
