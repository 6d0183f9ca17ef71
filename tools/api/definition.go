package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	_ "google.golang.org/genproto/googleapis/api/annotations" // google/api/*.proto, which the definition imports
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// Private

// definition is the API as compiled: our own files, and all that they import, each after what it imports.
type definition struct {
	own   []*descriptorpb.FileDescriptorProto
	all   []*descriptorpb.FileDescriptorProto
	files []protoreflect.FileDescriptor // own, linked
}

// compile reads the definition below a folder. What is Google's comes from the Go modules that hold it.
func compile(ctx context.Context, folder string) (*definition, error) {
	paths, err := filepath.Glob(folder + "/adg/v1/*.proto")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("there is no definition below %s: %w", folder, err)
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimPrefix(filepath.ToSlash(p), folder+"/")
	}
	slices.Sort(names)
	return compileFrom(ctx, protocompile.CompositeResolver{
		&protocompile.SourceResolver{ImportPaths: []string{folder}},
		protocompile.ResolverFunc(linkedIn),
	}, names)
}

func compileFrom(ctx context.Context, resolver protocompile.Resolver, names []string) (*definition, error) {
	var wrong []error
	compiler := protocompile.Compiler{Resolver: resolver, SourceInfoMode: protocompile.SourceInfoStandard, Reporter: reporter.NewReporter(
		func(err reporter.ErrorWithPos) error { wrong = append(wrong, err); return nil },
		func(warning reporter.ErrorWithPos) { wrong = append(wrong, warning) },
	)}
	linked, err := compiler.Compile(ctx, names...)
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if err != nil {
		return nil, err
	}
	d := &definition{}
	seen := map[string]bool{}
	for _, file := range linked {
		d.files = append(d.files, file)
		d.add(file, seen)
	}
	for _, f := range d.all {
		if slices.Contains(names, f.GetName()) {
			tidyComments(f)
			d.own = append(d.own, f)
		}
	}
	return d, nil
}

func linkedIn(path string) (protocompile.SearchResult, error) {
	file, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}
	return protocompile.SearchResult{Desc: file}, nil
}

func (d *definition) add(file protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		d.add(file.Imports().Get(i).FileDescriptor, seen)
	}
	f := protodesc.ToFileDescriptorProto(file)
	// The options come as values of dynamic types; the plugins' ones are those that are linked in.
	text, err := proto.Marshal(f)
	if err == nil {
		f = &descriptorpb.FileDescriptorProto{}
		err = proto.Unmarshal(text, f)
	}
	if err != nil {
		panic(err) // what was compiled can be written
	}
	d.all = append(d.all, f)
}

// tidyComments makes the comment at the end of a line one before it, which is all that the plugins look at, and drops
// the file's own: it would become one package comment per file.
func tidyComments(f *descriptorpb.FileDescriptorProto) {
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		if l.LeadingComments == nil && l.TrailingComments != nil {
			l.LeadingComments, l.TrailingComments = l.TrailingComments, nil
		}
		if len(l.Path) == 1 {
			l.LeadingComments, l.TrailingComments, l.LeadingDetachedComments = nil, nil, nil
		}
	}
}

// comments are those of a file by the path of what they are about, as descriptor.proto counts it.
func comments(f *descriptorpb.FileDescriptorProto) map[string]string {
	said := map[string]string{}
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		said[fmt.Sprint(l.GetPath())] = strings.TrimSpace(l.GetLeadingComments())
	}
	return said
}

// runPlugin gives the definition to a plugin of protoc and gives back the files that it makes.
func runPlugin(ctx context.Context, d *definition, name, parameter string) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	request := &pluginpb.CodeGeneratorRequest{Parameter: &parameter, ProtoFile: d.all}
	for _, f := range d.own {
		request.FileToGenerate = append(request.FileToGenerate, f.GetName())
	}
	in, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", name)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out.Bytes(), response); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", name, err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s: %s", name, response.GetError())
	}
	return response.File, nil
}
