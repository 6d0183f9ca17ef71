package adg

import (
	"regexp"
	"time"
)

// Release is one version of a service.
type Release struct {
	Service  string `json:"service"`
	Version  string `json:"version"`
	Artifact string `json:"artifact,omitempty"` // what is run: a digest, an image, a chart, a path
	Config   string `json:"config,omitempty"`   // revision of its configuration
	Commit   string `json:"commit,omitempty"`
	Schema   string `json:"schema,omitempty"` // revision of the database schema that it needs
}

// Identity is what makes two releases the same one: the artifact, or where none is known the version, with the
// configuration's revision.
func (r Release) Identity() string {
	id := r.Artifact
	if id == "" {
		id = r.Version
	}
	if r.Config != "" {
		id += "+config." + r.Config
	}
	return id
}

// The alphabets are strict because these words end up in queries, commands, file names and web pages.
var (
	nameAlphabet     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	versionAlphabet  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	unitWord         = regexp.MustCompile(`^[\pL\pN%/°·*^.-]{0,16}$`)
	artifactAlphabet = regexp.MustCompile(`^[A-Za-z0-9/.][A-Za-z0-9._+@:/-]{0,511}$`)
)

// ValidName refuses what is not a name of a service, an environment, a check or a driver's instance.
func ValidName(what, name string) error {
	if !nameAlphabet.MatchString(name) {
		return Errorf(Invalid, "%s %q: use 1 to 63 letters, digits, '.', '_' or '-', starting and ending with a letter or digit", what, name)
	}
	return nil
}

// ValidVersion refuses what is not a version.
func ValidVersion(version string) error {
	if !versionAlphabet.MatchString(version) {
		return Errorf(Invalid, "version %q: use 1 to 128 letters, digits, '.', '_', '+' or '-', starting with a letter or digit", version)
	}
	return nil
}

// Validate reports the first thing that is wrong with the release.
func (r Release) Validate() error {
	if err := ValidName("service", r.Service); err != nil {
		return err
	}
	if err := ValidVersion(r.Version); err != nil {
		return err
	}
	if r.Artifact != "" && !artifactAlphabet.MatchString(r.Artifact) {
		return Errorf(Invalid, "artifact %q: use letters, digits and ._+@:/- only, at most 512", r.Artifact)
	}
	for _, word := range []string{r.Config, r.Commit, r.Schema} {
		if word != "" && !versionAlphabet.MatchString(word) {
			return Errorf(Invalid, "release %s: %q is no revision: use letters, digits, '.', '_', '+' or '-', at most 128", r.Version, word)
		}
	}
	return nil
}

// Standing is what experience says about a release in one environment.
type Standing uint8

// The standings. A release that nobody has verified is StandingUnknown and no rollback goes to it.
const (
	StandingUnknown Standing = iota
	StandingGood             // verified by a deployment, adopted after a healthy window, or marked good by a human
	StandingRolledBack
)

var standingNames = []string{"unknown", "good", "rolled_back"}

// String is the standing's name.
func (s Standing) String() string { return enumText(s, standingNames) }

// MarshalText writes the name.
func (s Standing) MarshalText() ([]byte, error) { return marshalEnum(s, "standing", standingNames) }

// UnmarshalText reads a name.
func (s *Standing) UnmarshalText(text []byte) error {
	return unmarshalEnum(s, "standing", standingNames, text)
}

// ReleaseRecord is a release's history in one environment.
type ReleaseRecord struct {
	Environment string    `json:"environment"`
	Release     Release   `json:"release"`
	Standing    Standing  `json:"standing"`
	Since       time.Time `json:"since"`
	Deployment  string    `json:"deployment,omitempty"` // the deployment that the standing comes from
	Why         string    `json:"why,omitempty"`
}

// ReleaseHold keeps automation from deploying a release until a human lifts the hold or it expires. It is on the
// release's Identity: other releases of the service may deploy.
type ReleaseHold struct {
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	Identity    string    `json:"identity"`
	Reason      string    `json:"reason"`
	Actor       string    `json:"actor"` // who put it: a person, or adg
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until,omitzero"`       // zero: until lifted
	Deployment  string    `json:"deployment,omitempty"` // the deployment that put it
	Release     Release   `json:"release,omitzero"`     // with Deployment: the release
	Suspended   string    `json:"suspended,omitempty"`  // what its target kept from bringing the release back then
}
