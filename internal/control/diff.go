package control

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Comparison is what is compared: a version of a policy with another, or with a text that is not stored.
type Comparison struct {
	adg.Scope
	From int64  // number of the older version; 0: the newest
	To   int64  // number of the newer version; 0: Text
	Text string // YAML
}

// Difference is how two texts of a policy differ.
type Difference struct {
	Unified string         // of the texts; empty: there is none
	Changes []PolicyChange // in meaning; none also where one of two stored versions cannot be read any more
	Weakens []string       // what guards less, in words
}

// PolicyChange is a field that differs. Where one of the two does not have it, its value there is empty.
type PolicyChange struct {
	Path          string // as in checks[0].fail; of a check that was there before and is not now, with its number of then
	Before, After string
	Weakens       bool
}

// DiffPolicy compares. A text that is no policy is Invalid, with everything that is wrong.
func (c *Control) DiffPolicy(ctx context.Context, who identity.Caller, what Comparison) (Difference, error) {
	p := Policy{Service: what.Service, Environment: what.Environment, Number: what.From}
	if err := c.allowed(ctx, who, identity.PolicyRead, what.Scope, adg.AuditEntry{Action: "policy.diff", Resource: p.resource()}); err != nil {
		return Difference{}, err
	}
	if what.To == 0 && what.Text == "" {
		return Difference{}, adg.Advised(adg.Errorf(adg.Invalid, "there is nothing to compare it with"), "name a second version, or send a text")
	}
	before, err := c.version(ctx, p)
	if err != nil {
		return Difference{}, err
	}
	after, name := Policy{Service: p.Service, Environment: p.Environment, Number: what.To, Text: what.Text}, "text"
	if what.To != 0 {
		if after, err = c.version(ctx, after); err != nil {
			return Difference{}, err
		}
		name = fmt.Sprintf("version %d", after.Number)
	}
	d := Difference{Unified: unified(fmt.Sprintf("version %d", before.Number), before.Text, name, after.Text)}
	now, err := c.parseFor(ctx, after.Text, what.Scope)
	if err != nil && what.To == 0 {
		return Difference{}, err
	}
	then, gone := c.parseFor(ctx, before.Text, what.Scope)
	if err = firstOf(gone, err); err != nil {
		// A connection is gone that a stored version names: what it means cannot be told any more.
		d.Weakens = []string{"what differs in meaning cannot be told: " + err.Error()}
		return d, nil //nolint:nilerr // the difference of the texts is what there is
	}
	d.Weakens, d.Changes = Weakened(then.Policy, now.Policy), changes(then.Policy, now.Policy)
	return d, nil
}

// Private

// unified is the difference of two texts in the unified format.
func unified(oldName, before, newName, after string) string {
	text := diff.Diff(oldName, ended(before), newName, ended(after))
	_, text, _ = bytes.Cut(text, []byte("\n")) // its first line is a command line
	return string(text)
}

// ended is a text whose last line ends: whether it did is no difference between policies.
func ended(text string) []byte { return []byte(strings.TrimRight(text, "\n") + "\n") }

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// changes are the fields in which two policies differ, in the order of the newer one; what only the older one has is last.
func changes(before, after adg.Policy) []PolicyChange {
	then, now := fieldsOf(before), fieldsOf(after)
	gone := slices.DeleteFunc(then.order, func(key string) bool { _, stays := now.values[key]; return stays })
	weaker := weakenings(before, after)
	var all []PolicyChange
	for _, key := range slices.Concat(now.order, gone) {
		old, had := then.values[key]
		field, has := now.values[key]
		if had && has && old.text == field.text || !had && field.zero || !has && old.zero {
			continue
		}
		if !has {
			field.path = old.path
		}
		all = append(all, PolicyChange{Path: field.path, Before: old.text, After: field.text, Weakens: slices.ContainsFunc(weaker, func(w weakening) bool {
			return slices.ContainsFunc(w.keys, func(k string) bool { return key == k || strictyaml.Inside(key, k) })
		})})
	}
	return all
}

// fields are those of a policy by their keys: paths in which checks and phases go by their names, so that one that has
// moved is still the same.
type fields struct {
	order  []string
	values map[string]fieldValue
}

type fieldValue struct {
	path, text string
	zero       bool
}

func fieldsOf(p adg.Policy) fields {
	f := fields{values: map[string]fieldValue{}}
	p.Digest = "" // it follows from the text
	p.Checks = slices.Clone(p.Checks)
	for i := range p.Checks {
		p.Checks[i].Sequential.Alpha = 0 // so does this from alpha
	}
	f.add(reflect.ValueOf(p), "", "")
	return f
}

func (f *fields) add(v reflect.Value, key, path string) {
	if text, plain := valueText(v); plain {
		f.order = append(f.order, key)
		f.values[key] = fieldValue{path, text, v.IsZero()}
		return
	}
	switch v.Kind() { //nolint:exhaustive // the others are plain
	case reflect.Pointer:
		if !v.IsNil() {
			f.add(v.Elem(), key, path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
				f.add(v.Field(i), strictyaml.Join(key, name), strictyaml.Join(path, name))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			number := fmt.Sprintf("[%d]", i)
			f.add(v.Index(i), key+nameOr(v.Index(i), number), path+number)
		}
	case reflect.Map:
		variables, _ := v.Interface().(map[string]string)
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			f.add(v.MapIndex(reflect.ValueOf(name)), strictyaml.Join(key, name), strictyaml.Join(path, name))
		}
	}
}

// nameOr is the name of an entry of a list, where its entries have one.
func nameOr(v reflect.Value, number string) string {
	if v.Kind() == reflect.Struct {
		if name := v.FieldByName("Name"); name.IsValid() && name.Kind() == reflect.String {
			return "[" + name.String() + "]"
		}
	}
	return number
}

// valueText is a value as people write it; false if it is made of others.
func valueText(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		if x == 0 {
			return "0s", true
		}
		return adg.Short(x), true
	case fmt.Stringer:
		return x.String(), true
	}
	if slices.Contains([]reflect.Kind{reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer}, v.Kind()) {
		return "", false
	}
	return fmt.Sprint(v.Interface()), true
}
