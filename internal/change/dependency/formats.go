package dependency

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"
)

// Private

var (
	goMajor     = regexp.MustCompile(`(/v\d+|\.v\d+)$`)
	requirement = regexp.MustCompile(`^([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:(?:===?|~=|>=|<=|!=|>|<)\s*([\w.*+!-]+))?`)
	gem         = regexp.MustCompile(`^    ([\w.-]+) \(([^)]+)\)$`)
	pnpmPackage = regexp.MustCompile(`^  ['"]?/?((?:@[^/@'"]+/)?[^/@'":(]+)[@/]([^'":(/]+).*:`)
)

// readGoMod counts the path without its major version as the package, so that v2 after v1 is a jump and not two changes.
func readGoMod(text []byte, into Set) error {
	block := ""
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == ")":
			block = ""
		case len(fields) == 2 && fields[1] == "(":
			block = fields[0]
		case fields[0] == "go" && len(fields) == 2:
			into.add("go", strings.TrimPrefix(fields[1], "go"))
		case block == "require" && len(fields) >= 2:
			into.add(goMajor.ReplaceAllString(fields[0], ""), fields[1])
		case block == "" && fields[0] == "require" && len(fields) >= 3:
			into.add(goMajor.ReplaceAllString(fields[1], ""), fields[2])
		case fields[0] == "replace" || block == "replace":
			into.add("replace "+strings.TrimPrefix(fields[0], "replace"), strings.Join(fields, " "))
		}
	}
	return nil
}

func readPackageJSON(text []byte, into Set) error {
	var file struct {
		Dependencies, DevDependencies, PeerDependencies, OptionalDependencies map[string]any
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	for _, group := range []map[string]any{file.Dependencies, file.DevDependencies, file.PeerDependencies, file.OptionalDependencies} {
		for name, version := range group {
			if v, ok := version.(string); ok {
				into.add(name, v)
			}
		}
	}
	return nil
}

type npmPackage struct {
	Version      string                `json:"version"`
	Dependencies map[string]npmVersion `json:"dependencies"`
}

// npmVersion is a package in the first version of the format, where packages lie inside each other.
type npmVersion npmPackage

// UnmarshalJSON accepts the range of a later version of the format, a mere string, as no package.
func (v *npmVersion) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] != '{' {
		return nil
	}
	return json.Unmarshal(text, (*npmPackage)(v))
}

func readPackageLock(text []byte, into Set) error {
	var file struct {
		Packages     map[string]npmPackage `json:"packages"`
		Dependencies map[string]npmVersion `json:"dependencies"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	for name, p := range file.Packages {
		if at := strings.LastIndex(name, "node_modules/"); at >= 0 {
			into.add(name[at+len("node_modules/"):], p.Version)
		}
	}
	if file.Packages == nil {
		addNested(file.Dependencies, into)
	}
	return nil
}

func addNested(packages map[string]npmVersion, into Set) {
	for name, p := range packages {
		into.add(name, p.Version)
		addNested(p.Dependencies, into)
	}
}

// readYarn reads both the classic format and the YAML of later versions.
func readYarn(text []byte, into Set) error {
	name := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] != ' ':
			first, _, _ := strings.Cut(strings.Trim(line, `":`), ",")
			first = strings.Trim(first, `" `)
			name = ""
			if at := strings.LastIndex(first, "@"); at > 0 {
				name = first[:at]
				if alias := strings.Index(first[1:], "@"); alias >= 0 {
					name = first[:alias+1]
				}
			}
		default:
			if version, found := strings.CutPrefix(strings.TrimSpace(line), "version"); found && strings.HasPrefix(line, "  version") {
				into.add(name, strings.Trim(version, `": `))
				name = ""
			}
		}
	}
	return nil
}

func readPnpm(text []byte, into Set) error {
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && line[0] != ' ' && line[0] != '#' {
			section = line
		}
		if section == "packages:" {
			if m := pnpmPackage.FindStringSubmatch(line); m != nil {
				into.add(m[1], m[2])
			}
		}
	}
	return nil
}

// readTOMLPackages reads the [[package]] tables that Cargo, Poetry, uv and PDM write.
func readTOMLPackages(text []byte, into Set) error {
	in, name := false, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in, name = line == "[[package]]", ""
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !in || !found {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch strings.TrimSpace(key) {
		case "name":
			name = value
		case "version":
			into.add(name, value)
		}
	}
	return nil
}

func readRequirements(text []byte, into Set) error {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '-' {
			continue
		}
		if m := requirement.FindStringSubmatch(line); m != nil {
			into.add(strings.ToLower(strings.ReplaceAll(m[1], "_", "-")), m[2])
		}
	}
	return nil
}

func readPipfile(text []byte, into Set) error {
	var file map[string]map[string]struct {
		Version string `json:"version"`
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(text, &sections); err != nil {
		return err
	}
	delete(sections, "_meta")
	rest, err := json.Marshal(sections)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(rest, &file); err != nil {
		return err
	}
	for _, packages := range file {
		for name, p := range packages {
			into.add(name, p.Version)
		}
	}
	return nil
}

func readGemfile(text []byte, into Set) error {
	for line := range strings.Lines(string(text)) {
		if m := gem.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			into.add(m[1], m[2])
		}
	}
	return nil
}

func readComposer(text []byte, into Set) error {
	type entry struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	var file struct {
		Packages []entry `json:"packages"`
		Dev      []entry `json:"packages-dev"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	for _, p := range append(file.Packages, file.Dev...) {
		into.add(p.Name, p.Version)
	}
	return nil
}

// readPom puts in the properties that the same file defines; a version that a parent defines stays a name.
func readPom(text []byte, into Set) error {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	var where []string
	var open, found []map[string]string // artifacts that we are inside of, and those that ended
	properties := map[string]string{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			where = append(where, t.Name.Local)
			if len(where) > 200 {
				return errors.New("elements lie too deep in each other")
			}
			if isArtifact(t.Name.Local) {
				open = append(open, map[string]string{})
			}
		case xml.EndElement:
			if n := len(open); isArtifact(t.Name.Local) && n > 0 {
				found, open = append(found, open[n-1]), open[:n-1]
			}
			where = where[:max(len(where)-1, 0)]
		case xml.CharData:
			n, value := len(where), strings.TrimSpace(string(t))
			switch {
			case n < 2 || value == "":
			case where[n-2] == "properties":
				properties[where[n-1]] = value
			case isArtifact(where[n-2]) && len(open) > 0:
				open[len(open)-1][where[n-1]] = value
			}
		}
	}
	for _, artifact := range found {
		version := artifact["version"]
		if name, is := strings.CutPrefix(version, "${"); is {
			if value, known := properties[strings.TrimSuffix(name, "}")]; known {
				version = value
			}
		}
		into.add(path.Join(artifact["groupId"], artifact["artifactId"]), version)
	}
	return nil
}

func isArtifact(element string) bool {
	return element == "dependency" || element == "plugin" || element == "parent"
}
