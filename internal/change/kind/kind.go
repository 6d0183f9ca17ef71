// Package kind tells what a file of a repository is for: source, test, migration, infrastructure, something that a tool
// wrote. It goes by path and by first lines, with the conventions of GitHub's linguist, and by .gitattributes.
package kind

import (
	"path"
	"regexp"
	"strings"
)

// Kind is what a file is for.
type Kind uint8

// The kinds. Source is what nothing else fits.
const (
	Source Kind = iota
	Test
	Docs
	Migration
	Configuration
	Infrastructure
	Pipeline  // continuous integration and delivery
	Manifest  // the dependencies that people ask for
	Lock      // the dependencies that a tool resolved
	Generated // written by a tool from something else in the repository
	Vendored  // copied from elsewhere
	Submodule // a pointer to a commit of another repository
)

// Counted tells whether people wrote the file, so that its lines say something about the change.
func (k Kind) Counted() bool { return k != Lock && k != Generated && k != Vendored && k != Submodule }

// Of tells a file's kind by its path, with slashes and relative to the repository.
func Of(name string) Kind {
	dir, base := path.Split(strings.ToLower(name))
	folders := strings.FieldsFunc(dir, func(r rune) bool { return r == '/' })
	switch {
	case anyOf(folders, vendored):
		return Vendored
	case generatedName.MatchString(base):
		return Generated
	case locks[base] || strings.HasSuffix(base, ".lockfile"):
		return Lock
	case manifests[base] || manifestName.MatchString(base):
		return Manifest
	case anyOf(folders, tests) || testName.MatchString(base) || testClass.MatchString(path.Base(name)):
		return Test
	case isMigration(dir, base, folders):
		return Migration
	case isPipeline(dir, base):
		return Pipeline
	case anyOf(folders, infrastructure) || infrastructureName.MatchString(base):
		return Infrastructure
	case docsName.MatchString(base):
		return Docs
	case configurationName.MatchString(base):
		return Configuration
	case anyOf(folders, docs):
		return Docs
	case anyOf(folders, configuration):
		return Configuration
	default:
		return Source
	}
}

// Refine corrects what Of said with the first lines of the file: a header that names a generator, a Kubernetes object.
func Refine(k Kind, name string, text []byte) Kind {
	head := text[:min(len(text), 4096)]
	switch {
	case !k.Counted():
		return k
	case generatedHeader.Match(head):
		return Generated
	case k == Configuration && isYAML(name) && kubernetesVersion.Match(head) && kubernetesKind.Match(head):
		return Infrastructure
	default:
		return k
	}
}

// Private

func anyOf(folders []string, words map[string]bool) bool {
	for _, f := range folders {
		if words[f] {
			return true
		}
	}
	return false
}

func isMigration(dir, base string, folders []string) bool {
	return anyOf(folders, migrations) || migrationName.MatchString(base) || strings.Contains("/"+dir, "/alembic/versions/") ||
		strings.Contains("/"+dir, "/db/changelog/")
}

func isPipeline(dir, base string) bool {
	return pipelineName.MatchString(base) || strings.HasPrefix(dir, ".github/workflows/") || strings.HasPrefix(dir, ".github/actions/") ||
		strings.HasPrefix(dir, ".circleci/") || strings.HasPrefix(dir, ".buildkite/") || strings.HasPrefix(dir, ".gitlab/ci/") ||
		strings.HasPrefix(dir, ".tekton/")
}

func isYAML(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

var (
	vendored       = words("vendor vendors node_modules third_party third-party thirdparty 3rdparty bower_components godeps pods .yarn site-packages")
	tests          = words("test tests __tests__ spec specs testdata e2e fixtures __snapshots__ __mocks__ cypress")
	docs           = words("doc docs documentation")
	migrations     = words("migration migrations migrate")
	configuration  = words("config configs conf configuration settings")
	infrastructure = words("terraform helm charts k8s kubernetes kustomize ansible playbooks pulumi infra infrastructure helmfile.d .argocd argocd")
	locks          = words(`go.sum go.work.sum package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb poetry.lock uv.lock
		pipfile.lock pdm.lock gemfile.lock cargo.lock composer.lock packages.lock.json mix.lock pubspec.lock podfile.lock flake.lock
		.terraform.lock.hcl chart.lock`)
	manifests = words(`go.mod go.work package.json pipfile pyproject.toml setup.py setup.cfg gemfile cargo.toml pom.xml build.gradle
		build.gradle.kts composer.json mix.exs pubspec.yaml podfile libs.versions.toml directory.packages.props`)

	manifestName       = regexp.MustCompile(`^(requirements|constraints)[\w.-]*\.(txt|in)$|\.(csproj|fsproj|vbproj|gemspec)$`)
	generatedName      = regexp.MustCompile(`\.pb\.(go|cc|h|gw\.go)$|_pb2(_grpc)?\.pyi?$|_grpc\.pb\.go$|\.(g|freezed)\.dart$|\.designer\.(cs|vb)$|[._]generated\.|^zz_generated|\.min\.(js|css)$|\.(js|css)\.map$|^bindata\.go$`)
	testName           = regexp.MustCompile(`_test\.\w+$|^test_.*\.py$|_spec\.rb$|\.(test|spec|e2e|cy)\.[cm]?[jt]sx?$|^conftest\.py$|\.feature$|\.snap$`)
	testClass          = regexp.MustCompile(`(Test|Tests|TestCase|IT|Spec)\.(java|kt|cs|scala|groovy|php|swift)$`)
	migrationName      = regexp.MustCompile(`^[vur]\d[\d._]*__.*\.(sql|java|kt)$|\.(up|down)\.sql$|^(changelog|liquibase).*\.(xml|ya?ml|sql)$`)
	pipelineName       = regexp.MustCompile(`^(jenkinsfile.*|\.gitlab-ci.*\.ya?ml|\.travis\.ya?ml|azure-pipelines.*\.ya?ml|bitbucket-pipelines\.ya?ml|\.drone\.ya?ml|cloudbuild\.ya?ml|appveyor\.ya?ml|buildspec\.ya?ml)$`)
	infrastructureName = regexp.MustCompile(`\.(tf|tfvars|hcl|bicep|nomad)$|^(dockerfile|containerfile)([.-].*)?$|\.dockerfile$|^(docker-)?compose.*\.ya?ml$|^chart\.ya?ml$|^helmfile.*\.ya?ml$|^kustomization\.ya?ml$|^skaffold.*\.ya?ml$|^serverless\.ya?ml$|^pulumi.*\.ya?ml$|^cdk\.json$|^procfile$|^vagrantfile$|\.dockerignore$`)
	docsName           = regexp.MustCompile(`\.(md|mdx|rst|adoc|asciidoc|txt)$|^(license|licence|notice|authors|contributors|codeowners|changelog|readme)$`)
	configurationName  = regexp.MustCompile(`\.(ya?ml|toml|ini|conf|cfg|properties|env|json|json5|jsonc|plist)$|^\.env(\..*)?$|^\.[\w-]+rc$|^\.editorconfig$`)
	generatedHeader    = regexp.MustCompile(`(?im)^\W{0,8}(code generated .*do not edit|this file (was|is) (auto-?matically )?(auto-?)?generated|@generated\b|auto-?generated( file)?[,.:;!]? (by|do not|please)|generated by the protocol buffer compiler|do not edit.*generated)`)
	kubernetesVersion  = regexp.MustCompile(`(?m)^apiVersion:`)
	kubernetesKind     = regexp.MustCompile(`(?m)^kind:`)
)
