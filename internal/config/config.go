// Package config reads policy files: YAML to an [adg.Policy] and the options of the drivers that it names.
//
// Reading is strict and complete: everything that is wrong with a file is said at once, each with file, line, column,
// the line itself and a caret. What is doubtful is a warning. Secrets are named in a policy, never written in it, and
// a line that holds one all the same is not shown past it.
//
// How the text is read, and what the format is, package strictyaml says.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// File is a policy file as read: the policy, and how the names in it are opened.
type File struct {
	Path      string
	Policy    adg.Policy // complete: defaults filled in
	Sources   []Instance // sorted by name
	Target    Instance   // zero if the file names none
	Targets   []Instance // the others, sorted by name
	Notifiers []Instance // in the order of the file
	Warnings  []Problem  // what is doubtful, in the order of the file
	Promise   string     // what its sequential checks promise about false alarms; empty: it has none
}

// Instance is a source, a target or a notifier of a policy.
type Instance struct {
	Name    string // "target" for the target
	Type    string // of one of the drivers
	Options any    // the driver's options struct, decoded over its defaults, secrets resolved
}

// Drivers are the types that policies may name.
type Drivers struct {
	Sources   []adg.SourceDriver
	Targets   []adg.TargetDriver
	Notifiers []adg.NotifierDriver
}

// Problem is one thing that is wrong or doubtful in a policy file.
type Problem = strictyaml.Problem

// Problems is everything that is wrong with a policy file, in the order of the file.
type Problems = strictyaml.Problems

// Lookup finds the value of an environment variable; false if it is not set.
type Lookup = strictyaml.Lookup

// Environment is the Lookup of this process.
func Environment(name string) (string, bool) { return os.LookupEnv(name) }

// Load reads the policy file at path. What is wrong with its text is reported as by Parse; a file that cannot be read
// is an adg.Invalid error that names it.
func Load(path string, drivers Drivers, env Lookup) (File, error) {
	text, err := strictyaml.ReadFile(path)
	if err != nil {
		return File{}, adg.Errorf(adg.Invalid, "reading the policy: %w", err)
	}
	return Parse(path, text, drivers, env)
}

// Lint reads the policy file at path as Load does, and doubts more: a secret that is not to be had here, and whatever works says
// of one of the instances, by its seam and name. What is wrong elsewhere may be right there, and the other way round.
func Lint(path string, drivers Drivers, env Lookup, works func(file File, seam, name string) error) (File, error) {
	text, err := strictyaml.ReadFile(path)
	if err != nil {
		return File{}, adg.Errorf(adg.Invalid, "reading the policy: %w", err)
	}
	return parse(path, text, func(doc *strictyaml.Document, root *strictyaml.Node) File {
		d := strictyaml.NewDecoder(doc, env)
		d.SecretsMayBeAbsent()
		file := read(doc, root, d, drivers)
		if !doc.Failed() {
			tryInstances(doc, file, drivers, works)
		}
		return file
	})
}

// ParseRegistered reads a policy as a server takes it: what it measures, changes and tells is registered there by an
// admin, and the policy only names it. The instances of the file are those of known.
func ParseRegistered(name string, text []byte, known Connections) (File, error) {
	return parse(name, text, func(doc *strictyaml.Document, root *strictyaml.Node) File { return readRegistered(doc, root, known) })
}

// Parse reads the text of a policy file; name is what problems call it. Files that hold secrets are read from where
// the process runs. The error is adg.Invalid and holds Problems, all of them.
func Parse(name string, text []byte, drivers Drivers, env Lookup) (File, error) {
	return parse(name, text, func(doc *strictyaml.Document, root *strictyaml.Node) File {
		return read(doc, root, strictyaml.NewDecoder(doc, env), drivers)
	})
}

// Private

func parse(name string, text []byte, read func(*strictyaml.Document, *strictyaml.Node) File) (File, error) {
	file := File{Path: name}
	doc, root := language.Parse(name, text)
	if root != nil {
		file = read(doc, root)
	}
	if problems := doc.Problems(); len(problems) > 0 {
		return File{}, adg.Errorf(adg.Invalid, "%w", problems)
	}
	sum := sha256.Sum256(text)
	file.Policy.Digest = "sha256:" + hex.EncodeToString(sum[:])
	file.Warnings, file.Promise = doc.Warnings(), promise(file.Policy)
	return file, nil
}

// read makes a file of a tree; what is wrong stands in doc afterwards.
func read(doc *strictyaml.Document, root *strictyaml.Node, d *strictyaml.Decoder, drivers Drivers) File {
	var w policy
	d.Decode(root, &w, "")
	file := File{Path: doc.Name()}
	o := opener{doc: doc, d: d, drivers: drivers}
	file.Sources = o.sources(w.Sources)
	file.Target = o.target(w.Target)
	file.Targets = o.named(w.Targets, "target", o.drivers.targets())
	o.parts("target", file.Target, file.Targets)
	file.Notifiers = o.notifiers(w.Notify)
	file.finish(doc, w)
	return file
}

// tryInstances doubts what does not work here. Where a secret is not to be had here nothing can be said.
func tryInstances(doc *strictyaml.Document, file File, drivers Drivers, works func(file File, seam, name string) error) {
	try := func(path, seam, name string) {
		if doc.DoubtedAt(path) {
			return
		}
		if err := works(file, seam, name); err != nil {
			doc.Doubt(path, "it does not work here: %s", err)
		}
	}
	for _, s := range file.Sources {
		try(strictyaml.Join("sources", s.Name), "source", s.Name)
	}
	partless := true
	for _, t := range file.Targets {
		path := strictyaml.Join("targets", t.Name)
		partless = partless && !doc.DoubtedAt(path)
		try(path, "target", t.Name)
	}
	if file.Target.Type != "" && (partless || len(drivers.Parts(file.Target)) == 0) {
		try("target", "target", file.Target.Name)
	}
	for i, n := range file.Notifiers {
		try(fmt.Sprintf("notify[%d]", i), "notifier", n.Name)
	}
}

// finish makes the policy of what was read, its instances known.
func (f *File) finish(doc *strictyaml.Document, w policy) {
	t := translator{doc: doc, wire: w, sources: f.Sources, targets: f.Targets, notifiers: f.Notifiers}
	f.Policy = t.policy()
	if !doc.Failed() {
		lint(doc, *f, w)
	}
}
