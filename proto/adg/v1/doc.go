// Package adgv1 is ADG's API: the messages and the services that everything else talks to a server by, generated from
// the definition beside it. Names and meanings are those of package adg.
//
// The definition is the only thing to edit. Adding is always possible; what was released is neither removed, renumbered
// nor given another type, and a test compares with the released definition. A new release of it is noted by
// "make release-api".
package adgv1

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

//go:generate go -C ../../../tools/api run .

// Files are the files of the definition by name: whoever has to know every service or method walks through them.
func Files() []protoreflect.FileDescriptor {
	var all []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("adg.v1", func(f protoreflect.FileDescriptor) bool {
		all = append(all, f)
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.FileDescriptor) int { return cmp.Compare(a.Path(), b.Path()) })
	return all
}
