package replay

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// changes are the values that two records differ in.
type changes struct {
	list []Change
	n    int
}

func (c *changes) add(path, was, wouldBe string) {
	c.n++
	if len(c.list) < maxChanges {
		c.list = append(c.list, Change{path, was, wouldBe})
	}
}

// compare walks through two values of the same type. What a store cannot tell apart is equal: instants in whatever
// time zone, a list that is empty and one that is not there, NaN and NaN, and JSON however it is spaced.
func (c *changes) compare(path string, was, wouldBe any) {
	c.walk(path, reflect.ValueOf(was), reflect.ValueOf(wouldBe))
}

// Private

func (c *changes) walk(path string, a, b reflect.Value) {
	if special, ok := a.Interface().(time.Time); ok {
		if other, _ := b.Interface().(time.Time); !special.Equal(other) {
			c.add(path, show(a), show(b))
		}
		return
	}
	if raw, ok := a.Interface().(json.RawMessage); ok {
		other, _ := b.Interface().(json.RawMessage)
		c.raw(path, raw, other)
		return
	}
	_, text := a.Interface().(encoding.TextMarshaler)
	switch kind := a.Kind(); {
	case kind == reflect.Struct && !text:
		for i := range a.NumField() {
			if field := a.Type().Field(i); field.IsExported() {
				c.walk(path+"."+name(field), a.Field(i), b.Field(i))
			}
		}
	case kind == reflect.Pointer || kind == reflect.Interface:
		if a.IsNil() || b.IsNil() || a.Elem().Type() != b.Elem().Type() {
			c.plain(path, a, b)
			return
		}
		c.walk(path, a.Elem(), b.Elem())
	case kind == reflect.Slice:
		for i := range max(a.Len(), b.Len()) {
			c.item(fmt.Sprintf("%s[%d]", path, i), element(a, i), element(b, i))
		}
	case kind == reflect.Map:
		for _, key := range keys(a, b) {
			c.item(path+"."+key.String(), a.MapIndex(key), b.MapIndex(key))
		}
	default:
		c.plain(path, a, b)
	}
}

// item compares what may be there on one side only.
func (c *changes) item(path string, a, b reflect.Value) {
	if a.IsValid() && b.IsValid() {
		c.walk(path, a, b)
		return
	}
	c.add(path, show(a), show(b))
}

func (c *changes) plain(path string, a, b reflect.Value) {
	equal := a.Interface() == b.Interface()
	if a.CanFloat() && math.IsNaN(a.Float()) && math.IsNaN(b.Float()) {
		equal = true
	}
	if !equal {
		c.add(path, show(a), show(b))
	}
}

func (c *changes) raw(path string, a, b json.RawMessage) {
	if string(a) == string(b) {
		return
	}
	var was, wouldBe struct{ Value any }
	if len(a) == 0 || len(b) == 0 || json.Unmarshal(a, &was.Value) != nil || json.Unmarshal(b, &wouldBe.Value) != nil {
		c.add(path, cut(string(a)), cut(string(b)))
		return
	}
	c.walk(path, reflect.ValueOf(was).Field(0), reflect.ValueOf(wouldBe).Field(0))
}

func element(list reflect.Value, i int) reflect.Value {
	if i >= list.Len() {
		return reflect.Value{}
	}
	return list.Index(i)
}

// keys are those of both maps; all maps that are stored have names for keys.
func keys(a, b reflect.Value) []reflect.Value {
	found := map[string]reflect.Value{}
	for _, key := range append(a.MapKeys(), b.MapKeys()...) {
		found[key.String()] = key
	}
	all := make([]reflect.Value, 0, len(found))
	for _, word := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[word])
	}
	return all
}

// name is what a field is called in the records.
func name(field reflect.StructField) string {
	tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if tag == "" {
		return strings.ToLower(field.Name)
	}
	return tag
}

// show is a value as people read it.
func show(v reflect.Value) string {
	if !v.IsValid() {
		return "nothing"
	}
	switch x := v.Interface().(type) {
	case nil:
		return "nothing"
	case time.Time:
		if x.IsZero() {
			return "never"
		}
		return x.UTC().Format("15:04:05.999999999")
	case string:
		return cut(fmt.Sprintf("%q", x))
	case fmt.Stringer:
		if v.Kind() != reflect.Pointer || !v.IsNil() {
			return cut(x.String())
		}
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "nothing"
		}
		return show(v.Elem())
	}
	if v.Kind() == reflect.Struct {
		if text, err := json.Marshal(v.Interface()); err == nil {
			return cut(string(text))
		}
	}
	return cut(fmt.Sprint(v.Interface()))
}

// cut bounds how much of a value is shown.
func cut(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
