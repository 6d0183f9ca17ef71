package config

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
func (d *decoder) secret(n *node, v reflect.Value, path string) {
	var ref adg.Secret
	known := n.kind == mappingKind && len(n.entries) == 1 && n.entries[0].value.kind == textKind && n.entries[0].value.text != ""
	if known {
		switch text := n.entries[0].value.text; n.entries[0].name {
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
		d.doc.mask(n.at)
		d.doc.refuse(n.at, path, "", "%s is a secret, which is named here and never written: {env: NAME} or {file: PATH}", last(path))
		return
	}
	value, err := d.resolve(ref, path)
	if err != nil {
		d.doc.refuse(n.at, path, "", "%s: %s", last(path), err)
		return
	}
	v.Set(reflect.ValueOf(ref.With(value)))
}

// Private

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (d *decoder) resolve(ref adg.Secret, path string) (string, error) {
	if ref.Env != "" {
		value, found := "", false
		if d.env != nil {
			value, found = d.env(ref.Env)
		}
		switch {
		case !found:
			return "", fmt.Errorf("the environment variable %s is not set", cut(ref.Env))
		case value == "":
			return "", fmt.Errorf("the environment variable %s is empty", cut(ref.Env))
		}
		return value, nil
	}
	value, open, err := readSecret(ref.File)
	if err != nil {
		return "", err
	}
	if open {
		d.doc.doubt(path, "everybody on this machine can read the secret in %s: chmod 600 it", cut(ref.File))
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
		return "", false, fmt.Errorf("%s is no regular file", cut(path))
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
		return "", false, fmt.Errorf("%s is larger than %d bytes: that is no secret", cut(path), maxSecret)
	}
	value = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		return "", false, fmt.Errorf("%s is empty", cut(path))
	}
	return value, info.Mode().Perm()&0o004 != 0, nil
}
