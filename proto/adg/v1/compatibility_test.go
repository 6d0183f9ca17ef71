package adgv1_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestDefinitionIsCompatibleWithTheReleasedOne(t *testing.T) {
	text, err := os.ReadFile("../../released.binpb")
	if err != nil {
		t.Fatal(err)
	}
	released, now := &descriptorpb.FileDescriptorSet{}, &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(text, released); err != nil {
		t.Fatal(err)
	}
	for _, f := range adgv1.Files() {
		now.File = append(now.File, protodesc.ToFileDescriptorProto(f))
	}
	if n := len(index(released).methods); n < 90 {
		t.Fatalf("the released definition has %d methods: the test has gone blind", n)
	}
	for _, b := range breaks(released, now) {
		t.Error(b)
	}
}

// breaks says, one sentence each, what a client that was made for the old definition cannot do with the new one.
// What was added is fine.
func breaks(old, now *descriptorpb.FileDescriptorSet) []string {
	was, is := index(old), index(now)
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for name, m := range was.messages {
		if is.messages[name] == nil {
			say("message %s was removed", name)
			continue
		}
		for _, f := range m.GetField() {
			breaksOfField(say, name, f, is.messages[name].GetField())
		}
		for _, f := range is.messages[name].GetField() {
			if necessary(f) && !slices.ContainsFunc(m.GetField(), func(o *descriptorpb.FieldDescriptorProto) bool { return o.GetName() == f.GetName() && necessary(o) }) {
				say("field %s.%s became necessary: old clients do not send it", name, f.GetName())
			}
		}
	}
	for name, e := range was.enums {
		if is.enums[name] == nil {
			say("enum %s was removed", name)
			continue
		}
		for _, v := range e.GetValue() {
			breaksOfValue(say, name, v, is.enums[name].GetValue())
		}
	}
	for name, m := range was.methods {
		breaksOfMethod(say, name, m, is.methods[name])
	}
	slices.Sort(found)
	return found
}

type saying func(format string, args ...any)

func breaksOfField(say saying, message string, was *descriptorpb.FieldDescriptorProto, now []*descriptorpb.FieldDescriptorProto) {
	i := slices.IndexFunc(now, func(f *descriptorpb.FieldDescriptorProto) bool { return f.GetName() == was.GetName() })
	if i < 0 {
		say("field %s.%s was removed", message, was.GetName())
		return
	}
	is := now[i]
	if is.GetNumber() != was.GetNumber() {
		say("field %s.%s has the number %d, it was %d", message, was.GetName(), is.GetNumber(), was.GetNumber())
	}
	if is.GetType() != was.GetType() || is.GetTypeName() != was.GetTypeName() {
		say("field %s.%s has another type", message, was.GetName())
	}
	if is.GetLabel() != was.GetLabel() || is.GetProto3Optional() != was.GetProto3Optional() || (is.OneofIndex == nil) != (was.OneofIndex == nil) {
		say("field %s.%s was and is not alike repeated, optional or one of several", message, was.GetName())
	}
	if is.GetJsonName() != was.GetJsonName() {
		say("field %s.%s is called %q in JSON, it was %q", message, was.GetName(), is.GetJsonName(), was.GetJsonName())
	}
}

func breaksOfValue(say saying, enum string, was *descriptorpb.EnumValueDescriptorProto, now []*descriptorpb.EnumValueDescriptorProto) {
	i := slices.IndexFunc(now, func(v *descriptorpb.EnumValueDescriptorProto) bool { return v.GetName() == was.GetName() })
	switch {
	case i < 0:
		say("value %s of %s was removed", was.GetName(), enum)
	case now[i].GetNumber() != was.GetNumber():
		say("value %s of %s has the number %d, it was %d", was.GetName(), enum, now[i].GetNumber(), was.GetNumber())
	}
}

func breaksOfMethod(say saying, name string, was, is *descriptorpb.MethodDescriptorProto) {
	if is == nil {
		say("method %s was removed", name)
		return
	}
	if is.GetInputType() != was.GetInputType() || is.GetOutputType() != was.GetOutputType() {
		say("method %s has another request or response", name)
	}
	if is.GetServerStreaming() != was.GetServerStreaming() || is.GetClientStreaming() != was.GetClientStreaming() {
		say("method %s streams otherwise than it did", name)
	}
	for _, path := range bindings(was) {
		if !slices.Contains(bindings(is), path) {
			say("method %s is not at %s any more", name, path)
		}
	}
}

// bindings are the verbs and paths of a method, with what its body is.
func bindings(m *descriptorpb.MethodDescriptorProto) []string {
	rule, _ := proto.GetExtension(m.GetOptions(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil
	}
	var all []string
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		verb := strings.TrimPrefix(fmt.Sprintf("%T", r.GetPattern()), "*annotations.HttpRule_")
		path := r.GetGet() + r.GetPost() + r.GetPut() + r.GetPatch() + r.GetDelete()
		all = append(all, strings.TrimSpace(strings.ToUpper(verb)+" "+path+" "+r.GetBody()))
	}
	return all
}

func necessary(f *descriptorpb.FieldDescriptorProto) bool {
	behaviour, _ := proto.GetExtension(f.GetOptions(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviour, annotations.FieldBehavior_REQUIRED)
}

// names finds everything by its full name, wherever its file is.
type names struct {
	messages map[string]*descriptorpb.DescriptorProto
	enums    map[string]*descriptorpb.EnumDescriptorProto
	methods  map[string]*descriptorpb.MethodDescriptorProto
}

func index(set *descriptorpb.FileDescriptorSet) names {
	n := names{map[string]*descriptorpb.DescriptorProto{}, map[string]*descriptorpb.EnumDescriptorProto{}, map[string]*descriptorpb.MethodDescriptorProto{}}
	for _, f := range set.GetFile() {
		for _, e := range f.GetEnumType() {
			n.enums[f.GetPackage()+"."+e.GetName()] = e
		}
		for _, m := range f.GetMessageType() {
			n.nest(f.GetPackage(), m)
		}
		for _, s := range f.GetService() {
			for _, m := range s.GetMethod() {
				n.methods[f.GetPackage()+"."+s.GetName()+"."+m.GetName()] = m
			}
		}
	}
	return n
}

func (n names) nest(scope string, m *descriptorpb.DescriptorProto) {
	scope += "." + m.GetName()
	n.messages[scope] = m
	for _, e := range m.GetEnumType() {
		n.enums[scope+"."+e.GetName()] = e
	}
	for _, inner := range m.GetNestedType() {
		n.nest(scope, inner)
	}
}

func TestEachKindOfBreakIsFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*descriptorpb.FileDescriptorProto)
		want   string // empty: it is compatible
	}{
		{"nothing changes", func(*descriptorpb.FileDescriptorProto) {}, ""},
		{"a message goes", func(f *descriptorpb.FileDescriptorProto) { f.MessageType = f.MessageType[:2] }, "message x.Gone was removed"},
		{"a message inside another goes", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].NestedType = nil }, "message x.Dish.Inner was removed"},
		{"a field goes", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field = f.MessageType[0].Field[:1] }, "field x.Dish.price was removed"},
		{"a field gets another number", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Number = proto.Int32(9) }, "field x.Dish.name has the number 9, it was 1"},
		{"a field gets another type", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
		}, "field x.Dish.name has another type"},
		{"a field becomes a list", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field[0].Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}, "field x.Dish.name was and is not alike repeated, optional or one of several"},
		{"a field is renamed in JSON", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].JsonName = proto.String("title") }, `field x.Dish.name is called "title" in JSON, it was "name"`},
		{"a field becomes necessary", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field[0].Options = &descriptorpb.FieldOptions{}
			proto.SetExtension(f.MessageType[0].Field[0].Options, annotations.E_FieldBehavior, []annotations.FieldBehavior{annotations.FieldBehavior_REQUIRED})
		}, "field x.Dish.name became necessary: old clients do not send it"},
		{"an enum goes", func(f *descriptorpb.FileDescriptorProto) { f.EnumType = nil }, "enum x.Taste was removed"},
		{"a value goes", func(f *descriptorpb.FileDescriptorProto) { f.EnumType[0].Value = f.EnumType[0].Value[:1] }, "value SWEET of x.Taste was removed"},
		{"a value gets another number", func(f *descriptorpb.FileDescriptorProto) { f.EnumType[0].Value[1].Number = proto.Int32(7) }, "value SWEET of x.Taste has the number 7, it was 1"},
		{"a method goes", func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Method = nil }, "method x.Kitchen.Cook was removed"},
		{"a service goes", func(f *descriptorpb.FileDescriptorProto) { f.Service = nil }, "method x.Kitchen.Cook was removed"},
		{"a method answers something else", func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Method[0].OutputType = proto.String(".x.Gone") }, "method x.Kitchen.Cook has another request or response"},
		{"a method becomes a stream", func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Method[0].ServerStreaming = proto.Bool(true) }, "method x.Kitchen.Cook streams otherwise than it did"},
		{"a method moves to another path", func(f *descriptorpb.FileDescriptorProto) { setPath(f, "/v1/meals") }, "method x.Kitchen.Cook is not at POST /v1/dishes * any more"},
		{"a method gets one more path", func(f *descriptorpb.FileDescriptorProto) {
			rule := setPath(f, "/v1/dishes")
			rule.AdditionalBindings = []*annotations.HttpRule{{Pattern: &annotations.HttpRule_Get{Get: "/v1/menu"}}}
		}, ""},
		{"everything grows", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("size", 3))
			f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{Name: proto.String("New")})
			f.EnumType[0].Value = append(f.EnumType[0].Value, value("SOUR", 2))
			f.Service[0].Method = append(f.Service[0].Method, &descriptorpb.MethodDescriptorProto{Name: proto.String("Serve")})
		}, ""},
		{"what is there moves to another file", func(f *descriptorpb.FileDescriptorProto) { f.Name = proto.String("other.proto") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := kitchen()
			c.change(now)
			got := strings.Join(breaks(set(kitchen()), set(now)), "\n")
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func kitchen() *descriptorpb.FileDescriptorProto {
	f := &descriptorpb.FileDescriptorProto{
		Name: proto.String("kitchen.proto"), Package: proto.String("x"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Dish"), Field: []*descriptorpb.FieldDescriptorProto{field("name", 1), field("price", 2)},
				NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("Inner")}}},
			{Name: proto.String("Order")},
			{Name: proto.String("Gone")},
		},
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: proto.String("Taste"), Value: []*descriptorpb.EnumValueDescriptorProto{value("NONE", 0), value("SWEET", 1)}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Kitchen"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Cook"), InputType: proto.String(".x.Order"), OutputType: proto.String(".x.Dish"), Options: &descriptorpb.MethodOptions{},
		}}}},
	}
	setPath(f, "/v1/dishes")
	return f
}

func setPath(f *descriptorpb.FileDescriptorProto, path string) *annotations.HttpRule {
	rule := &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: "*"}
	proto.SetExtension(f.Service[0].Method[0].Options, annotations.E_Http, rule)
	return rule
}

func field(name string, number int32) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{Name: &name, JsonName: &name, Number: &number,
		Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
}

func value(name string, number int32) *descriptorpb.EnumValueDescriptorProto {
	return &descriptorpb.EnumValueDescriptorProto{Name: &name, Number: &number}
}

func set(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorSet {
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{f}}
}
