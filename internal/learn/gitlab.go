package learn

import (
	"encoding/json"
	"io"
	"strings"
)

// ReadGitLab reads a history from answers of GitLab's API, in any order and any number of files, as glab api
// --paginate prints them: projects/…/deployments and projects/…/releases. A deployment fails that ends as failed, or
// that an earlier commit is deployed after. Releases count where there are no deployments.
func ReadGitLab(o Forge, answers ...io.Reader) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
	o.Rules = o.Rules.WithDefaults()
	r := &gitlabReading{options: o, attempts: attempts{noun: "deployment"}, seen: map[string]bool{}}
	for _, answer := range answers {
		if err := eachObject(answer, r.object); err != nil {
			return History{}, err
		}
	}
	if len(r.attempts.all) == 0 {
		r.attempts.noun = "release"
		for _, g := range r.releases {
			r.release(g)
		}
	}
	return r.attempts.history(o)
}

// Private

type gitlabUser struct {
	Username string `json:"username"`
	Name     string `json:"name"`
}

type gitlabDeployment struct {
	ID          json.Number `json:"id"`
	Ref         string      `json:"ref"`
	SHA         string      `json:"sha"`
	Status      string      `json:"status"`
	CreatedAt   string      `json:"created_at"`
	UpdatedAt   string      `json:"updated_at"`
	FinishedAt  string      `json:"finished_at"`
	User        gitlabUser  `json:"user"`
	Environment struct {
		Name string `json:"name"`
		Tier string `json:"tier"`
	} `json:"environment"`
	Deployable struct {
		Tag        bool   `json:"tag"`
		FinishedAt string `json:"finished_at"`
		WebURL     string `json:"web_url"`
		Commit     struct {
			Message string `json:"message"`
			WebURL  string `json:"web_url"`
		} `json:"commit"`
	} `json:"deployable"`
}

type gitlabRelease struct {
	TagName     string     `json:"tag_name"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	CreatedAt   string     `json:"created_at"`
	ReleasedAt  string     `json:"released_at"`
	Upcoming    bool       `json:"upcoming_release"`
	Author      gitlabUser `json:"author"`
	Commit      struct {
		ID string `json:"id"`
	} `json:"commit"`
	Links struct {
		Self string `json:"self"`
	} `json:"_links"`
}

type gitlabReading struct {
	options  Forge
	attempts attempts
	releases []gitlabRelease
	seen     map[string]bool
}

func (r *gitlabReading) object(text []byte) error {
	var kind struct {
		TagName *string     `json:"tag_name"`
		SHA     string      `json:"sha"`
		ID      json.Number `json:"id"`
		Links   struct {
			Self string `json:"self"`
		} `json:"_links"`
	}
	if err := decode(text, &kind); err != nil {
		return err
	}
	switch {
	case kind.TagName != nil:
		var g gitlabRelease
		if err := decode(text, &g); err != nil {
			return err
		}
		if key := "release " + g.Links.Self + " " + g.TagName; r.first(key) {
			g.Description = cut(g.Description, maxMessage)
			r.releases = append(r.releases, g)
		}
	case kind.SHA != "":
		var d gitlabDeployment
		if err := decode(text, &d); err != nil {
			return err
		}
		if r.first("deployment " + d.ID.String() + " " + d.SHA) {
			r.deployment(d)
		}
	default:
		r.attempts.undated++
	}
	return nil
}

func (r *gitlabReading) first(key string) bool {
	if r.seen[key] {
		r.attempts.twice++
		return false
	}
	r.seen[key] = true
	return true
}

func (r *gitlabReading) deployment(d gitlabDeployment) {
	at := forgeTime(d.CreatedAt)
	if at.IsZero() {
		r.attempts.undated++
		return
	}
	if strings.HasPrefix(d.Environment.Name, "review/") && !r.options.Transient {
		r.attempts.transient++
		return
	}
	project := projectOfGitLab(first(d.Deployable.WebURL, d.Deployable.Commit.WebURL))
	text := readMessage(d.Deployable.Commit.Message)
	a := &attempt{id: d.ID.String(), state: d.Status, arrival: arrival{
		Deployment: Deployment{
			Service: clean(first(r.options.Service, project)), Environment: clean(first(d.Environment.Name, r.options.Environment)),
			To: versionOf(d.Ref, d.SHA, d.Deployable.Tag), ToCommit: clean(d.SHA), At: at, Actor: gitlabActor(r.options.Key, d.User),
		},
		fix: text.fix && !text.revert,
	}}
	switch d.Status {
	case "success":
		a.live = true
	case "failed":
		if a.failure = forgeTime(first(d.FinishedAt, d.Deployable.FinishedAt, d.UpdatedAt)); a.failure.IsZero() {
			a.failure = at
		}
	}
	r.attempts.all = append(r.attempts.all, a)
}

func (r *gitlabReading) release(g gitlabRelease) {
	at := forgeTime(first(g.ReleasedAt, g.CreatedAt))
	switch {
	case g.Upcoming || isPreRelease(g.TagName) && !r.options.PreReleases:
		r.attempts.before++
		return
	case at.IsZero() || g.TagName == "":
		r.attempts.undated++
		return
	}
	r.attempts.released(r.options, "", g.TagName, projectOfGitLab(g.Links.Self), g.Commit.ID, at, gitlabActor(r.options.Key, g.Author), g.Name+"\n"+g.Description)
}

// projectOfGitLab is the project's name in the address of one of its pages: what stands before /-/.
func projectOfGitLab(address string) string {
	before, _, found := strings.Cut(address, "/-/")
	if !found {
		return ""
	}
	return before[strings.LastIndexByte(before, '/')+1:]
}

// gitlabActor knows a person by the user name: the answers hold no address of theirs.
func gitlabActor(key []byte, u gitlabUser) string {
	return pseudonym(key, first(u.Username, u.Name), "")
}
