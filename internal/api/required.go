package api

import (
	"errors"
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg/internal/api/wire"
)

// Private

// complete refuses a request without what its definition says is necessary, and names all of it.
func complete(request any) error {
	message, ok := request.(proto.Message)
	if !ok {
		return nil
	}
	return errors.Join(missing(message.ProtoReflect(), "")...)
}

// missing are the fields that a message, which stands at that path, has to have and has not. An enum may be of the value
// that is its zero. A message that may be left out may be given in part.
func missing(m protoreflect.Message, path string) (all []error) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := path + string(f.Name())
		switch {
		case !m.Has(f) && f.Enum() == nil && necessary(f):
			all = append(all, wire.Wrong(name, "%s is missing: %s", name, wants(f.Name())))
		case m.Has(f) && f.Message() != nil && !f.IsList() && !f.IsMap() && necessary(f):
			all = append(all, missing(m.Get(f).Message(), name+".")...)
		}
	}
	return all
}

func necessary(f protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_REQUIRED)
}

// wants says what to write into a field.
func wants(field protoreflect.Name) string {
	switch field {
	case "reason":
		return "say why, it stands on record"
	case "etag":
		return "send the one that came with what you looked at"
	}
	return "the request needs it"
}
