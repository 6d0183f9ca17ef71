package intake

import (
	"crypto/hmac"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

var gitHubEvents = []string{"deployment", "release", "workflow_run", "push"}

// gitHubEvent is what matters of the four events.
type gitHubEvent struct {
	Action     string           `json:"action"`
	Repository gitHubRepository `json:"repository"`
	Sender     struct {
		Login string `json:"login"`
	} `json:"sender"`
	Deployment struct {
		ID          int64  `json:"id"`
		SHA         string `json:"sha"`
		Ref         string `json:"ref"`
		Environment string `json:"environment"`
	} `json:"deployment"`
	Release struct {
		ID         int64  `json:"id"`
		TagName    string `json:"tag_name"`
		Draft      bool   `json:"draft"`
		Prerelease bool   `json:"prerelease"`
	} `json:"release"`
	WorkflowRun struct {
		ID             int64            `json:"id"`
		Name           string           `json:"name"`
		HeadBranch     string           `json:"head_branch"`
		HeadSHA        string           `json:"head_sha"`
		Event          string           `json:"event"`
		Conclusion     string           `json:"conclusion"`
		HeadRepository gitHubRepository `json:"head_repository"`
	} `json:"workflow_run"`
	Ref        string `json:"ref"`
	After      string `json:"after"`
	Created    bool   `json:"created"`
	Deleted    bool   `json:"deleted"`
	HeadCommit struct {
		ID string `json:"id"`
	} `json:"head_commit"`
}

type gitHubRepository struct {
	FullName string `json:"full_name"`
}

// gitHub checks the signature before it looks at anything else. The delivery's id is not covered by the signature, so
// the body is remembered beside it.
func (w Webhook) gitHub(header http.Header, body []byte) (Announcement, []string, bool, error) {
	signature, err := single(header, "X-Hub-Signature-256")
	if err != nil {
		return Announcement{}, nil, false, err
	}
	if !hmac.Equal([]byte(signature), []byte("sha256="+hmacHex(w.Secret, body))) {
		return Announcement{}, nil, false, errForged
	}
	kind, err := single(header, "X-GitHub-Event")
	if err != nil {
		return Announcement{}, nil, false, err
	}
	delivery, err := single(header, "X-GitHub-Delivery")
	if err != nil || !deliveryID.MatchString(delivery) {
		return Announcement{}, nil, false, adg.Errorf(adg.Invalid, "the header X-GitHub-Delivery holds no id")
	}
	if !slices.Contains(gitHubEvents, kind) {
		return Announcement{}, nil, false, nil
	}
	var e gitHubEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return Announcement{}, nil, false, adg.Errorf(adg.Invalid, "the event is no JSON as GitHub sends it (does the webhook send application/json?)")
	}
	for _, r := range w.Rules {
		if r.Event == kind && r.Repository == e.Repository.FullName {
			if a, found := e.announce(r); found {
				return a, []string{delivery, digest(body)}, true, nil
			}
		}
	}
	return Announcement{}, nil, false, nil
}

func (e gitHubEvent) announce(r Rule) (Announcement, bool) {
	switch r.Event {
	case "deployment":
		d := e.Deployment
		from := r.From
		if from == "" {
			from = r.Environment
		}
		return r.announce(KindGitHub, versionOf(d.Ref, d.SHA), d.SHA, d.Ref, e.Sender.Login, number(d.ID)),
			(e.Action == "" || e.Action == "created") && d.Environment == from
	case "release":
		l := e.Release
		return r.announce(KindGitHub, l.TagName, "", "refs/tags/"+l.TagName, e.Sender.Login, number(l.ID)),
			e.Action == "published" && !l.Draft && !l.Prerelease
	case "workflow_run":
		// A run for a pull request names the branch of its author, who may have called it like one of ours.
		run := e.WorkflowRun
		ours := run.HeadRepository.FullName == e.Repository.FullName && !strings.HasPrefix(run.Event, "pull_request")
		return r.announce(KindGitHub, run.HeadSHA, run.HeadSHA, "refs/heads/"+run.HeadBranch, e.Sender.Login, number(run.ID)),
			e.Action == "completed" && run.Conclusion == "success" && run.Name == r.Workflow && ours
	case "push":
		tag, isTag := strings.CutPrefix(e.Ref, "refs/tags/")
		return r.announce(KindGitHub, tag, e.HeadCommit.ID, e.Ref, e.Sender.Login, e.Ref+" "+e.After), isTag && e.Created && !e.Deleted
	}
	return Announcement{}, false
}

// versionOf is the ref where it can be a version, and the commit otherwise.
func versionOf(ref, commit string) string {
	short := strings.TrimPrefix(ref, "refs/tags/")
	if adg.ValidVersion(short) == nil {
		return short
	}
	return commit
}

func number(id int64) string { return strconv.FormatInt(id, 10) }
