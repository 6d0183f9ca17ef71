package strictyaml

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// maxSecret is how large the file of a secret may be.
const maxSecret = 64 << 10

// SecretForms are the forms in which a file may name a secret, and how each is resolved: {form: text} at a path. An
// error is shown, so it must not hold the secret.
type SecretForms map[string]func(path, text string) (string, error)

// secret resolves {env: NAME}, {file: PATH}, or what else the decoder's forms are. Whatever else stands there is refused
// and shown nowhere.
func (d *Decoder) secret(n *Node, v reflect.Value, path string) {
	var resolve func(path, text string) (string, error)
	var ref adg.Secret
	text := ""
	if n.Kind == Mapping && len(n.Entries) == 1 && n.Entries[0].Value.Kind == Text && n.Entries[0].Value.Text != "" {
		form := n.Entries[0].Name
		text, resolve = n.Entries[0].Value.Text, d.forms[form]
		switch form {
		case "env":
			ref.Env = text
			if !variableName.MatchString(text) { // what cannot be a name is a secret in the wrong place
				resolve = nil
			}
		case "file":
			ref.File = text
		}
	}
	if resolve == nil {
		d.doc.Mask(n.At)
		d.doc.Refuse(n.At, path, "", "%s is a secret, which is named here and never written: %s", last(path), d.forms)
		return
	}
	value, err := resolve(path, text)
	if err != nil {
		named := ref.Env != "" || ref.File != ""
		if named && d.absent {
			d.doc.Doubt(path, "%s: %s here", last(path), err)
			v.Set(reflect.ValueOf(ref))
			return
		}
		if !named {
			d.doc.Mask(n.At)
		}
		d.doc.Refuse(n.At, path, "", "%s: %s", last(path), err)
		return
	}
	v.Set(reflect.ValueOf(ref.With(value)))
}

// String is the forms as somebody writes them.
func (f SecretForms) String() string {
	examples := map[string]string{"env": "{env: NAME}", "file": "{file: PATH}", "keep": `{keep: "true"}`, "value": "{value: SECRET}"}
	var all []string
	for _, form := range slices.Sorted(maps.Keys(f)) {
		if example, shown := examples[form]; shown {
			all = append(all, example)
		}
	}
	return strings.Join(all, " or ")
}

// FromFile reads the secret in a file, without the line's end. open tells whether everybody on this machine may read it.
func FromFile(path string) (value string, open bool, err error) { return readSecret(path) }

// Private

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (d *Decoder) fromEnv(_, name string) (string, error) {
	value, found := "", false
	if d.env != nil {
		value, found = d.env(name)
	}
	switch {
	case !found:
		return "", fmt.Errorf("the environment variable %s is not set", Cut(name))
	case value == "":
		return "", fmt.Errorf("the environment variable %s is empty", Cut(name))
	}
	return value, nil
}

func (d *Decoder) fromFile(path, file string) (string, error) {
	value, open, err := readSecret(file)
	if err != nil {
		return "", err
	}
	if open {
		d.doc.Doubt(path, "everybody on this machine can read the secret in %s: chmod 600 it", Cut(file))
	}
	return value, nil
}

// readSecret reads a secret's file; open tells whether everybody may.
func readSecret(path string) (value string, open bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", false, err
	}
	if !info.Mode().IsRegular() {
		return "", false, fmt.Errorf("%s is no regular file", Cut(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", false, err
	}
	if len(text) > maxSecret {
		return "", false, fmt.Errorf("%s is larger than %d bytes: that is no secret", Cut(path), maxSecret)
	}
	value = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		return "", false, fmt.Errorf("%s is empty", Cut(path))
	}
	return value, info.Mode().Perm()&0o004 != 0, nil
}
