// Command api makes everything that follows from the definition of the API: the Go code, the OpenAPI document and the
// TypeScript types. It needs Go, and npm for the types, and nothing else: the compiler and the plugins are Go modules.
//
//	go run .           generates; a definition that breaks a rule of ours is refused
//	go run . release   notes the definition as released: later ones have to be compatible with it
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

// Private

const (
	root     = "../.." // of the repository, from this module
	module   = "github.com/deployguardian/adg"
	openAPI  = root + "/internal/api/openapi/adg.json"
	released = root + "/proto/released.binpb"
)

func run(ctx context.Context, args []string) error {
	d, err := compile(ctx, root+"/proto")
	if err != nil {
		return err
	}
	if len(args) == 1 && args[0] == "release" {
		return release(d)
	}
	if len(args) != 0 {
		return fmt.Errorf("unknown arguments %q: give none, or release", args)
	}
	if err := lint(d); err != nil {
		return err
	}
	if err := writeGo(ctx, d); err != nil {
		return err
	}
	if err := writeOpenAPI(ctx, d); err != nil {
		return err
	}
	return writeTypeScript(ctx)
}

// proxyComment is what the gateway's plugin says of the package in each file: the package says itself what it is for.
var proxyComment = regexp.MustCompile(`(?s)/\*\nPackage .*?\*/\n`)

func writeGo(ctx context.Context, d *definition) error {
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc", "protoc-gen-grpc-gateway"} {
		files, err := runPlugin(ctx, d, plugin, "module="+module)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := write(filepath.Join(root, f.GetName()), []byte(proxyComment.ReplaceAllString(f.GetContent(), ""))); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeOpenAPI(ctx context.Context, d *definition) error {
	files, err := runPlugin(ctx, d, "protoc-gen-openapiv3", "disable_default_errors=true")
	if err != nil {
		return err
	}
	text, err := document(d, files)
	if err != nil {
		return err
	}
	return write(openAPI, text)
}

// writeTypeScript makes the dashboard's types with the generator that web/package-lock.json pins.
func writeTypeScript(ctx context.Context) error {
	web := filepath.Join(root, "web")
	generator := filepath.Join("node_modules", ".bin", "openapi-typescript")
	if _, err := os.Stat(filepath.Join(web, generator)); err != nil {
		if _, err := exec.LookPath("npm"); err != nil {
			return fmt.Errorf("npm is missing: the TypeScript types need Node.js 20 or newer and its npm")
		}
		if err := command(ctx, web, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
			return fmt.Errorf("install what web/package-lock.json names: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(web, "src", "api"), 0o755); err != nil {
		return err
	}
	return command(ctx, web, generator, "../internal/api/openapi/adg.json", "--output", "src/api/schema.ts", "--alphabetize")
}

// release notes the definition, without its comments, which may change freely.
func release(d *definition) error {
	set := &descriptorpb.FileDescriptorSet{}
	for _, f := range d.own {
		bare := proto.CloneOf(f)
		bare.SourceCodeInfo = nil
		set.File = append(set.File, bare)
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return err
	}
	return write(released, text)
}

func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
