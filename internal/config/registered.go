package config

import (
	"fmt"
	"slices"

	"github.com/deployguardian/adg/internal/strictyaml"
)

// Connections are what an admin registered, as far as a policy may use it.
type Connections struct {
	Sources   []Instance
	Targets   []Instance
	Notifiers []Instance
}

// Add adds one that belongs to one of Seams.
func (c *Connections) Add(seam string, one Instance) {
	switch seam {
	case "source":
		c.Sources = append(c.Sources, one)
	case "target":
		c.Targets = append(c.Targets, one)
	case "notifier":
		c.Notifiers = append(c.Notifiers, one)
	}
}

// About is what a policy says it is for; empty where it does not say so plainly.
func About(text []byte) (service, environment string) {
	_, root := language.Parse("policy", text)
	if root == nil {
		return "", ""
	}
	for _, e := range root.Entries {
		if e.Value.Kind == strictyaml.Text && e.Name == "service" {
			service = e.Value.Text
		}
		if e.Value.Kind == strictyaml.Text && e.Name == "environment" {
			environment = e.Value.Text
		}
	}
	return service, environment
}

// Private

func readRegistered(doc *strictyaml.Document, root *strictyaml.Node, known Connections) File {
	file := File{Path: doc.Name(), Sources: known.Sources, Targets: known.Targets}
	for what, instances := range map[string][]Instance{"sources": known.Sources, "targets": known.Targets} {
		if i := slices.IndexFunc(root.Entries, func(e strictyaml.Entry) bool { return e.Name == what }); i >= 0 {
			e := root.Entries[i]
			doc.Mask(e.Value.At)
			doc.Refuse(e.At, what, "", "a server has its %s registered by an admin: take this out, and %s", what, toName(instances))
			root.Entries = slices.Delete(slices.Clone(root.Entries), i, i+1)
		}
	}
	if root.Kind == strictyaml.Mapping {
		root.Entries = append(root.Entries, strictyaml.Entry{Name: "sources", Value: &strictyaml.Node{Kind: strictyaml.Mapping}})
	}
	var w policy
	strictyaml.NewDecoderWith(doc, nil).Decode(root, &w, "")
	if w.Target != nil {
		file.Target = registered(doc, w.Target, "target", "target", known.Targets)
	}
	for i, n := range w.Notify {
		if n == nil {
			continue
		}
		if one := registered(doc, n, fmt.Sprintf("notify[%d]", i), "notifier", known.Notifiers); one.Name != "" {
			file.Notifiers = append(file.Notifiers, one)
		}
	}
	file.finish(doc, w)
	file.Policy.Target = file.Target.Name
	return file
}

// registered finds the connection that a policy names.
func registered(doc *strictyaml.Document, n *strictyaml.Node, path, what string, known []Instance) Instance {
	if n.Kind != strictyaml.Text {
		doc.Mask(n.At)
		doc.Refuse(n.At, path, "", "a server has its %ss registered by an admin: %s", what, toName(known))
		return Instance{}
	}
	i := slices.IndexFunc(known, func(one Instance) bool { return one.Name == n.Text })
	if i < 0 {
		doc.Refuse(n.At, path, strictyaml.Nearest(n.Text, names(known)), "there is no %s %q for this service and environment: %s", what, strictyaml.Cut(n.Text), toName(known))
		return Instance{}
	}
	return known[i]
}

func names(all []Instance) []string {
	made := make([]string, len(all))
	for i, one := range all {
		made[i] = one.Name
	}
	return made
}

func named(all []Instance) string {
	if len(all) == 0 {
		return "none"
	}
	return strictyaml.Choices(names(all))
}

// toName says what can be named, or who can change that there is nothing.
func toName(known []Instance) string {
	if len(known) == 0 {
		return "have an admin register one, by adg connection put or in the dashboard's settings"
	}
	return "name one of " + named(known)
}
