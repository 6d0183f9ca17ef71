package intake

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/cloudevent"
	"github.com/deployguardian/adg/internal/remote"
)

// SignatureHeader carries the signature of a CloudEvent: t=UNIX,v1=HEX, where HEX is an HMAC-SHA256 with the secret over
// "UNIX.body".
const SignatureHeader = remote.SignatureHeader

// MaxBody bounds the body of a webhook, in bytes. Whoever reads it from the network stops there.
const MaxBody = 2 << 20

// The kinds of webhooks.
const (
	KindCloudEvents = "cloudevents"
	KindGitHub      = "github"
	KindGitLab      = "gitlab"
)

// Once remembers what came in, so that it counts once.
type Once interface {
	// Once tells whether the id is new among those of its kind, and remembers it until then. Of several calls at the same
	// time for the same id one is the first.
	Once(ctx context.Context, kind, id string, until time.Time) (first bool, err error)
}

// Webhook is what one secret opens.
type Webhook struct {
	Kind    string     `yaml:"kind" doc:"Who sends: cloudevents, github or gitlab."`
	Secret  adg.Secret `yaml:"secret" doc:"What the sender proves itself with, of 16 bytes at least."`
	Before  adg.Secret `yaml:"before" doc:"The secret before this one, which is still taken."`
	Binding Binding    `yaml:"binding" doc:"What may be announced with the secret."`
	Type    string     `yaml:"type" doc:"Type of the CloudEvents; empty: io.github.deployguardian.adg.announce.v1."`
	Rules   []Rule     `yaml:"rules" doc:"Which events of the forge announce what; the first that fits counts."`
}

// Rule says what an event of a forge announces.
type Rule struct {
	Event       string `yaml:"event" doc:"GitHub: deployment, release, workflow_run or push. GitLab: deployment, pipeline, release or tag_push."`
	Repository  string `yaml:"repository" doc:"Repository that it has to come from, as owner/name."`
	Workflow    string `yaml:"workflow" doc:"Name of the workflow that has to have succeeded, for workflow_run."`
	From        string `yaml:"from" doc:"Environment that the forge's deployment names; empty: the same as environment."`
	Service     string `yaml:"service" doc:"Service that is announced."`
	Environment string `yaml:"environment" doc:"Environment that is announced."`
	Artifact    string `yaml:"artifact" doc:"What is run, with {version} and {commit} for those of the event; empty: the policy knows."`
}

// Check reports every problem of the webhook at once.
func (w Webhook) Check() error {
	problems := []error{w.Binding.Check()}
	if len(w.Secret.Reveal()) < 16 || !w.Before.IsZero() && len(w.Before.Reveal()) < 16 {
		problems = append(problems, adg.Errorf(adg.Invalid, "secret: give one of at least 16 characters: whoever guesses it starts deployments"))
	}
	events, known := map[string][]string{KindCloudEvents: {}, KindGitHub: gitHubEvents, KindGitLab: gitLabEvents}[w.Kind]
	switch {
	case !known:
		problems = append(problems, adg.Errorf(adg.Invalid, "kind %q: use cloudevents, github or gitlab", excerpt(w.Kind)))
	case w.Kind == KindCloudEvents && len(w.Rules) > 0:
		problems = append(problems, adg.Errorf(adg.Invalid, "rules: CloudEvents say themselves what they announce"))
	case w.Kind != KindCloudEvents && len(w.Rules) == 0:
		problems = append(problems, adg.Errorf(adg.Invalid, "rules: say which events announce what"))
	}
	for i, r := range w.Rules {
		if err := r.check(events); err != nil {
			problems = append(problems, fmt.Errorf("rules[%d]: %w", i, err))
		}
	}
	return errors.Join(problems...)
}

// Admit makes an announcement of a webhook's request, of which now is the time. False without an error: the request is
// authentic and announces nothing. Errors: Unauthorized for what proves nothing or is outside of the binding, Conflict
// for a repeat, Invalid for what is malformed; Once's errors as they are. A request counts as used once Admit returned
// an announcement for it.
func (w Webhook) Admit(ctx context.Context, now time.Time, header http.Header, body []byte, once Once) (Announcement, bool, error) {
	if len(body) > MaxBody {
		return Announcement{}, false, adg.Errorf(adg.Invalid, "the request has more than %d bytes", MaxBody)
	}
	a, ids, found, err := w.read(now, header, body)
	if errors.Is(err, errForged) && !w.Before.IsZero() {
		w.Secret = w.Before
		a, ids, found, err = w.read(now, header, body)
	}
	if err != nil || !found {
		return Announcement{}, false, err
	}
	if err := a.Validate(); err != nil {
		return Announcement{}, false, err
	}
	if err := w.Binding.Allows(a); err != nil {
		return Announcement{}, false, err
	}
	for _, id := range ids {
		first, err := once.Once(ctx, w.Kind, id, now.Add(remembered))
		if err != nil {
			return Announcement{}, false, fmt.Errorf("checking whether the request is a repeat: %w", err)
		}
		if !first {
			return Announcement{}, false, adg.Errorf(adg.Conflict, "this request was made before")
		}
	}
	return a, true, nil
}

// Private

const (
	tolerance  = 5 * time.Minute     // between the sender's clock and ours
	remembered = 30 * 24 * time.Hour // how long a request is known as a repeat
)

var (
	deliveryID   = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)
	repository   = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)
	placeholders = strings.NewReplacer("{version}", "v", "{commit}", "c")
	errForged    = adg.Errorf(adg.Unauthorized, "the request does not prove that it comes from who knows the secret")
)

func (r Rule) check(events []string) error {
	var problems []error
	known := false
	for _, e := range events {
		known = known || e == r.Event
	}
	if !known {
		problems = append(problems, adg.Errorf(adg.Invalid, "event %q: use one of %s", excerpt(r.Event), strings.Join(events, ", ")))
	}
	if !repository.MatchString(r.Repository) || len(r.Repository) > 255 {
		problems = append(problems, adg.Errorf(adg.Invalid, "repository %q: write it as owner/name", excerpt(r.Repository)))
	}
	if (r.Event == "workflow_run") != (r.Workflow != "") {
		problems = append(problems, adg.Errorf(adg.Invalid, "workflow: it belongs to workflow_run, which needs it"))
	}
	if r.From != "" && r.Event != "deployment" {
		problems = append(problems, adg.Errorf(adg.Invalid, "from: it belongs to deployment"))
	}
	a := Announcement{Service: r.Service, Environment: r.Environment, Version: "v", Artifact: placeholders.Replace(r.Artifact), IdempotencyKey: "k"}
	return errors.Join(append(problems, a.Validate())...)
}

// announce is what the rule makes of an event: ref is a full git ref, and object what the event is about in the
// repository, the same however often it is told.
func (r Rule) announce(kind, version, commit, ref, actor, object string) Announcement {
	return Announcement{
		Service: r.Service, Environment: r.Environment, Version: version, Commit: commit, Ref: ref, Actor: actor,
		Artifact: strings.NewReplacer("{version}", version, "{commit}", commit).Replace(r.Artifact),
		Reason:   r.Event + " of " + r.Repository, Origin: kind + ":" + r.Repository,
		IdempotencyKey: key(kind, r.Repository, r.Event, object, r.Service, r.Environment),
	}
}

// read makes an announcement of what proves that it comes from who knows the secret, and the ids that it counts once by.
func (w Webhook) read(now time.Time, header http.Header, body []byte) (a Announcement, ids []string, found bool, err error) {
	switch w.Kind {
	case KindCloudEvents:
		a, ids, err = w.cloudEvent(now, header, body)
		return a, ids, err == nil, err
	case KindGitHub:
		return w.gitHub(header, body)
	case KindGitLab:
		return w.gitLab(header, body)
	}
	return a, nil, false, adg.Errorf(adg.Internal, "webhook of kind %q", excerpt(w.Kind))
}

func (w Webhook) cloudEvent(now time.Time, header http.Header, body []byte) (Announcement, []string, error) {
	signature, err := single(header, SignatureHeader)
	if err != nil {
		return Announcement{}, nil, err
	}
	if err := w.signed(now, signature, body); err != nil {
		return Announcement{}, nil, err
	}
	e, err := cloudevent.Parse(body)
	if err != nil {
		return Announcement{}, nil, err
	}
	eventType := w.Type
	if eventType == "" {
		eventType = DefaultType
	}
	a, err := fromEvent(e, eventType)
	return a, []string{key("event", e.Source, e.ID)}, err
}

// signed checks t=UNIX,v1=HEX; several v1 may be given while a secret is replaced.
func (w Webhook) signed(now time.Time, signature string, body []byte) error {
	stamp, rest, found := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if !strings.HasPrefix(signature, "t=") || !found || err != nil || strconv.FormatInt(unix, 10) != stamp {
		return adg.Errorf(adg.Unauthorized, "%s: write it as t=UNIX,v1=HEX", SignatureHeader)
	}
	at := time.Unix(unix, 0)
	_, want, _ := strings.Cut(remote.Sign(w.Secret.Reveal(), at, body), ",")
	valid := false
	for i, given := range strings.Split(rest, ",") {
		if i == 4 {
			return adg.Errorf(adg.Unauthorized, "%s: more than 4 signatures", SignatureHeader)
		}
		valid = hmac.Equal([]byte(given), []byte(want)) || valid
	}
	switch {
	case !valid:
		return errForged
	case at.Before(now.Add(-tolerance)) || at.After(now.Add(tolerance)):
		return adg.Advised(adg.Errorf(adg.Unauthorized, "the request was signed more than %s from now", adg.Short(tolerance)), "check both clocks")
	}
	return nil
}

// hmacHex is the HMAC-SHA256 of the body in hexadecimal.
func hmacHex(secret adg.Secret, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// digest stands for a body among the ids: what is not covered by the signature cannot make it look new.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// single is the value of a header that has to be there once.
func single(header http.Header, name string) (string, error) {
	if values := header.Values(name); len(values) == 1 && values[0] != "" && len(values[0]) <= 1024 {
		return values[0], nil
	}
	return "", adg.Errorf(adg.Unauthorized, "the header %s has to be there, once", name)
}
