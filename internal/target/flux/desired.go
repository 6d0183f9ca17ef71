package flux

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/deployguardian/adg"
)

// Private

// Bounds of an artifact; what is larger is not looked through.
const (
	maxFile  = 1 << 20
	maxFiles = 10_000
	maxBytes = 256 << 20
)

// desired is the version that the repository has, by the artifact that a Kustomization applies: what its controller would
// set. It is told from the YAML files below the Kustomization's path as they stand; where something else may change the
// version on its way, it is not told.
func (t *target) desired(ctx context.Context, parent *unstructured.Unstructured) (version, revision string, err error) {
	if kind := textOf(parent, "spec", "sourceRef", "kind"); kind != "GitRepository" {
		return "", "", adg.Errorf(adg.Unavailable, "the Kustomization's source is of kind %s, and what it has can be told of a GitRepository only", t.client.Scrub(kind))
	}
	for _, field := range []string{"patches", "components"} {
		if some, _, _ := unstructured.NestedSlice(parent.Object, "spec", field); len(some) > 0 {
			return "", "", adg.Errorf(adg.Unavailable, "the Kustomization has spec.%s, which may change the version: write them into files of the repository", field)
		}
	}
	client, err := t.in(cmp.Or(textOf(parent, "spec", "sourceRef", "namespace"), parent.GetNamespace()))
	if err != nil {
		return "", "", err
	}
	source := &unstructured.Unstructured{}
	if err := client.Get(ctx, gitRepositories, textOf(parent, "spec", "sourceRef", "name"), source); err != nil {
		return "", "", err
	}
	archive, revision, err := t.artifact(ctx, source)
	if err != nil {
		return "", "", err
	}
	version, err = t.search(archive, textOf(parent, "spec", "path"))
	if err != nil {
		return "", "", adg.Errorf(adg.Unavailable, "revision %s of the repository: %w", revision, err)
	}
	return version, revision, nil
}

// artifact fetches what the source-controller has of a repository.
func (t *target) artifact(ctx context.Context, source *unstructured.Unstructured) (archive []byte, revision string, err error) {
	revision = t.client.Scrub(textOf(source, "status", "artifact", "revision"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, textOf(source, "status", "artifact", "url"), http.NoBody)
	if err != nil || revision == "" {
		return nil, "", adg.Errorf(adg.Unavailable, "the GitRepository %s has no artifact yet", source.GetName())
	}
	answer, err := t.artifacts.Do(ctx, req)
	if err != nil {
		return nil, "", adg.Errorf(adg.Unavailable, "fetch the artifact of the repository: %s", t.artifacts.Scrub(err.Error()))
	}
	sum := sha256.Sum256(answer.Body)
	if textOf(source, "status", "artifact", "digest") != "sha256:"+hex.EncodeToString(sum[:]) {
		return nil, "", adg.Errorf(adg.Unavailable, "the artifact of revision %s does not have the digest that the GitRepository tells", revision)
	}
	return answer.Body, revision, nil
}

var errUnreadable = errors.New("the artifact is no archive that can be read to its end")

// search looks for the HelmRelease in the YAML files of a compressed archive.
func (t *target) search(archive []byte, below string) (string, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", errUnreadable
	}
	below = strings.TrimLeft(path.Clean("/"+below)+"/", "/")
	found := findings{t: t}
	files := tar.NewReader(io.LimitReader(unzipped, maxBytes))
	for range maxFiles {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return found.version()
		case err != nil:
			return "", errUnreadable
		}
		name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		if header.Typeflag != tar.TypeReg || header.Size > maxFile || !strings.HasPrefix(name, below) || !manifests(name) {
			continue
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return "", errUnreadable
		}
		found.read(name, text)
	}
	return "", adg.Errorf(adg.Invalid, "it has more than %d files", maxFiles)
}

func manifests(name string) bool {
	return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" || kustomization(name)
}

func kustomization(name string) bool {
	switch path.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// findings are what the files of a repository say about the version.
type findings struct {
	t        *target
	versions []string // each once
	changed  string   // the file that changes manifests in a way that is not evaluated; empty: none
}

// read looks through the documents of a file. One that is no YAML, as templates are, has no HelmRelease.
func (f *findings) read(name string, text []byte) {
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if err != nil {
			return
		}
		document, err = yaml.ToJSON(document)
		var value any
		if err != nil || json.Unmarshal(document, &value) != nil {
			continue
		}
		switch value := value.(type) {
		case []any: // a JSON patch, unless it is nothing of Kubernetes
			f.changed = cmp.Or(f.changed, name)
		case map[string]any:
			if kustomization(name) && changes(value) {
				f.changed = cmp.Or(f.changed, name)
			}
			f.release(&unstructured.Unstructured{Object: value})
		}
	}
}

// changes tells whether a kustomization.yaml changes manifests otherwise than by files with a part of each, which are found
// as the manifests themselves are.
func changes(kustomization map[string]any) bool {
	for _, field := range []string{"components", "patchesJson6902", "replacements", "transformers"} {
		if kustomization[field] != nil {
			return true
		}
	}
	patches, _ := kustomization["patches"].([]any)
	for _, one := range patches {
		if fields, _ := one.(map[string]any); fields["patch"] != nil {
			return true
		}
	}
	merged, _ := kustomization["patchesStrategicMerge"].([]any)
	for _, one := range merged {
		if text, _ := one.(string); strings.Contains(text, "\n") {
			return true
		}
	}
	return false
}

// release notes the version of a manifest if it is of the HelmRelease.
func (f *findings) release(object *unstructured.Unstructured) {
	namespace := textOf(object, "metadata", "namespace")
	if object.GetKind() != "HelmRelease" || textOf(object, "metadata", "name") != f.t.o.Name || namespace != "" && namespace != f.t.client.Namespace() {
		return
	}
	if version := f.t.value(object); version != "" && (len(f.versions) == 0 || f.versions[0] != version) {
		f.versions = append(f.versions, version)
	}
}

// version is the one that all files agree on.
func (f *findings) version() (string, error) {
	t := f.t
	switch {
	case f.changed != "":
		return "", adg.Errorf(adg.Invalid, "%s changes manifests in a way that adg does not evaluate: use files with a part of each manifest", t.client.Scrub(f.changed))
	case len(f.versions) == 0:
		return "", adg.Errorf(adg.NotFound, "no file of the Kustomization's path has the HelmRelease %s with the field %s", t.o.Name, t.o.Field)
	case len(f.versions) > 1:
		return "", adg.Errorf(adg.Invalid, "it has the HelmRelease %s twice, with %s and %s", t.o.Name, t.client.Scrub(f.versions[0]), t.client.Scrub(f.versions[1]))
	}
	if err := adg.ValidVersion(f.versions[0]); err != nil {
		return "", adg.Errorf(adg.Invalid, "%s of the HelmRelease %s is to be filled in: %s", t.o.Field, t.o.Name, t.client.Scrub(f.versions[0]))
	}
	return f.versions[0], nil
}
