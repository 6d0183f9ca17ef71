package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Private

// lint says everything in which a definition is not as all of the API is.
func lint(d *definition) error {
	l := &linter{}
	for _, m := range methods(d) {
		l.method(m)
	}
	for i, file := range d.files {
		l.sentences(file, d.own[slices.IndexFunc(d.own, named(d.files[i].Path()))])
		l.messages(file.Messages())
		l.enums(file.Enums())
	}
	return errors.Join(l.problems...)
}

type linter struct{ problems []error }

func (l *linter) say(bad bool, what protoreflect.Descriptor, format string, args ...any) {
	if bad {
		l.problems = append(l.problems, fmt.Errorf("%s: %s: %s", what.ParentFile().Path(), what.FullName(), fmt.Sprintf(format, args...)))
	}
}

// changers are how methods begin that change something that is there: whoever changes it says what he has seen.
var changers = regexp.MustCompile(`^(Update|Delete|Put|Lift|Revoke|Pin|Unpin|Resume|Approve|Reject|Promote|Hold|RollBack|Cancel|Retry|Correct)`)

// method checks one method. Those of the login are for people who are nobody yet: they leave no reasons, and their
// secrets and codes are used once anyway.
func (l *linter) method(m protoreflect.MethodDescriptor) {
	name, in, out := string(m.Name()), m.Input(), m.Output()
	l.say(string(in.Name()) != name+"Request", m, "its request is called %sRequest, not %s", name, in.Name())
	rule := httpRule(m)
	if rule == nil {
		l.say(true, m, "it has no google.api.http rule, so that it cannot be had by REST")
		return
	}
	l.http(m, rule)
	reads := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	login := m.Parent().Name() == "LoginService"
	if !reads && !login {
		l.say(!has(in, "idempotency_key"), m, "it changes something: its request needs an idempotency_key")
		l.say(!has(in, "reason"), m, "it changes something: its request needs a reason, for the record")
	}
	if changers.MatchString(name) && !reads && !login {
		l.say(!has(in, "etag"), m, "it changes what is there: its request needs an etag")
	}
	if strings.HasPrefix(name, "Update") {
		l.say(!has(out, "etag"), m, "what can be updated needs an etag: %s has none", out.Name())
	}
	if strings.HasPrefix(name, "List") {
		l.say(!has(in, "page_size") || !has(in, "page_token"), m, "a list has pages: its request needs page_size and page_token")
		l.say(!has(out, "next_page_token"), m, "a list has pages: its response needs a next_page_token")
	}
}

func (l *linter) http(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) {
	path := rule.GetGet() + rule.GetPost() + rule.GetPut() + rule.GetPatch() + rule.GetDelete()
	reads := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	l.say(!strings.HasPrefix(path, "/v1/"), m, "its path is below /v1/, not %q", path)
	l.say(rule.GetGet() != "" && !reads, m, "a GET has no side effects: say so by idempotency_level")
	l.say(rule.GetGet() == "" && rule.GetDelete() == "" && rule.GetBody() != "*", m, `its body is "*"`)
	l.say((rule.GetDelete() != "" || rule.GetPut() != "" || rule.GetPatch() != "") && reads, m, "a method without side effects is a GET or a POST")
}

func (l *linter) messages(all protoreflect.MessageDescriptors) {
	for i := range all.Len() {
		m := all.Get(i)
		if m.IsMapEntry() {
			continue
		}
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			time := f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp"
			l.say(time && f.Name() != "time" && !strings.HasSuffix(string(f.Name()), "_time"), f, "a time is called time or …_time")
			l.say(!fieldName.MatchString(string(f.Name())), f, "a field is written lower_snake_case")
		}
		l.messages(m.Messages())
		l.enums(m.Enums())
	}
}

var (
	fieldName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*$`)
	hump      = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

func (l *linter) enums(all protoreflect.EnumDescriptors) {
	for i := range all.Len() {
		e := all.Get(i)
		prefix := strings.ToUpper(hump.ReplaceAllString(string(e.Name()), "${1}_$2")) + "_"
		zero := string(e.Values().Get(0).Name())
		l.say(zero != prefix+"UNSPECIFIED" && zero != prefix+"UNKNOWN", e, "its zero value is %sUNSPECIFIED or %sUNKNOWN, not %s", prefix, prefix, zero)
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			l.say(!strings.HasPrefix(string(v.Name()), prefix), v, "a value begins with %s", prefix)
		}
	}
}

// sentences wants a comment for everything: they are the reference of the API.
func (l *linter) sentences(file protoreflect.FileDescriptor, f *descriptorpb.FileDescriptorProto) {
	said := comments(f)
	sentence := func(what protoreflect.Descriptor, opens bool, path ...int32) {
		text := said[fmt.Sprint(path)]
		l.say(text == "", what, "it has no comment: say what it is, and its unit")
		l.say(text != "" && !strings.HasSuffix(text, "."), what, "its comment is a sentence and ends with a full stop")
		l.say(text != "" && opens && !strings.HasPrefix(text, string(what.Name())+" "), what, "its comment begins with %s", what.Name())
	}
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		sentence(m, true, 4, int32(i))
		for j := range m.Fields().Len() {
			sentence(m.Fields().Get(j), false, 4, int32(i), 2, int32(j))
		}
	}
	for i := range file.Enums().Len() {
		e := file.Enums().Get(i)
		sentence(e, true, 5, int32(i))
		for j := range e.Values().Len() {
			sentence(e.Values().Get(j), false, 5, int32(i), 2, int32(j))
		}
	}
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		sentence(s, true, 6, int32(i))
		for j := range s.Methods().Len() {
			sentence(s.Methods().Get(j), true, 6, int32(i), 2, int32(j))
		}
	}
}

func has(m protoreflect.MessageDescriptor, field protoreflect.Name) bool {
	return m.Fields().ByName(field) != nil
}

// httpRule reads the rule from the options as bytes: the compiler gives them as values of a dynamic type.
func httpRule(m protoreflect.MethodDescriptor) *annotations.HttpRule {
	text, err := proto.Marshal(m.Options())
	options := &descriptorpb.MethodOptions{}
	if err != nil || proto.Unmarshal(text, options) != nil || !proto.HasExtension(options, annotations.E_Http) {
		return nil
	}
	return proto.GetExtension(options, annotations.E_Http).(*annotations.HttpRule)
}

func named(path string) func(*descriptorpb.FileDescriptorProto) bool {
	return func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == path }
}
