package strictyaml

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/deployguardian/adg"
)

// maxSecret is how large the file of a secret may be.
const maxSecret = 64 << 10

// secret resolves {env: NAME} or {file: PATH}. Whatever else stands there is refused and shown nowhere.
func (d *Decoder) secret(n *Node, v reflect.Value, path string) {
	var ref adg.Secret
	known := n.Kind == Mapping && len(n.Entries) == 1 && n.Entries[0].Value.Kind == Text && n.Entries[0].Value.Text != ""
	if known {
		switch text := n.Entries[0].Value.Text; n.Entries[0].Name {
		case "env":
			// What cannot be a name is a secret in the wrong place.
			ref.Env, known = text, variableName.MatchString(text)
		case "file":
			ref.File = text
		default:
			known = false
		}
	}
	if !known {
		d.doc.Mask(n.At)
		d.doc.Refuse(n.At, path, "", "%s is a secret, which is named here and never written: {env: NAME} or {file: PATH}", last(path))
		return
	}
	value, err := d.resolve(ref, path)
	if err != nil {
		d.doc.Refuse(n.At, path, "", "%s: %s", last(path), err)
		return
	}
	v.Set(reflect.ValueOf(ref.With(value)))
}

// Private

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (d *Decoder) resolve(ref adg.Secret, path string) (string, error) {
	if ref.Env != "" {
		value, found := "", false
		if d.env != nil {
			value, found = d.env(ref.Env)
		}
		switch {
		case !found:
			return "", fmt.Errorf("the environment variable %s is not set", Cut(ref.Env))
		case value == "":
			return "", fmt.Errorf("the environment variable %s is empty", Cut(ref.Env))
		}
		return value, nil
	}
	value, open, err := readSecret(ref.File)
	if err != nil {
		return "", err
	}
	if open {
		d.doc.Doubt(path, "everybody on this machine can read the secret in %s: chmod 600 it", Cut(ref.File))
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
