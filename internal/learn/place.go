package learn

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Production tells whether an environment's name says that customers use it: production, prod, prd or live, alone or
// with other words, as in prod-eu.
func Production(environment string) bool {
	name := strings.ToLower(environment)
	if rank, known := ranks[name]; known {
		return rank == production
	}
	words := nameWords(name)
	return slices.ContainsFunc(words, func(w string) bool { return ranks[w] == production }) &&
		!slices.ContainsFunc(words, func(w string) bool { return w == "non" || w == "not" || w == "pre" || w == "no" })
}

// Private

// places find the files that say what is live, and what their paths tell: patterns with * for one folder or part of a
// name, ** for any number of folders, {service} and {environment} for the names.
type places struct{ patterns []*regexp.Regexp }

var defaultPaths = []string{"**/*.yaml", "**/*.yml", "**/image-tags/{environment}/{service}"}

func newPlaces(patterns []string) (places, error) {
	if len(patterns) == 0 {
		patterns = defaultPaths
	}
	if len(patterns) > 100 {
		return places{}, adg.Errorf(adg.Invalid, "%d patterns of paths: at most 100", len(patterns))
	}
	var p places
	for _, pattern := range patterns {
		compiled, err := compilePattern(pattern)
		if err != nil {
			return places{}, err
		}
		p.patterns = append(p.patterns, compiled)
	}
	return p, nil
}

func compilePattern(pattern string) (*regexp.Regexp, error) {
	if pattern == "" || len(pattern) > 500 || strings.Count(pattern, "{service}") > 1 || strings.Count(pattern, "{environment}") > 1 {
		return nil, adg.Errorf(adg.Invalid, "pattern %q: write a path such as apps/{service}/{environment}/*.yaml, each name once", cut(pattern, 100))
	}
	r := strings.NewReplacer("**/", `(?:[^/]+/)*`, "**", `.*`, "*", `[^/]*`, "?", `[^/]`,
		"{service}", `(?P<service>[^/]+?)`, "{environment}", `(?P<environment>[^/]+?)`)
	var out strings.Builder
	for _, part := range regexp.MustCompile(`\*\*/|\*\*|\*|\?|\{service\}|\{environment\}|[^*?{]+|\{`).FindAllString(pattern, -1) {
		if replaced := r.Replace(part); replaced != part {
			out.WriteString(replaced)
		} else {
			out.WriteString(regexp.QuoteMeta(part))
		}
	}
	compiled, err := regexp.Compile("^" + out.String() + "$")
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "pattern %q: %w", cut(pattern, 100), err)
	}
	return compiled, nil
}

// match finds what a path tells; the names are empty where it does not say.
func (p places) match(file string) (service, environment string, ok bool) {
	for _, pattern := range slices.Backward(p.patterns) { // the later ones are more special
		m := pattern.FindStringSubmatch(file)
		if m == nil {
			continue
		}
		if i := pattern.SubexpIndex("service"); i > 0 {
			service = m[i]
		}
		if i := pattern.SubexpIndex("environment"); i > 0 {
			environment = m[i]
		}
		return service, environment, true
	}
	return "", "", false
}

// ranks put the usual names of environments in the order of promotion.
var ranks = map[string]int{
	"dev": 1, "develop": 1, "development": 1, "sandbox": 1, "test": 2, "testing": 2, "qa": 2, "int": 2, "integration": 2, "ci": 2, "uat": 3,
	"staging": 4, "stage": 4, "stg": 4, "acceptance": 4, "preprod": 5, "pre-prod": 5, "preproduction": 5, "pre-production": 5,
	"prod": production, "production": production, "prd": production, "live": production,
}

// production is the rank of what customers use.
const production = 6

func nameWords(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '.' || r == '_' })
}

// environmentOf guesses an environment from a path: the last folder, or the end of the file's name, that is one.
func environmentOf(file string) string {
	parts := strings.Split(strings.TrimSuffix(strings.TrimSuffix(file, ".yaml"), ".yml"), "/")
	for _, part := range slices.Backward(parts) {
		words := append([]string{part}, nameWords(part)...)
		for _, word := range words {
			if ranks[strings.ToLower(word)] > 0 {
				return word
			}
		}
	}
	return ""
}

// plainFolders say nothing about the service whose files are in them.
var plainFolders = map[string]bool{
	".": true, "": true, "overlays": true, "base": true, "apps": true, "services": true, "envs": true, "environments": true, "charts": true,
	"helm": true, "deploy": true, "k8s": true, "kubernetes": true, "manifests": true, "templates": true, "releases": true, "clusters": true,
	"values": true, "config": true, "gitops": true,
}

// serviceOf guesses a service from a path: the nearest folder that is neither an environment nor a usual word, or
// else the file's name.
func serviceOf(file string) string {
	for dir := path.Dir(file); dir != "." && dir != "/"; dir = path.Dir(dir) {
		name := path.Base(dir)
		if !plainFolders[strings.ToLower(name)] && environmentOf(name) == "" {
			return name
		}
	}
	name := path.Base(file)
	return strings.TrimSuffix(strings.TrimSuffix(name, ".yaml"), ".yml")
}
