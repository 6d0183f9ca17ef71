package importer

import (
	"regexp"
	"strings"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// toSet is the value of a variable that a human has to give.
const toSet = "set-me"

// arguments are the values that a template's text names in double braces.
type arguments struct {
	d      *draft
	braces *regexp.Regexp // one group: the name
	values map[string]argument
	left   func(name string) // told of what has no value; the text then names a variable to be set
}

// argument is a value, or the variable of ADG that is the same thing, or a secret.
type argument struct {
	text     string
	variable string // such as version
	secret   string // environment variable
	given    bool
}

// inQuery is a text as a query of a policy has it: arguments become variables, or stand there themselves where a
// variable could not hold them.
func (a arguments) inQuery(text string) string {
	return a.replace(text, literal, func(name string, arg argument, after string) string {
		switch {
		case arg.variable != "":
			return variableIn(arg.variable, after)
		case arg.given && arg.secret == "":
			if a.d.set(word(name), arg.text, "") {
				return variableIn(word(name), after)
			}
			return literal(arg.text)
		}
		if a.left != nil && arg.secret == "" {
			a.left(name)
		}
		a.d.set(word(name), toSet, "LOOK: the source gives no value")
		return variableIn(word(name), after)
	})
}

// inText is a text with the values themselves; an argument without one, or with a secret, leaves it empty.
func (a arguments) inText(text string) string {
	whole := true
	text = a.replace(text, func(s string) string { return s }, func(_ string, arg argument, _ string) string {
		whole = whole && arg.given && arg.secret == "" && arg.variable == ""
		return arg.text
	})
	if !whole {
		return ""
	}
	return text
}

// secret is the environment variable of the secret that a text holds; false if it holds none.
func (a arguments) secret(text string) (string, bool) {
	for _, hit := range a.braces.FindAllStringSubmatch(text, 20) {
		if arg := a.values[hit[1]]; arg.secret != "" {
			return arg.secret, true
		}
	}
	return "", false
}

func (a arguments) replace(text string, rest func(string) string, one func(name string, arg argument, after string) string) string {
	var out strings.Builder
	from := 0
	for _, hit := range a.braces.FindAllStringSubmatchIndex(text, 1_000) {
		out.WriteString(rest(text[from:hit[0]]))
		name := text[hit[2]:hit[3]]
		out.WriteString(one(name, a.values[name], text[hit[1]:]))
		from = hit[1]
	}
	out.WriteString(rest(text[from:]))
	return out.String()
}

// argoBraces are the placeholders of Argo Rollouts.
var argoBraces = regexp.MustCompile(`\{\{\s*\$?args\.([A-Za-z0-9_.-]{1,100})\s*\}\}`)

// argoArguments are the arguments of a template: its own, and those that a rollout gives to it.
func argoArguments(d *draft, own, given *manifest.Node) arguments {
	a := arguments{d: d, braces: argoBraces, values: map[string]argument{}}
	places := map[string]*manifest.Node{}
	for _, list := range []*manifest.Node{own, given} {
		for _, arg := range list.Items() {
			name := arg.Get("name").Text()
			if _, known := places[name]; !known {
				places[name] = arg
			}
			if v := a.read(name, arg); v.given {
				a.values[name] = v
			}
		}
	}
	a.left = func(name string) {
		at := places[name]
		if at == nil {
			at = own
		}
		d.assume(at, "argument %s has no value here: give the variable %s one", name, word(name))
	}
	return a
}

func (a arguments) read(name string, arg *manifest.Node) argument {
	if v := arg.Get("value"); v != nil {
		return argument{text: v.Text(), given: true}
	}
	from := arg.Get("valueFrom")
	switch {
	case from.Has("secretKeyRef"):
		ref := from.Get("secretKeyRef")
		env := envName(ref.Get("name").Text(), ref.Get("key").Text())
		return argument{secret: env, given: true}
	case from.Has("podTemplateHashValue"):
		which := from.Get("podTemplateHashValue")
		a.d.change(arg, "argument %s was the hash of a pod template: it is ADG's own version now, so take the label that holds it", name)
		if which.Text() == "Stable" {
			return argument{variable: "baseline", given: true}
		}
		return argument{variable: "version", given: true}
	case from.Has("fieldRef"):
		field := from.Get("fieldRef", "fieldPath")
		if field.Text() == "metadata.name" {
			return argument{variable: "service", given: true}
		}
		a.d.lose(field, "argument %s came from a field of the rollout: give the variable %s its value", name, word(name))
	}
	return argument{}
}
