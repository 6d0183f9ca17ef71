package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

var gitLabEvents = []string{"deployment", "pipeline", "release", "tag_push"}

// gitLabEvent is what matters of the four events.
type gitLabEvent struct {
	Kind    string `json:"object_kind"`
	Project struct {
		Path string `json:"path_with_namespace"`
	} `json:"project"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Username     string          `json:"user_username"` // of tag_push
	Ref          string          `json:"ref"`
	Before       string          `json:"before"`
	After        string          `json:"after"`
	CheckoutSHA  string          `json:"checkout_sha"`
	Status       string          `json:"status"`
	DeploymentID int64           `json:"deployment_id"`
	Environment  string          `json:"environment"`
	ShortSHA     string          `json:"short_sha"`
	Action       string          `json:"action"`
	Tag          string          `json:"tag"`
	ID           int64           `json:"id"`
	MergeRequest json.RawMessage `json:"merge_request"`
	Commit       struct {
		ID string `json:"id"`
	} `json:"commit"`
	Attributes struct {
		ID     int64  `json:"id"`
		Ref    string `json:"ref"`
		Tag    bool   `json:"tag"`
		SHA    string `json:"sha"`
		Status string `json:"status"`
		Source string `json:"source"`
	} `json:"object_attributes"`
}

// gitLab compares the token in constant time. GitLab signs nothing, so its word is worth what the connection is: the
// body is remembered beside the event's id.
func (w Webhook) gitLab(header http.Header, body []byte) (Announcement, []string, bool, error) {
	token, err := single(header, "X-Gitlab-Token")
	if err != nil {
		return Announcement{}, nil, false, err
	}
	given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(w.Secret.Reveal()))
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return Announcement{}, nil, false, errForged
	}
	event, err := single(header, "X-Gitlab-Event-UUID")
	if err != nil || !deliveryID.MatchString(event) {
		return Announcement{}, nil, false, adg.Errorf(adg.Invalid, "the header X-Gitlab-Event-UUID holds no id")
	}
	var kind struct {
		Kind string `json:"object_kind"`
	}
	if err := json.Unmarshal(body, &kind); err != nil {
		return Announcement{}, nil, false, adg.Errorf(adg.Invalid, "the event is no JSON as GitLab sends it")
	}
	if !slices.Contains(gitLabEvents, kind.Kind) { // others have fields of the same names with other types
		return Announcement{}, nil, false, nil
	}
	var e gitLabEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return Announcement{}, nil, false, adg.Errorf(adg.Invalid, "the event is not as GitLab sends it: %w", err)
	}
	for _, r := range w.Rules {
		if r.Event == e.Kind && r.Repository == e.Project.Path {
			if a, found := e.announce(r); found {
				return a, []string{event, digest(body)}, true, nil
			}
		}
	}
	return Announcement{}, nil, false, nil
}

func (e gitLabEvent) announce(r Rule) (Announcement, bool) {
	switch r.Event {
	case "deployment": // of which the job has succeeded: what it made is there
		from := r.From
		if from == "" {
			from = r.Environment
		}
		return r.announce(KindGitLab, versionOf(e.Ref, e.ShortSHA), e.ShortSHA, e.Ref, e.User.Username, number(e.DeploymentID)),
			e.Status == "success" && e.Environment == from
	case "pipeline":
		p := e.Attributes
		version, ref := p.SHA, "refs/heads/"+p.Ref
		if p.Tag {
			version, ref = p.Ref, "refs/tags/"+p.Ref
		}
		// A pipeline for a merge request names the branch of its author, who may have called it like one of ours.
		foreign := strings.Contains(p.Source, "merge_request") || strings.Contains(p.Source, "pull_request") ||
			len(e.MergeRequest) > 0 && string(e.MergeRequest) != "null"
		return r.announce(KindGitLab, version, p.SHA, ref, e.User.Username, number(p.ID)), p.Status == "success" && !foreign
	case "release":
		return r.announce(KindGitLab, e.Tag, e.Commit.ID, "refs/tags/"+e.Tag, e.User.Username, number(e.ID)), e.Action == "create"
	case "tag_push":
		tag, isTag := strings.CutPrefix(e.Ref, "refs/tags/")
		created := strings.Trim(e.Before, "0") == "" && strings.Trim(e.After, "0") != ""
		return r.announce(KindGitLab, tag, e.CheckoutSHA, e.Ref, e.Username, e.Ref+" "+e.After), isTag && created
	}
	return Announcement{}, false
}
