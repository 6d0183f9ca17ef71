package wire

import (
	"strings"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Release is one version of a service.
func Release(r adg.Release) *adgv1.Release {
	return &adgv1.Release{
		Service: text(r.Service), Version: text(r.Version), Artifact: text(r.Artifact), Config: text(r.Config),
		Commit: text(r.Commit), Schema: text(r.Schema), Identity: text(r.Identity()),
	}
}

// ReadRelease is the release that a caller means, validated. Its identity follows from the rest and is not read.
func ReadRelease(r *adgv1.Release) (adg.Release, error) {
	read := adg.Release{
		Service: r.GetService(), Version: r.GetVersion(), Artifact: r.GetArtifact(), Config: r.GetConfig(),
		Commit: r.GetCommit(), Schema: r.GetSchema(),
	}
	if r == nil {
		return read, Wrong("release", "name the release: its service and its version are necessary")
	}
	return read, InField("release"+wrongOf(read), read.Validate())
}

// ReleaseRecord is a release's standing. Whether a rollback would go there now, and the hold in force, are for the
// caller to set.
func ReleaseRecord(r adg.ReleaseRecord) *adgv1.ReleaseRecord {
	return &adgv1.ReleaseRecord{
		Environment: text(r.Environment), Release: Release(r.Release), Standing: standings.to(r.Standing),
		SinceTime: Timestamp(r.Since), Deployment: text(r.Deployment), Why: text(r.Why),
	}
}

// ReleaseHold is a hold on a release.
func ReleaseHold(h adg.ReleaseHold) *adgv1.ReleaseHold {
	return &adgv1.ReleaseHold{
		Service: text(h.Service), Environment: text(h.Environment), Identity: text(h.Identity), Reason: text(h.Reason),
		Actor: text(h.Actor), SinceTime: Timestamp(h.Since), UntilTime: Timestamp(h.Until), Etag: HoldEtag(h),
		Deployment: text(h.Deployment), Suspended: text(h.Suspended), Version: text(h.Release.Version),
	}
}

// ReadHold is the hold that a caller asks for. Who put it and since when is the server's to say.
func ReadHold(r *adgv1.CreateHoldRequest) (adg.ReleaseHold, error) {
	until, err := ReadTimestamp("until_time", r.GetUntilTime())
	h := adg.ReleaseHold{
		Service: r.GetService(), Environment: r.GetEnvironment(), Identity: r.GetIdentity(), Reason: r.GetReason(), Until: until,
	}
	if err == nil {
		err = InField("service", adg.ValidName("service", h.Service))
	}
	if err == nil {
		err = InField("environment", adg.ValidName("environment", h.Environment))
	}
	if err == nil && (h.Identity == "" || len(h.Identity) > maxIdentity) {
		err = Wrong("identity", "name the release that is put on hold by its identity, of at most %d bytes, as it is shown with the release", maxIdentity)
	}
	return h, err
}

// RecordKey names the release of a record.
func RecordKey(r adg.ReleaseRecord) adg.ReleaseKey {
	return adg.ReleaseKey{Service: r.Release.Service, Environment: r.Environment, Identity: r.Release.Identity()}
}

// HoldKey names the release that is on hold.
func HoldKey(h adg.ReleaseHold) adg.ReleaseKey {
	return adg.ReleaseKey{Service: h.Service, Environment: h.Environment, Identity: h.Identity}
}

// ReleaseToken is the token of the page that follows a release.
func ReleaseToken(request Listing, k adg.ReleaseKey) string {
	return PageToken(request, k.Service+"/"+k.Environment+"/"+k.Identity) // there is no '/' in names
}

// ReadReleaseToken is the release that the request's token stands for, empty for the first page.
func ReadReleaseToken(request Listing) (k adg.ReleaseKey, err error) {
	position, err := ReadPageToken(request)
	if parts := strings.SplitN(position, "/", 3); len(parts) == 3 {
		k = adg.ReleaseKey{Service: parts[0], Environment: parts[1], Identity: parts[2]}
	}
	return k, err
}

// Private

// wrongOf is the part of a release that is refused first.
func wrongOf(r adg.Release) string {
	whole := adg.Release{Service: "x", Version: "1"}
	for _, part := range []struct {
		name       string
		value, one *string
	}{
		{".service", &r.Service, &whole.Service}, {".version", &r.Version, &whole.Version}, {".artifact", &r.Artifact, &whole.Artifact},
		{".config", &r.Config, &whole.Config}, {".commit", &r.Commit, &whole.Commit}, {".schema", &r.Schema, &whole.Schema},
	} {
		if *part.one = *part.value; whole.Validate() != nil {
			return part.name
		}
	}
	return ""
}

// maxIdentity is how long the identity of a release can be: its artifact, and the revision of its configuration.
const maxIdentity = 512 + len("+config.") + 128
