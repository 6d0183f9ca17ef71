// Package contexts remembers the servers that a person works with, and the tokens for them: one file in the person's
// own configuration directory, which nobody else can read.
package contexts

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/deployguardian/adg"
)

// Context is a server and who one is there.
type Context struct {
	Name   string `yaml:"name" json:"name"`
	Server string `yaml:"server" json:"server"`                   // https://host[:port]; http:// on this machine only
	CA     string `yaml:"ca,omitempty" json:"ca,omitempty"`       // a file in PEM; empty: the system's
	Token  string `yaml:"token,omitempty" json:"token,omitempty"` // empty: not logged in
}

// File is what is remembered.
type File struct {
	Current  string    `yaml:"current,omitempty" json:"current,omitempty"` // name of the context in use
	Contexts []Context `yaml:"contexts,omitempty" json:"contexts"`
}

// Lookup finds the value of an environment variable; false if it is not set.
type Lookup func(name string) (string, bool)

// Path is where the file is: ADG_CONTEXTS, else adg/contexts.yaml in the person's configuration directory.
func Path(env Lookup) (string, error) {
	if path, set := env("ADG_CONTEXTS"); set && path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", adg.Errorf(adg.Invalid, "there is no configuration directory: set ADG_CONTEXTS to a file, or ADG_SERVER and ADG_TOKEN: %w", err)
	}
	return filepath.Join(dir, "adg", "contexts.yaml"), nil
}

// Load reads the file; one that is not there is empty. A file that others can read is refused: it holds tokens.
func Load(path string) (File, error) {
	var file File
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, adg.Errorf(adg.Invalid, "reading the contexts: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return file, adg.Errorf(adg.Invalid, "reading the contexts: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return file, adg.Errorf(adg.Invalid, "%s holds tokens and others can read it: chmod 600 it, and revoke the tokens if others may have", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(text) > maxFile {
		return file, adg.Errorf(adg.Invalid, "reading the contexts: %s is too large or cannot be read", path)
	}
	// An error of the decoder would show lines of the file.
	if yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&file) != nil && len(bytes.TrimSpace(text)) > 0 {
		return File{}, adg.Errorf(adg.Invalid, "%s is no file of contexts: mend it, or remove it and log in again", path)
	}
	return file, nil
}

// Save writes the file in place of the one before, readable by its owner alone.
func (f File) Save(path string) error {
	text, err := yaml.Marshal(f)
	if err != nil {
		return adg.Errorf(adg.Internal, "writing the contexts: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return adg.Errorf(adg.Unavailable, "writing the contexts: %w", err)
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".contexts-*") // mode 0600
	if err != nil {
		return adg.Errorf(adg.Unavailable, "writing the contexts: %w", err)
	}
	_, err = next.Write(text)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		_ = os.Remove(next.Name())
		return adg.Errorf(adg.Unavailable, "writing the contexts: %w", err)
	}
	return nil
}

// Put adds a context, or replaces the one of its name, and makes it the current one if there is none.
func (f *File) Put(c Context) {
	if i := f.find(c.Name); i >= 0 {
		f.Contexts[i] = c
	} else {
		f.Contexts = append(f.Contexts, c)
	}
	if f.Current == "" {
		f.Current = c.Name
	}
}

// Use makes a context the current one.
func (f *File) Use(name string) error {
	if f.find(name) < 0 {
		return f.unknown(name)
	}
	f.Current = name
	return nil
}

// Remove forgets a context and its token.
func (f *File) Remove(name string) error {
	i := f.find(name)
	if i < 0 {
		return f.unknown(name)
	}
	f.Contexts = slices.Delete(f.Contexts, i, i+1)
	if f.Current == name {
		f.Current = ""
	}
	return nil
}

// Names are those of all contexts.
func (f File) Names() []string {
	names := make([]string, len(f.Contexts))
	for i, c := range f.Contexts {
		names[i] = c.Name
	}
	return names
}

// Choose is the context to work with: ADG_SERVER and ADG_TOKEN, as pipelines set them; else the one that is named (by
// the caller, or by ADG_CONTEXT), else the current one. ADG_TOKEN alone takes the token's place.
func Choose(env Lookup, name string) (Context, error) {
	token, _ := env("ADG_TOKEN")
	if server, set := env("ADG_SERVER"); set && server != "" && name == "" {
		ca, _ := env("ADG_CA")
		c := Context{Name: "environment", Server: server, CA: ca, Token: token}
		return c, c.Validate()
	}
	path, err := Path(env)
	if err != nil {
		return Context{}, err
	}
	f, err := Load(path)
	if err != nil {
		return Context{}, err
	}
	if name == "" {
		name, _ = env("ADG_CONTEXT")
	}
	if name == "" {
		name = f.Current
	}
	if name == "" {
		return Context{}, adg.Errorf(adg.Invalid, "no server is chosen: adg login https://your-server, or set ADG_SERVER and ADG_TOKEN")
	}
	i := f.find(name)
	if i < 0 {
		return Context{}, f.unknown(name)
	}
	c := f.Contexts[i]
	if token != "" {
		c.Token = token
	}
	return c, c.Validate()
}

// Validate refuses a server that a token must not be sent to.
func (c Context) Validate() error {
	u, err := url.Parse(c.Server)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return adg.Errorf(adg.Invalid, "a server is named as in https://adg.example.com, which %q is not", c.Server)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return adg.Errorf(adg.Invalid, "a server is scheme, host and port, and nothing more: %q has more", u.Redacted())
	case u.Scheme == "http" && !local(u.Hostname()):
		return adg.Errorf(adg.Invalid, "%s would carry the token in the open: use https (http is for this machine only)", c.Server)
	}
	return nil
}

// Private

const maxFile = 1 << 20

func (f File) find(name string) int {
	return slices.IndexFunc(f.Contexts, func(c Context) bool { return c.Name == name })
}

func (f File) unknown(name string) error {
	known := strings.Join(f.Names(), ", ")
	if known == "" {
		known = "none: adg login https://your-server makes one"
	}
	return adg.Errorf(adg.NotFound, "there is no context %q; there are %s", name, known)
}

func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
