package api

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/strictyaml"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// route is what one address of the API takes.
type route struct {
	request protoreflect.MessageDescriptor
	path    []string // fields that stand in the path
	whole   bool     // the body is all of the request
}

// variable is a field in a path of the definition.
var variable = regexp.MustCompile(`\{([^}=]+)\}`)

// routes are all addresses, by their methods and patterns.
func routes() map[string]route {
	all := map[string]route{}
	for _, file := range adgv1.Files() {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				rule, _ := proto.GetExtension(methods.Get(j).Options(), annotations.E_Http).(*annotations.HttpRule)
				for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
					verb, path := addressOf(binding)
					one := route{request: methods.Get(j).Input(), whole: binding.GetBody() == "*"}
					for _, found := range variable.FindAllStringSubmatch(path, -1) {
						one.path = append(one.path, found[1])
					}
					all[verb+" "+variable.ReplaceAllString(path, "{$1=*}")] = one
				}
			}
		}
	}
	return all
}

func addressOf(rule *annotations.HttpRule) (verb, path string) {
	for verb, path := range map[string]string{
		http.MethodGet: rule.GetGet(), http.MethodPut: rule.GetPut(), http.MethodPost: rule.GetPost(), http.MethodDelete: rule.GetDelete(), http.MethodPatch: rule.GetPatch(),
	} {
		if path != "" {
			return verb, path
		}
	}
	return "", ""
}

// strictly refuses requests with parameters that mean nothing there: what a caller believes to have said is done, or he is
// told that it is not.
func (a *API) strictly(refuse func(http.ResponseWriter, *http.Request, error)) runtime.Middleware {
	known := routes()
	return func(next runtime.HandlerFunc) runtime.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
			pattern, _ := runtime.HTTPPattern(r.Context())
			if one, found := known[r.Method+" "+pattern.String()]; found && r.URL.RawQuery != "" {
				if err := one.wrong(r.URL.RawQuery); err != nil {
					refuse(w, r, a.problem(r.Context(), rand.Text()[:13], true, err))
					return
				}
			}
			next(w, r, path)
		}
	}
}

// wrong is everything that is wrong with the parameters of a request, in their order; nil: nothing.
func (one route) wrong(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return adg.Advised(adg.Errorf(adg.Invalid, "the parameters after '?' cannot be read"), "escape what is no letter, as in %%26")
	}
	var all []error
	given := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(all) == maxViolations {
			break
		}
		field, several := one.field(name)
		switch given[field] += len(values[name]); {
		case field == "":
			all = append(all, one.unknown(name))
		case !several && given[field] > 1:
			all = append(all, wire.Wrong(name, "the parameter %s is there %d times, and has one value", clipped(name), given[field]))
		}
	}
	return errors.Join(all...)
}

// field is the path of the field that a parameter is of, empty where there is none, and whether it has several values.
func (one route) field(name string) (path string, several bool) {
	if one.whole {
		return "", false
	}
	name, _, key := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	var field protoreflect.FieldDescriptor
	var parts []string
	for message, part := range within(one.request, name) {
		if message == nil {
			return "", false
		}
		if field = fieldOf(message, part); field == nil {
			return "", false
		}
		parts = append(parts, string(field.Name()))
	}
	path = strings.Join(parts, ".")
	if key != field.IsMap() || slices.Contains(one.path, path) {
		return "", false
	}
	return path, field.IsList() || field.IsMap()
}

// within are the parts of a path, each with the message that it is a field of; nil: there is none.
func within(m protoreflect.MessageDescriptor, path string) func(func(protoreflect.MessageDescriptor, string) bool) {
	return func(yield func(protoreflect.MessageDescriptor, string) bool) {
		for part := range strings.SplitSeq(path, ".") {
			if !yield(m, part) {
				return
			}
			field := fieldOf(m, part)
			if m = nil; field != nil && !field.IsList() && !field.IsMap() && field.Message() != nil && field.Message().ParentFile().Package() != "google.protobuf" {
				m = field.Message()
			}
		}
	}
}

func fieldOf(m protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := m.Fields().ByTextName(name); field != nil {
		return field
	}
	return m.Fields().ByJSONName(name)
}

// unknown refuses a parameter, and says what was probably meant.
func (one route) unknown(name string) error {
	var choices []string
	for i := range one.request.Fields().Len() {
		if f := one.request.Fields().Get(i); !one.whole && !slices.Contains(one.path, string(f.Name())) {
			choices = append(choices, f.JSONName())
		}
	}
	wayOut := "this address takes no parameters"
	switch near := strictyaml.Nearest(name, choices); {
	case one.whole:
		wayOut += ": say it in the body"
	case slices.Contains(one.path, name):
		wayOut = "it stands in the path already"
	case near != "":
		wayOut = "did you mean " + near + "?"
	case len(choices) > 0:
		wayOut = "there are " + strings.Join(choices, ", ")
	}
	return wire.Wrong(name, "there is no parameter %s here: %s", clipped(name), wayOut)
}

// clipped is a name as somebody else wrote it, as far as one reads.
func clipped(name string) string {
	const most = 64
	if len(name) <= most {
		return adg.Printable(name)
	}
	return adg.Printable(strings.ToValidUTF8(name[:most], "")) + "…"
}
