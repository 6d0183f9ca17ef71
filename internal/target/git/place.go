package git

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/deployguardian/adg"
)

// Place is where a repository says which version of the service is wanted.
type Place struct {
	File    string `yaml:"file" doc:"File in the repository that holds the version, such as apps/shop/values.yaml."`
	Path    string `yaml:"path" doc:"Where in that YAML or JSON file the version stands: image.tag, images[name=shop].newTag or spec.containers[0].image; a key with a dot is written as [\"a.b\"]."`
	Pattern string `yaml:"pattern" doc:"Regular expression whose only group is the version: in the value at path, such as ':([^:@]+)$' for an image, or without a path in the whole file."`
}

// Private

// maxFile bounds the file that holds the version.
const maxFile = 1 << 20

// place is a Place that was understood.
type place struct {
	file    string
	path    []step
	pattern *regexp.Regexp
}

func (p Place) parse() (place, error) {
	var problems []error
	parsed := place{file: p.File}
	if err := validPath(p.File); err != nil {
		problems = append(problems, fmt.Errorf("version.file: %w", err))
	}
	if p.Path == "" && p.Pattern == "" {
		problems = append(problems, errors.New("version: say where in the file the version stands: with path, with pattern, or with both"))
	}
	var err error
	if p.Path != "" {
		if parsed.path, err = parsePath(p.Path); err != nil {
			problems = append(problems, fmt.Errorf("version.path: %w", err))
		}
	}
	if p.Pattern != "" {
		parsed.pattern, err = regexp.Compile(p.Pattern)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("version.pattern: %w", err))
		case parsed.pattern.NumSubexp() != 1:
			problems = append(problems, fmt.Errorf("version.pattern: it has %d groups: put parentheses around the version, and (?:…) around everything else", parsed.pattern.NumSubexp()))
		}
	}
	return parsed, errors.Join(problems...)
}

// validPath refuses what is no path of a file or folder inside a repository.
func validPath(name string) error {
	clean := path.Clean(name)
	switch {
	case name == "" || len(name) > 1024:
		return errors.New("write a path inside the repository, such as apps/shop/values.yaml")
	case clean != name || path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../"):
		return fmt.Errorf("%q: write it relative to the top of the repository, without '.' and '..'", name)
	case adg.Printable(name) != name || strings.EqualFold(strings.SplitN(name, "/", 2)[0], ".git"):
		return fmt.Errorf("%q is no path of a file in a repository", name)
	}
	return nil
}

// span is a part of a text.
type span struct{ from, to int }

// read gives the version that the file's text holds.
func (p place) read(text []byte) (string, error) {
	at, _, err := p.find(text)
	if err != nil {
		return "", err
	}
	version := string(text[at.from:at.to])
	if err := adg.ValidVersion(version); err != nil {
		return "", adg.Permanent(adg.Errorf(adg.Invalid, "%s: %w", p.file, err))
	}
	return version, nil
}

// write gives the file's text with another version; everything else stays as it is, byte by byte.
func (p place) write(text []byte, version string) ([]byte, error) {
	at, around, err := p.find(text)
	if err != nil {
		return nil, err
	}
	before, after := string(text[:at.from]), string(text[at.to:])
	if around != nil && mustQuote(before[around.from:]+version+after[:around.to-at.to]) {
		before, after = before[:around.from]+`"`+before[around.from:], after[:around.to-at.to]+`"`+after[around.to-at.to:]
	}
	written := []byte(before + version + after)
	if again, err := p.read(written); err != nil || again != version {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%s: with version %s in its place the file says %q (%v): check version.path and version.pattern", p.file, version, again, err))
	}
	return written, nil
}

// find gives where the version stands, and the value around it where that is one of YAML's without quotes.
func (p place) find(text []byte) (at span, around *span, err error) {
	if len(text) > maxFile {
		return span{}, nil, adg.Permanent(adg.Errorf(adg.Invalid, "%s is larger than 1 MiB", p.file))
	}
	at = span{0, len(text)}
	if p.path != nil {
		value, plain, err := findValue(text, p.path)
		if err != nil {
			return span{}, nil, adg.Permanent(adg.Errorf(adg.Invalid, "%s: %w", p.file, err))
		}
		at = value
		if plain {
			around = &value
		}
	}
	if p.pattern == nil {
		return at, around, nil
	}
	found := p.pattern.FindAllSubmatchIndex(text[at.from:at.to], 2)
	if len(found) != 1 || found[0][2] < 0 {
		return span{}, nil, adg.Permanent(adg.Errorf(adg.Invalid, "%s: version.pattern has to match exactly once, and matches %s", p.file, []string{"nowhere", "without its group", "more than once"}[len(found)]))
	}
	return span{at.from + found[0][2], at.from + found[0][3]}, around, nil
}
