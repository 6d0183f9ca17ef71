package app

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEverySettingIsReadBySomebody looks for each field of the server's configuration in what puts the server together,
// and in the methods of the settings that it calls. That a field is checked is not enough: it has to do something.
func TestEverySettingIsReadBySomebody(t *testing.T) {
	const path = "github.com/deployguardian/adg/internal/settings"
	load := exports(t)
	read := map[string]bool{}
	note := func(info *types.Info) {
		for _, s := range info.Selections {
			recv := s.Recv()
			if p, ok := recv.(*types.Pointer); ok {
				recv = p.Elem()
			}
			if named, ok := recv.(*types.Named); ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == path && s.Kind() == types.FieldVal {
				read[named.Obj().Name()+"."+s.Obj().Name()] = true
			}
		}
	}
	_, info := checked(t, load, ".", "github.com/deployguardian/adg/internal/app", nil)
	note(info)
	own, info := checked(t, load, "../settings", path, []string{"validate.go", "load.go"})
	note(info)

	fields := 0
	for _, name := range own.Scope().Names() {
		fields += unread(t, own.Scope().Lookup(name), read)
	}
	if fields < 80 {
		t.Errorf("only %d fields were looked for", fields)
	}
}

// unread reports the fields of a type that files can set and that nobody reads, and counts all that they can set.
func unread(t *testing.T, o types.Object, read map[string]bool) (fields int) {
	made, ok := o.Type().Underlying().(*types.Struct)
	if _, isType := o.(*types.TypeName); !isType || !ok || !o.Exported() {
		return 0
	}
	for i := range made.NumFields() {
		if !strings.HasPrefix(made.Tag(i), "yaml:") {
			continue
		}
		fields++
		if field := o.Name() + "." + made.Field(i).Name(); !read[field] {
			t.Errorf("nobody reads settings.%s: let it do what its description says, or take it out", field)
		}
	}
	return fields
}

// exports finds what the compiler says about each package that the server is made of.
func exports(t *testing.T) importer.Lookup {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range bytes.Lines(out) {
		name, file, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		files[name] = file
	}
	return func(name string) (io.ReadCloser, error) { return os.Open(files[name]) }
}

// checked type-checks a package of which some files are left out of account.
func checked(t *testing.T, load importer.Lookup, dir, path string, besides []string) (*types.Package, *types.Info) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", load)}
	made, err := config.Check(path, fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	for at := range info.Selections {
		if slices.Contains(besides, filepath.Base(fset.Position(at.Pos()).Filename)) {
			delete(info.Selections, at)
		}
	}
	return made, info
}
