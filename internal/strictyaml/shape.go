package strictyaml

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
)

// shape is what files see of a struct. It is read from tags:
//
//	yaml:"name"       the field's name; ",inline" gives the fields of a struct to the one around it
//	doc:"…"           what the field is for
//	default:"…"       what is taken where the file says nothing, as a file would write it
//	need:"required"   the field must be there; need:"positive" it must be above zero; need:"filled" a list has entries;
//	                  several with commas between
//	choices:"a,b"     the texts that are allowed
//	example:"…"       what a file might say, where there is no default
//	seam:"source"     whose drivers' options the field holds
//
// and from a blank field of the struct:
//
//	_ struct{} `short:"name"`    a plain value stands for that field
//	_ struct{} `pick:"one"`      exactly one field is given; its name alone stands for it with its defaults
//
// The decoder, the schema and the reference page all go by it.
type shape struct {
	fields []field
	short  string
	pick   bool
}

// field is one field of a shape.
type field struct {
	name     string
	doc      string
	fallback string
	example  string
	seam     string
	index    []int
	typ      reflect.Type
	required bool
	positive bool
	filled   bool
	choices  []string
}

// ValueOf is the value of the field of a struct that files call by that name; false if it has none, or is no struct.
func ValueOf(options any, name string) (any, bool) {
	v := reflect.ValueOf(options)
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	f, found := shapeOf(v.Type()).field(name)
	if !found {
		return nil, false
	}
	return v.FieldByIndex(f.index).Interface(), true
}

func shapeOf(t reflect.Type) shape {
	var s shape
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			s.short, s.pick = f.Tag.Get("short"), f.Tag.Get("pick") == "one"
			continue
		}
		tag, tagged := f.Tag.Lookup("yaml")
		name, option, _ := strings.Cut(tag, ",")
		if !f.IsExported() && !f.Anonymous || !tagged || name == "-" {
			continue
		}
		if option == "inline" {
			for _, inner := range shapeOf(f.Type).fields {
				inner.index = append([]int{i}, inner.index...)
				s.fields = append(s.fields, inner)
			}
			continue
		}
		needs := strings.Split(f.Tag.Get("need"), ",")
		one := field{
			name: name, doc: f.Tag.Get("doc"), fallback: f.Tag.Get("default"), example: f.Tag.Get("example"), seam: f.Tag.Get("seam"), index: []int{i}, typ: f.Type,
			required: slices.Contains(needs, "required"), positive: slices.Contains(needs, "positive"), filled: slices.Contains(needs, "filled"),
		}
		if choices := f.Tag.Get("choices"); choices != "" {
			one.choices = strings.Split(choices, ",")
		}
		s.fields = append(s.fields, one)
	}
	return s
}

// field finds a field by its name.
func (s shape) field(name string) (field, bool) {
	i := slices.IndexFunc(s.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return s.fields[i], true
}

// names are the names of all fields.
func (s shape) names() []string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	return names
}

// enumChoices are the names of an enum's values; none if the type does not tell them.
func enumChoices(t reflect.Type) []string {
	if t.Kind() != reflect.Uint8 {
		return nil
	}
	var names []string
	for i := range 256 {
		v := reflect.New(t).Elem()
		v.SetUint(uint64(i))
		m, ok := v.Interface().(encoding.TextMarshaler)
		if !ok {
			return nil
		}
		text, err := m.MarshalText()
		if err != nil {
			return names
		}
		names = append(names, string(text))
	}
	return names
}
