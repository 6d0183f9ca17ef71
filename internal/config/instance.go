package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/deployguardian/adg"
)

// opener makes instances of what a policy says about its sources, target and notifiers.
type opener struct {
	doc     *document
	d       *decoder
	drivers Drivers
}

// probeTypes are the drivers whose answers are passed or failed.
var probeTypes = []string{"http", "tcp", "grpc"}

// probes tells whether a source is asked for success: by its type, or because its options say as: probe.
func probes(s Instance) bool {
	if slices.Contains(probeTypes, s.Type) {
		return true
	}
	v := reflect.ValueOf(s.Options)
	if v.Kind() != reflect.Struct {
		return false
	}
	f, found := shapeOf(v.Type()).field("as")
	return found && fmt.Sprint(v.FieldByIndex(f.index)) == "probe"
}

func (o opener) sources(nodes map[string]*node) []Instance {
	var made []Instance
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		path := join("sources", name)
		if err := adg.ValidName("source", cut(name)); err != nil {
			o.doc.refuse(o.doc.keys[path], path, "", "%s", err)
		}
		made = append(made, o.instance(nodes[name], "source", path, name, o.drivers.sources(), "type"))
	}
	return made
}

func (o opener) target(n *node) Instance {
	if n == nil {
		return Instance{}
	}
	return o.instance(n, "target", "target", "target", o.drivers.targets(), "type")
}

func (o opener) notifiers(nodes []*node) []Instance {
	var made []Instance
	for i, n := range nodes {
		path := fmt.Sprintf("notify[%d]", i)
		if n == nil {
			continue
		}
		made = append(made, o.instance(n, "notifier", path, o.text(n, path, "name"), o.drivers.notifiers(), "type", "name"))
	}
	taken := map[string]bool{}
	for i, n := range made {
		if n.Name == "" {
			continue
		}
		path := fmt.Sprintf("notify[%d].name", i)
		if err := adg.ValidName("notifier", cut(n.Name)); err != nil {
			o.doc.refuseField(path, "%s", err)
		}
		if taken[n.Name] {
			o.doc.refuseField(path, "two notifiers are named %s", cut(n.Name))
		}
		taken[n.Name] = true
	}
	for i := range made {
		for n := 1; made[i].Name == "" && made[i].Type != ""; n++ {
			name := made[i].Type
			if n > 1 {
				name = fmt.Sprintf("%s-%d", name, n)
			}
			if !taken[name] {
				made[i].Name, taken[name] = name, true
			}
		}
	}
	return made
}

// Private

func (o opener) instance(n *node, what, path, name string, drivers []adg.Driver, reserved ...string) Instance {
	made := Instance{Name: name}
	if n == nil {
		return made
	}
	types := make([]string, len(drivers))
	for i, driver := range drivers {
		types[i] = driver.Type
	}
	if n.kind != mappingKind {
		o.doc.mask(n.at)
		o.doc.refuse(n.at, path, "", "a %s is a mapping with a type, which is one of %s, and its options; not %s", what, list(types), n.kind)
		return made
	}
	made.Type = o.text(n, path, "type")
	i := slices.Index(types, made.Type)
	if i >= 0 {
		made.Options = o.d.options(n, drivers[i].Options, path, reserved...)
		return made
	}
	o.hide(n, reserved)
	switch {
	case o.doc.failedAt(join(path, "type")):
	case made.Type == "":
		o.doc.refuse(n.at, join(path, "type"), "", "type is missing: a %s is one of %s", what, list(types))
	default:
		o.doc.refuse(o.doc.value(join(path, "type")), join(path, "type"), nearest(made.Type, types), "there is no %s of type %q: choose one of %s", what, cut(made.Type), list(types))
	}
	made.Type = ""
	return made
}

// text is the text of a field that all instances have; empty if there is none.
func (o opener) text(n *node, path, name string) string {
	if n.kind != mappingKind {
		return ""
	}
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.name == name })
	if i < 0 {
		return ""
	}
	text := ""
	o.d.value(n.entries[i].value, reflect.ValueOf(&text).Elem(), join(path, name))
	return text
}

// hide masks the options of a driver that is not known: nobody can tell which of them are secret.
func (o opener) hide(n *node, reserved []string) {
	for _, e := range n.entries {
		if !slices.Contains(reserved, e.name) {
			o.doc.mask(e.value.at)
		}
	}
}

func (d Drivers) sources() []adg.Driver {
	return sorted(d.Sources, func(s adg.SourceDriver) adg.Driver { return s.Driver })
}

func (d Drivers) targets() []adg.Driver {
	return sorted(d.Targets, func(t adg.TargetDriver) adg.Driver { return t.Driver })
}

func (d Drivers) notifiers() []adg.Driver {
	return sorted(d.Notifiers, func(n adg.NotifierDriver) adg.Driver { return n.Driver })
}

// sorted are the drivers of a seam by type.
func sorted[D any](all []D, driver func(D) adg.Driver) []adg.Driver {
	made := make([]adg.Driver, len(all))
	for i, one := range all {
		made[i] = driver(one)
	}
	slices.SortFunc(made, func(a, b adg.Driver) int { return cmp.Compare(a.Type, b.Type) })
	return made
}
