package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// opener makes instances of what a policy says about its sources, target and notifiers.
type opener struct {
	doc     *strictyaml.Document
	d       *strictyaml.Decoder
	drivers Drivers
}

// Probes tells whether the answers of sources of a type are always passed or failed: 1 or 0.
func Probes(kind string) bool { return slices.Contains(probeTypes, kind) }

// Private

// probeTypes are the drivers whose answers are passed or failed.
var probeTypes = []string{"http", "tcp", "grpc"}

// probes tells whether a source is asked for success: by its type, or because its options say as: probe.
func probes(s Instance) bool {
	if Probes(s.Type) {
		return true
	}
	as, found := strictyaml.ValueOf(s.Options, "as")
	return found && fmt.Sprint(as) == "probe"
}

func (o opener) sources(nodes map[string]*strictyaml.Node) []Instance {
	return o.named(nodes, "source", o.drivers.sources())
}

// named makes the instances of a mapping from names.
func (o opener) named(nodes map[string]*strictyaml.Node, what string, drivers []adg.Driver) []Instance {
	var made []Instance
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		path := strictyaml.Join(what+"s", name)
		if err := adg.ValidName(what, strictyaml.Cut(name)); err != nil {
			o.doc.Refuse(o.doc.Key(path), path, "", "%s", err)
		}
		made = append(made, o.instance(nodes[name], what, path, name, drivers, "type"))
	}
	return made
}

// parts refuses parts of a target that are none of the other targets.
func (o opener) parts(path string, target Instance, others []Instance) {
	for _, name := range o.drivers.Parts(target) {
		if !slices.Contains(names(others), name) {
			o.doc.RefuseField(path+".parts", "there is no target %q under targets: there are %s", strictyaml.Cut(name), named(others))
		}
	}
}

func (o opener) target(n *strictyaml.Node) Instance {
	if n == nil {
		return Instance{}
	}
	return o.instance(n, "target", "target", "target", o.drivers.targets(), "type")
}

func (o opener) notifiers(nodes []*strictyaml.Node) []Instance {
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
		if err := adg.ValidName("notifier", strictyaml.Cut(n.Name)); err != nil {
			o.doc.RefuseField(path, "%s", err)
		}
		if taken[n.Name] {
			o.doc.RefuseField(path, "two notifiers are named %s", strictyaml.Cut(n.Name))
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

func (o opener) instance(n *strictyaml.Node, what, path, name string, drivers []adg.Driver, reserved ...string) Instance {
	made := Instance{Name: name}
	if n == nil {
		return made
	}
	types := make([]string, len(drivers))
	for i, driver := range drivers {
		types[i] = driver.Type
	}
	if n.Kind != strictyaml.Mapping {
		o.doc.Mask(n.At)
		o.doc.Refuse(n.At, path, "", "a %s is a mapping with a type, which is one of %s, and its options; not %s", what, strictyaml.Choices(types), n.Kind)
		return made
	}
	made.Type = o.text(n, path, "type")
	i := slices.Index(types, made.Type)
	if i >= 0 {
		made.Options = o.d.Options(n, drivers[i].Options, path, reserved...)
		return made
	}
	o.hide(n, reserved)
	switch {
	case o.doc.FailedAt(strictyaml.Join(path, "type")):
	case made.Type == "":
		o.doc.Refuse(n.At, strictyaml.Join(path, "type"), "", "type is missing: a %s is one of %s", what, strictyaml.Choices(types))
	default:
		o.doc.Refuse(o.doc.Value(strictyaml.Join(path, "type")), strictyaml.Join(path, "type"), strictyaml.Nearest(made.Type, types), "there is no %s of type %q: choose one of %s", what, strictyaml.Cut(made.Type), strictyaml.Choices(types))
	}
	made.Type = ""
	return made
}

// text is the text of a field that all instances have; empty if there is none.
func (o opener) text(n *strictyaml.Node, path, name string) string {
	if n.Kind != strictyaml.Mapping {
		return ""
	}
	i := slices.IndexFunc(n.Entries, func(e strictyaml.Entry) bool { return e.Name == name })
	if i < 0 {
		return ""
	}
	text := ""
	o.d.Value(n.Entries[i].Value, reflect.ValueOf(&text).Elem(), strictyaml.Join(path, name))
	return text
}

// hide masks the options of a driver that is not known: nobody can tell which of them are secret.
func (o opener) hide(n *strictyaml.Node, reserved []string) {
	for _, e := range n.Entries {
		if !slices.Contains(reserved, e.Name) {
			o.doc.Mask(e.Value.At)
		}
	}
}

func (d Drivers) sources() []adg.Driver {
	return sorted(d.Sources, func(s adg.SourceDriver) adg.Driver { return s.Driver })
}

func (d Drivers) targets() []adg.Driver {
	return sorted(d.Targets, func(t adg.TargetDriver) adg.Driver { return t.Driver })
}

// Parts are the names of the other targets that a target consists of; most have none.
func (d Drivers) Parts(target Instance) []string {
	i := slices.IndexFunc(d.Targets, func(t adg.TargetDriver) bool { return t.Type == target.Type })
	if i < 0 || d.Targets[i].Parts == nil {
		return nil
	}
	return d.Targets[i].Parts(target.Options)
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
