package learn

import (
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/change/gitread"
)

// ReadGitHub reads a history from answers of GitHub's API, in any order and any number of files, as gh api --paginate
// prints them: repos/…/deployments, deployments/…/statuses and repos/…/releases. A deployment fails that ends in
// failure or error, or that an earlier commit is deployed after; inactive is none, GitHub marks so what makes way.
// Releases count where there are no deployments: each replaces the one before it.
func ReadGitHub(o Forge, answers ...io.Reader) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
	o.Rules = o.Rules.WithDefaults()
	r := &githubReading{options: o, attempts: attempts{noun: "deployment"}, deployments: map[string]*githubDeployment{}, releases: map[string]*githubRelease{}}
	for _, answer := range answers {
		if err := eachObject(answer, r.object); err != nil {
			return History{}, err
		}
	}
	return r.history()
}

// Private

type githubUser struct {
	Login string `json:"login"`
}

type githubDeployment struct {
	ID            json.Number    `json:"id"`
	URL           string         `json:"url"`
	SHA           string         `json:"sha"`
	Ref           string         `json:"ref"`
	Task          string         `json:"task"`
	Environment   string         `json:"environment"`
	Description   string         `json:"description"`
	Creator       githubUser     `json:"creator"`
	CreatedAt     string         `json:"created_at"`
	RepositoryURL string         `json:"repository_url"`
	Transient     bool           `json:"transient_environment"`
	Statuses      []githubStatus `json:"statuses"`       // where somebody put them together
	TagName       *string        `json:"tag_name"`       // only a release has one
	DeploymentURL string         `json:"deployment_url"` // only a status has one
	State         string         `json:"state"`
}

type githubStatus struct {
	URL           string `json:"url"`
	State         string `json:"state"`
	CreatedAt     string `json:"created_at"`
	DeploymentURL string `json:"deployment_url"`
}

type githubRelease struct {
	ID          json.Number `json:"id"`
	URL         string      `json:"url"`
	TagName     string      `json:"tag_name"`
	Target      string      `json:"target_commitish"`
	Name        string      `json:"name"`
	Body        string      `json:"body"`
	Draft       bool        `json:"draft"`
	PreRelease  bool        `json:"prerelease"`
	CreatedAt   string      `json:"created_at"`
	PublishedAt string      `json:"published_at"`
	Author      githubUser  `json:"author"`
}

type githubReading struct {
	options     Forge
	attempts    attempts
	deployments map[string]*githubDeployment // by address
	order       []string
	statuses    map[string][]githubStatus // by the address of their deployment
	releases    map[string]*githubRelease
	released    []string
}

func (r *githubReading) object(text []byte) error {
	var d githubDeployment
	if err := decode(text, &d); err != nil {
		return err
	}
	switch {
	case d.TagName != nil:
		var release githubRelease
		if err := decode(text, &release); err != nil {
			return err
		}
		release.Body = cut(release.Body, maxMessage)
		key := first(release.URL, release.ID.String(), release.TagName)
		if r.releases[key] != nil {
			r.attempts.twice++
			return nil
		}
		r.releases[key] = &release
		r.released = append(r.released, key)
	case d.DeploymentURL != "" && d.State != "":
		r.status(githubStatus{URL: d.URL, State: d.State, CreatedAt: d.CreatedAt, DeploymentURL: d.DeploymentURL})
	case d.SHA != "" || d.Environment != "":
		key := first(d.URL, d.ID.String())
		for _, s := range d.Statuses {
			s.DeploymentURL = key
			r.status(s)
		}
		d.Statuses = nil
		if r.deployments[key] != nil {
			r.attempts.twice++
			return nil
		}
		r.deployments[key] = &d
		r.order = append(r.order, key)
	default:
		r.attempts.undated++
	}
	return nil
}

func (r *githubReading) status(s githubStatus) {
	if r.statuses == nil {
		r.statuses = map[string][]githubStatus{}
	}
	if len(r.statuses[s.DeploymentURL]) < 1000 {
		r.statuses[s.DeploymentURL] = append(r.statuses[s.DeploymentURL], s)
	}
}

func (r *githubReading) history() (History, error) {
	for _, key := range r.order {
		r.deployment(key, r.deployments[key])
	}
	if len(r.order) == 0 {
		r.attempts.noun = "release"
		for _, key := range r.released {
			r.release(r.releases[key])
		}
	} else if len(r.statuses) == 0 {
		r.attempts.notes.add("the answers hold no states of deployments: each is taken for live (fetch deployments/…/statuses to know)")
	}
	return r.attempts.history(r.options)
}

func (r *githubReading) deployment(key string, d *githubDeployment) {
	at := forgeTime(d.CreatedAt)
	if at.IsZero() || d.SHA == "" {
		r.attempts.undated++
		return
	}
	if d.Transient && !r.options.Transient {
		r.attempts.transient++
		return
	}
	service := first(r.options.Service, projectOf(first(d.RepositoryURL, d.URL), "/repos/"))
	a := &attempt{id: key, arrival: arrival{Deployment: Deployment{
		Service: clean(service), Environment: clean(first(d.Environment, r.options.Environment)),
		To: versionOf(d.Ref, d.SHA, strings.HasPrefix(d.Ref, "refs/tags/")), ToCommit: clean(d.SHA), At: at,
		Actor: githubActor(r.options.Key, d.Creator),
	}}}
	text := readMessage(d.Description)
	a.fix, a.planned = text.fix && !text.revert, text.planned
	a.revert = text.revert || strings.Contains(strings.ToLower(d.Task), "rollback")
	a.judge(r.statuses[key], len(r.statuses) == 0)
	r.attempts.all = append(r.attempts.all, a)
}

// judge reads the states: the last that says how it ended counts, unless it was live before.
func (a *attempt) judge(statuses []githubStatus, none bool) {
	var succeeded, failed, last time.Time
	for _, s := range statuses {
		at := forgeTime(s.CreatedAt)
		if at.IsZero() {
			continue
		}
		if !at.Before(last) {
			a.state, last = s.State, at
		}
		switch s.State {
		case "success":
			if succeeded.IsZero() || at.Before(succeeded) {
				succeeded = at
			}
		case "failure", "error":
			if at.After(failed) {
				failed = at
			}
		case "inactive":
			a.live = true
		}
	}
	switch {
	case !succeeded.IsZero():
		a.live = true
		if failed.After(succeeded) {
			a.failure = failed
		}
	case !failed.IsZero():
		a.live, a.failure = false, failed
	case none:
		a.live = true
	}
}

func (r *githubReading) release(g *githubRelease) {
	at := forgeTime(first(g.PublishedAt, g.CreatedAt))
	switch {
	case g.Draft || g.PreRelease && !r.options.PreReleases:
		r.attempts.before++
		return
	case at.IsZero() || g.TagName == "":
		r.attempts.undated++
		return
	}
	commit := ""
	if gitread.IsObjectID(g.Target) {
		commit = g.Target
	}
	r.attempts.released(r.options, g.URL, g.TagName, projectOf(g.URL, "/repos/"), commit, at, githubActor(r.options.Key, g.Author), g.Name+"\n"+g.Body)
}

// released adds a release: a fix is a patch version whose notes speak of one.
func (s *attempts) released(o Forge, id, tag, project, commit string, at time.Time, actor, text string) {
	service, _ := splitTag(tag)
	s.all = append(s.all, &attempt{id: first(id, tag), live: true, arrival: arrival{
		Deployment: Deployment{
			Service: clean(first(o.Service, service, project)), Environment: clean(o.Environment), To: clean(tag), ToCommit: clean(commit), At: at, Actor: actor,
		},
		fix: readMessage(text).fix, behind: true,
	}})
}

// githubActor knows a person by the address that GitHub gives out for the login.
func githubActor(key []byte, u githubUser) string {
	if u.Login == "" {
		return ""
	}
	return pseudonym(key, "", u.Login+"@users.noreply.github.com")
}
