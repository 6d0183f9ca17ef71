package settings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Prefix is what the names of variables begin with that set a field: ADG_SERVER_SESSIONS_IDLE sets sessions.idle.
const Prefix = "ADG_SERVER_"

// Variable is the name of the variable that sets the field at a path.
func Variable(path string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// Flag is the name of the flag that sets the field at a path: sessions-idle for sessions.idle.
func Flag(path string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(path) }

// Fields are what variables and flags can set, in the order of the file. No flag sets a secret: everybody on the
// machine sees command lines.
func Fields() []strictyaml.Leaf { return language.Leaves(reflect.TypeFor[Settings]()) }

// Load reads the settings: the file at path, if it is not empty; over it what environ, as os.Environ has it, sets; over
// that the flags, by the path of their field. The error is adg.Invalid and says everything that is wrong; warnings are
// what is doubtful. Secrets are resolved. The server's own certificate and its keys are not read: see Settings.Probe.
func Load(path string, environ []string, flags map[string]string) (Settings, []strictyaml.Problem, error) {
	return settled(read(path, environ, flags))
}

// Parse is Load for the text of a file; name is what problems call it.
func Parse(name string, text []byte, environ []string, flags map[string]string) (Settings, []strictyaml.Problem, error) {
	doc, root := language.Parse(name, text)
	return settled(laid(doc, root, environ, flags))
}

// Example is a configuration file with every field: the fewest that a server needs are set, all others are comments
// with their defaults.
func Example() []byte {
	head := "# The configuration of an ADG server. What is a comment has the value that is written there, or none.\n" +
		"# Each field can also be set by a variable (sessions.idle by ADG_SERVER_SESSIONS_IDLE) and by a flag (--sessions-idle).\n\n"
	return append([]byte(head), language.Commented(reflect.TypeFor[Settings](), map[string]string{
		"tls.cert_file": "/etc/adg/tls.crt", "tls.key_file": "/etc/adg/tls.key", "seal.active.file": "/etc/adg/seal.key",
	})...)
}

// Schema is the JSON Schema (draft 2020-12) of configuration files, for editors.
func Schema() ([]byte, error) {
	if err := language.Described(reflect.TypeFor[Settings]()); err != nil {
		return nil, adg.Errorf(adg.Internal, "%w", err)
	}
	root := language.Object(reflect.TypeFor[Settings](), reflect.Value{})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of a server of the Automated Deployment Guardian"
	return json.MarshalIndent(root, "", "  ")
}

// Reference is the reference page of the configuration, in Markdown.
func Reference() []byte {
	var page bytes.Buffer
	page.WriteString(opening)
	language.Sections(&page, reflect.TypeFor[Settings]())
	page.WriteString("\n## Variables and flags\n\n| field | variable | flag |\n|---|---|---|\n")
	for _, f := range Fields() {
		flag := "`--" + Flag(f.Path) + "`"
		if f.Secret {
			flag = "none: it is a secret"
		}
		_, _ = fmt.Fprintf(&page, "| `%s` | `%s` | %s |\n", f.Path, Variable(f.Path), flag)
	}
	return page.Bytes()
}

// Private

const opening = `# Configuration of the server

This page is generated from the program; ` + "`adg config example`" + ` prints a commented file, ` + "`adg config check`" + ` says what is
wrong with one.

` + "`adg server`" + ` reads one YAML file. What it does not say has the default below. Everything that is wrong with it is said at
once. An unknown field is an error.

* A **variable** of the environment wins over the file, and a **flag** over both. Their names follow from the field's:
  ` + "`sessions.idle`" + ` is ` + "`ADG_SERVER_SESSIONS_IDLE`" + ` and ` + "`--sessions-idle`" + `. Text is taken as it is, a list of texts may be
  written ` + "`a,b`" + `, everything else is written as in the file. A list of fields, or fields by name, is set as a whole.
* A **secret** is named in the file, never written: ` + "`{env: NAME}` or `{file: PATH}`" + `. The variable of a secret's field holds
  the secret itself. No flag takes one.
* A **time** is written as people write it: ` + "`90s`, `15m`, `1h30m`, `2d`" + `. A number alone is refused.

## Fields

`

// language is that of the server's configuration.
var language = strictyaml.Language{
	Noun: "server configuration", Plural: "server configurations", Example: "listen: 0.0.0.0:8443", Opening: "listen, tls, store and seal",
}

// loader makes settings of a file, variables and flags.
type loader struct {
	s       Settings
	env     map[string]string
	doc     *strictyaml.Document            // of the file
	origin  map[string]*strictyaml.Document // path → what set it over the file
	strange []*strictyaml.Document          // of variables that set nothing
}

// settled are the settings that were read, and what is doubtful.
func settled(l *loader, err error) (Settings, []strictyaml.Problem, error) {
	if err != nil {
		return Settings{}, nil, err
	}
	return l.s, l.warnings(), nil
}

func unreadable(err error) error {
	return adg.Errorf(adg.Invalid, "reading the configuration: %w", err)
}

// laid decodes the tree of a file, if there is one, and lays variables and flags over it.
func laid(doc *strictyaml.Document, root *strictyaml.Node, environ []string, flags map[string]string) (*loader, error) {
	l := &loader{doc: doc, env: variables(environ), origin: map[string]*strictyaml.Document{}}
	readable := root != nil || !doc.Failed() // of a text that is no YAML, nothing can be said to be missing
	if root == nil {
		root = &strictyaml.Node{Kind: strictyaml.Mapping, At: strictyaml.Mark{Line: 1, Column: 1, End: 1}}
	}
	strictyaml.NewDecoder(doc, l.lookup).Decode(root, &l.s, "")
	l.variables()
	l.flags(flags)
	if readable {
		l.complete()
		l.validate()
	}
	if problems := l.problems(); len(problems) > 0 {
		return nil, adg.Errorf(adg.Invalid, "%w", problems)
	}
	return l, nil
}

func (l *loader) lookup(name string) (string, bool) {
	value, found := l.env[name]
	return value, found
}

// variables lays what the environment sets over the file. A variable that sets nothing is doubtful and no error:
// Kubernetes makes such names of its services.
func (l *loader) variables() {
	known := map[string]string{}
	var names []string
	for _, f := range Fields() {
		known[Variable(f.Path)] = f.Path
		names = append(names, Variable(f.Path))
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if !strings.HasPrefix(name, Prefix) {
			continue
		}
		path, found := known[name]
		if found {
			l.origin[path] = language.Override(name, l.env[name], true, &l.s, path, l.lookup)
			continue
		}
		doc := language.Nothing(name)
		meant := ""
		if near := strictyaml.Nearest(name, names); near != "" {
			meant = fmt.Sprintf(": was %s meant?", near)
		}
		doc.Doubt("", "this variable sets nothing%s", meant)
		l.strange = append(l.strange, doc)
	}
}

func (l *loader) flags(flags map[string]string) {
	known := map[string]strictyaml.Leaf{}
	for _, f := range Fields() {
		known[f.Path] = f
	}
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		source := "--" + Flag(path)
		if f, found := known[path]; !found || f.Secret {
			doc := language.Nothing(source)
			doc.RefuseField(path, "no flag sets %s: everybody on the machine sees command lines; set %s", path, Variable(path))
			l.origin[path] = doc
			continue
		}
		l.origin[path] = language.Override(source, flags[path], false, &l.s, path, l.lookup)
	}
}

// refuse puts on record that something is wrong with a field, at what set it. What could not be read is not judged:
// its default stands in for it.
func (l *loader) refuse(path, format string, args ...any) {
	if !l.unread(path) {
		l.at(path).RefuseField(path, format, args...)
	}
}

// unread tells whether a field, something in it or something around it was refused already.
func (l *loader) unread(path string) bool {
	return slices.ContainsFunc(l.documents(), func(doc *strictyaml.Document) bool { return doc.FailedAt(path) || doc.UnreadAround(path) })
}

// doubt puts on record that something is probably not what was meant.
func (l *loader) doubt(path, format string, args ...any) { l.at(path).Doubt(path, format, args...) }

func (l *loader) at(path string) *strictyaml.Document {
	return cmp.Or(l.origin[path], l.doc)
}

// documents are all, in the order in which they are laid over each other.
func (l *loader) documents() []*strictyaml.Document {
	all := []*strictyaml.Document{l.doc}
	for _, path := range slices.Sorted(maps.Keys(l.origin)) {
		all = append(all, l.origin[path])
	}
	return append(all, l.strange...)
}

func (l *loader) problems() strictyaml.Problems {
	var all strictyaml.Problems
	for _, doc := range l.documents() {
		all = append(all, doc.Problems()...)
	}
	return all
}

func (l *loader) warnings() []strictyaml.Problem {
	var all []strictyaml.Problem
	for _, doc := range l.documents() {
		all = append(all, doc.Warnings()...)
	}
	return all
}

// variables are those of an environment by name.
func variables(environ []string) map[string]string {
	made := map[string]string{}
	for _, pair := range environ {
		if name, value, found := strings.Cut(pair, "="); found {
			made[name] = value
		}
	}
	return made
}
