package api

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg/internal/api/wire"
)

// Private

const (
	maxList = 1000    // members of a list in a request
	maxText = 4 << 10 // bytes of a text in a request that is no file
)

// files are the fields whose texts are as long as the request may be: a policy, or a certificate among the secrets.
var files = map[protoreflect.Name]bool{"text": true, "to_text": true, "secrets": true}

// bounded refuses lists and texts that nobody writes by hand: each member of a list costs a look at every row, and what
// people say stands on record, in every answer and every notification.
func bounded(request any) error {
	message, ok := request.(proto.Message)
	if !ok {
		return nil
	}
	return boundedIn(message.ProtoReflect(), "")
}

// boundedIn looks at a message that stands at that path.
func boundedIn(m protoreflect.Message, path string) (err error) {
	if m.Descriptor().ParentFile().Package() == "google.protobuf" {
		return nil // a time, or the options of a connection, which are a file
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := path + string(f.Name())
		one := func(v protoreflect.Value, of protoreflect.FieldDescriptor) bool {
			switch {
			case of.Kind() == protoreflect.StringKind:
				err = short(name, f, len(v.String()))
			case of.Message() != nil:
				err = boundedIn(v.Message(), name+".")
			}
			return err == nil
		}
		switch {
		case f.IsMap():
			if err = few(name, v.Map().Len()); err == nil {
				v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
					return one(k.Value(), f.MapKey()) && one(v, f.MapValue())
				})
			}
		case f.IsList():
			err = few(name, v.List().Len())
			for i := 0; err == nil && i < v.List().Len(); i++ {
				one(v.List().Get(i), f)
			}
		default:
			one(v, f)
		}
		return err == nil
	})
	return err
}

func few(name string, members int) error {
	if members <= maxList {
		return nil
	}
	return wire.Wrong(name, "%s has %d members, and may have %d: ask several times", name, members, maxList)
}

func short(name string, f protoreflect.FieldDescriptor, bytes int) error {
	if bytes <= maxText || files[f.Name()] {
		return nil
	}
	return wire.Wrong(name, "%s is a text of %d bytes, and may have %d: shorten it", name, bytes, maxText)
}
