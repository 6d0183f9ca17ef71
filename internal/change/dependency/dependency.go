// Package dependency reads which versions of which packages a lock file or a manifest names, and compares two of them.
package dependency

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// MaxPackages bounds how many versions of packages one file may name.
const MaxPackages = 200_000

// Set are the versions of each package that a file names. One package can be there in several versions.
type Set map[string][]string

// Ecosystem names the packager whose file it is, empty if the format is not known. A file that is Locked says exactly
// what is installed, and one that is not says what was asked for.
func Ecosystem(name string) (ecosystem string, locked bool) {
	f := formatOf(name)
	return f.ecosystem, f.locked
}

// Parse reads a file of a known format; the path tells which. Text that is not in that format is an Invalid error.
func Parse(name string, text []byte) (Set, error) {
	f := formatOf(name)
	if f.read == nil {
		return nil, adg.Errorf(adg.Invalid, "%q is no file of dependencies that is known here", path.Base(name))
	}
	set := Set{}
	if err := f.read(text, set); err != nil {
		return nil, adg.Errorf(adg.Invalid, "read %q: %w", path.Base(name), err)
	}
	if len(set) > MaxPackages {
		return nil, adg.Errorf(adg.Invalid, "%q names more than %d packages", path.Base(name), MaxPackages)
	}
	return set, nil
}

// Compare counts the packages that were added, removed or moved to another version, and among those that moved the
// ones whose highest major version is another.
func Compare(before, after Set) (changed, major int) {
	for name, old := range before {
		now, found := after[name]
		switch {
		case !found:
			changed++
		case !slices.Equal(sorted(old), sorted(now)):
			changed++
			if a, b := highestMajor(old), highestMajor(now); a >= 0 && b >= 0 && a != b {
				major++
			}
		}
	}
	for name := range after {
		if _, found := before[name]; !found {
			changed++
		}
	}
	return changed, major
}

// Private

type format struct {
	ecosystem string
	locked    bool
	read      func(text []byte, into Set) error
}

func formatOf(name string) format {
	base := strings.ToLower(path.Base(name))
	if f, found := formats[base]; found {
		return f
	}
	if strings.HasPrefix(base, "requirements") && strings.HasSuffix(base, ".txt") {
		return format{"python", false, readRequirements}
	}
	return format{}
}

var formats = map[string]format{
	"go.mod":              {"go", true, readGoMod},
	"package.json":        {"npm", false, readPackageJSON},
	"package-lock.json":   {"npm", true, readPackageLock},
	"npm-shrinkwrap.json": {"npm", true, readPackageLock},
	"yarn.lock":           {"npm", true, readYarn},
	"pnpm-lock.yaml":      {"npm", true, readPnpm},
	"poetry.lock":         {"python", true, readTOMLPackages},
	"uv.lock":             {"python", true, readTOMLPackages},
	"pdm.lock":            {"python", true, readTOMLPackages},
	"cargo.lock":          {"rust", true, readTOMLPackages},
	"pipfile.lock":        {"python", true, readPipfile},
	"gemfile.lock":        {"ruby", true, readGemfile},
	"composer.lock":       {"php", true, readComposer},
	"pom.xml":             {"maven", true, readPom},
}

func (s Set) add(name, version string) {
	if name != "" && len(s) <= MaxPackages && !slices.Contains(s[name], version) && len(s[name]) < 100 {
		s[name] = append(s[name], version)
	}
}

func sorted(versions []string) []string {
	copied := slices.Clone(versions)
	slices.Sort(copied)
	return copied
}

// highestMajor is -1 where no version has a number.
func highestMajor(versions []string) int {
	highest := -1
	for _, v := range versions {
		v = strings.TrimLeft(v, "^~=<>!v \t")
		digits := v[:len(v)-len(strings.TrimLeft(v, "0123456789"))]
		if n, err := strconv.Atoi(digits); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}
