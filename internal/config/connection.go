package config

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Seams are the kinds of connections.
var Seams = []string{"source", "target", "notifier"}

// Connection is a source, a target or a notifier that an admin registers on a server, for policies to name.
type Connection struct {
	Seam    string // one of Seams
	Name    string
	Type    string // of one of the drivers
	Options []byte // the driver's options, in YAML or JSON
}

// SecretForms are the forms in which a connection may name a secret.
type SecretForms = strictyaml.SecretForms

// Open reads the options of a connection with the secrets that forms resolves. The error is adg.Invalid and holds
// Problems, all of them.
func (c Connection) Open(drivers Drivers, forms SecretForms) (Instance, error) {
	made, _, err := c.read(drivers, forms)
	return made, err
}

// Rewritten is the connection with its options in JSON, and what change gives in place of each secret: it gets the
// secret's place, its form and its text. An error of change refuses the connection; it must not hold the secret.
func (c Connection) Rewritten(drivers Drivers, change map[string]func(path, text string) (any, error)) (Connection, error) {
	replaced := map[string]any{}
	forms := SecretForms{}
	for form, with := range change {
		forms[form] = func(path, text string) (string, error) {
			other, err := with(path, text)
			replaced[path] = other
			return placeholder, err
		}
	}
	_, root, err := c.read(drivers, forms)
	if err != nil {
		return c, err
	}
	if c.Options, err = json.Marshal(strictyaml.Plain(root, replaced)); err != nil {
		return c, adg.Errorf(adg.Internal, "writing the options of %s %s: %w", c.Seam, c.Name, err)
	}
	return c, nil
}

// Private

// placeholder stands for a secret that is not needed now: drivers only see it in options that are thrown away.
const placeholder = "placeholder"

func (c Connection) read(drivers Drivers, forms SecretForms) (Instance, *strictyaml.Node, error) {
	made := Instance{Name: c.Name, Type: c.Type}
	if err := adg.ValidName(c.Seam, c.Name); err != nil {
		return made, nil, err
	}
	if !slices.Contains(Seams, c.Seam) {
		return made, nil, adg.Errorf(adg.Invalid, "a connection is one of %s, not %q", strictyaml.Choices(Seams), strictyaml.Cut(c.Seam))
	}
	all := map[string][]adg.Driver{"source": drivers.sources(), "target": drivers.targets(), "notifier": drivers.notifiers()}[c.Seam]
	i := slices.IndexFunc(all, func(d adg.Driver) bool { return d.Type == c.Type })
	if i < 0 {
		var types []string
		for _, d := range all {
			types = append(types, d.Type)
		}
		return made, nil, adg.Errorf(adg.Invalid, "there is no %s of type %q: choose one of %s", c.Seam, strictyaml.Cut(c.Type), strictyaml.Choices(types))
	}
	text := c.Options
	if len(text) == 0 {
		text = []byte("{}")
	}
	doc, root := language.Parse(fmt.Sprintf("%s %s", c.Seam, c.Name), text)
	if root != nil {
		made.Options = strictyaml.NewDecoderWith(doc, forms).Options(root, all[i].Options, "")
	}
	if problems := doc.Problems(); len(problems) > 0 {
		return made, nil, adg.Errorf(adg.Invalid, "%w", problems)
	}
	return made, root, nil
}
