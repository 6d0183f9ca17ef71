package learn

import (
	"path"
	"slices"
	"strings"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// pin is one version that a file names.
type pin struct {
	noun    string // image tag, chart version, revision
	name    string // whose: of an image, a chart, an application; empty where only the file's place tells
	version string
}

// maxPins bounds the versions of a file, maxLevels how deep Helm values are looked at.
const (
	maxPins   = 500
	maxLevels = 12
)

// readPins finds the versions that a file pins, each name once. What is no YAML, or a template of it, is an error.
func readPins(file string, text []byte) ([]pin, error) {
	docs, err := manifest.Read(file, text)
	if err != nil {
		return nil, err
	}
	f := &finder{}
	for _, doc := range docs {
		f.document(path.Base(file), doc)
	}
	return f.pins, nil
}

type finder struct{ pins []pin }

func (f *finder) add(noun, name, version string) {
	name, version = clean(name), clean(version)
	known := slices.ContainsFunc(f.pins, func(p pin) bool { return p.name == name && p.noun == noun })
	if version == "" || !isVersion(version) || known || len(f.pins) >= maxPins {
		return
	}
	f.pins = append(f.pins, pin{noun, name, version})
}

func (f *finder) document(file string, doc *manifest.Node) {
	spec := doc.Get("spec")
	name := doc.Get("metadata", "name").Text()
	switch kind := doc.Get("kind").Text(); kind {
	case "Kustomization", "Component":
		f.kustomization(doc)
	case "Application":
		f.application(name, spec)
	case "ApplicationSet":
		f.application(strings.Trim(name, "-"), spec.Get("template", "spec"))
	case "HelmRelease":
		f.add("chart version", name, spec.Get("chart", "spec", "version").Text())
		f.values(name, spec.Get("values"), 0)
	case "Pod":
		f.pod(name, spec)
	case "CronJob":
		f.pod(name, spec.Get("jobTemplate", "spec", "template", "spec"))
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Rollout":
		f.pod(name, spec.Get("template", "spec"))
	case "":
		switch {
		case strings.HasPrefix(file, "kustomization."):
			f.kustomization(doc)
		case file == "Chart.yaml":
			for _, d := range doc.Get("dependencies").Items() {
				f.add("chart version", d.Get("name").Text(), d.Get("version").Text())
			}
		default:
			f.values("", doc, 0)
		}
	}
}

func (f *finder) kustomization(doc *manifest.Node) {
	for _, image := range doc.Get("images").Items() {
		name := repositoryName(first(image.Get("newName").Text(), image.Get("name").Text()))
		f.add("image tag", name, first(image.Get("newTag").Text(), digestVersion(image.Get("digest").Text())))
	}
	for _, chart := range doc.Get("helmCharts").Items() {
		f.add("chart version", first(chart.Get("releaseName").Text(), chart.Get("name").Text()), chart.Get("version").Text())
	}
}

func (f *finder) application(name string, spec *manifest.Node) {
	for _, source := range append([]*manifest.Node{spec.Get("source")}, spec.Get("sources").Items()...) {
		noun := "revision"
		if source.Get("chart") != nil {
			noun = "chart version"
		}
		f.add(noun, name, source.Get("targetRevision").Text())
		for _, image := range source.Get("kustomize", "images").Items() {
			f.image("", image.Text())
		}
		for _, p := range source.Get("helm", "parameters").Items() {
			if parameter := p.Get("name").Text(); parameter == "image.tag" || strings.HasSuffix(parameter, ".image.tag") {
				f.add("image tag", strings.TrimSuffix(strings.TrimSuffix(parameter, "image.tag"), "."), p.Get("value").Text())
			}
		}
		f.values(name, source.Get("helm", "valuesObject"), 0)
	}
}

// pod takes the first container, or the one named as the workload, for the service; the others go by their own names.
func (f *finder) pod(name string, spec *manifest.Node) {
	containers := spec.Get("containers").Items()
	main := 0
	for i, c := range containers {
		if c.Get("name").Text() == name {
			main = i
		}
	}
	for i, c := range containers {
		if i == main {
			f.image(name, c.Get("image").Text())
		} else {
			f.image(name+"."+c.Get("name").Text(), c.Get("image").Text())
		}
	}
}

// image reads repository:tag@digest; an empty name is that of the repository.
func (f *finder) image(name, reference string) {
	repository, tag := splitImage(reference)
	f.add("image tag", first(name, repositoryName(repository)), tag)
}

// values looks through Helm values for image.tag, image: repository:tag, imageTag and image_tag.
func (f *finder) values(name string, node *manifest.Node, level int) {
	if node == nil || level > maxLevels {
		return
	}
	for _, field := range node.Fields() {
		value := field.Value
		switch strings.ToLower(field.Name) {
		case "image":
			if value.Kind == manifest.Mapping {
				f.add("image tag", first(name, repositoryName(value.Get("repository").Text())), first(value.Get("tag").Text(), digestVersion(value.Get("digest").Text())))
			} else if strings.Contains(value.Text(), ":") {
				f.image(name, value.Text())
			}
		case "imagetag", "image_tag":
			f.add("image tag", name, value.Text())
		case "releases": // of helmfile
			for _, release := range value.Items() {
				f.add("chart version", release.Get("name").Text(), release.Get("version").Text())
			}
		default:
			if value.Kind == manifest.Mapping {
				f.values(field.Name, value, level+1)
			}
		}
	}
}

func splitImage(reference string) (repository, tag string) {
	if strings.ContainsAny(reference, "{}$ ") {
		return "", ""
	}
	repository, digest, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository, tag = repository[:colon], repository[colon+1:]
	}
	return repository, first(tag, digestVersion(digest))
}

// digestVersion makes a short word of a digest, in the alphabet of versions.
func digestVersion(digest string) string {
	algorithm, hash, found := strings.Cut(digest, ":")
	if !found || len(hash) < 16 {
		return ""
	}
	return algorithm + "-" + hash[:16]
}

func repositoryName(repository string) string {
	if repository == "" {
		return ""
	}
	return path.Base(repository)
}

func first(words ...string) string {
	for _, word := range words {
		if word != "" {
			return word
		}
	}
	return ""
}
