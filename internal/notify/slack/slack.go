// Package slack tells facts to a Slack channel through an incoming webhook.
package slack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are the notifier's settings.
type Options struct {
	Webhook        adg.Secret `yaml:"webhook" doc:"Address of the incoming webhook; it is a secret, because whoever has it can post."`
	Mention        string     `yaml:"mention" doc:"Who is called when a human is needed: here, channel, or an id of a user (U…) or a group (S…)."`
	remote.Options `yaml:",inline"`
}

// Driver opens notifiers of type slack.
var Driver = adg.NewNotifierDriver("slack", "Posts facts to a Slack channel.", Options{Options: remote.Defaults()}, open)

// Private

const (
	mostReasons = 10   // shown in one message
	longest     = 2900 // characters of one block; Slack takes 3,000
)

type notifier struct {
	o      Options
	client *remote.Client
}

// Close lets go of idle connections.
func (n *notifier) Close() error { return n.client.Close() }

func open(_ context.Context, o Options, host adg.Host) (adg.Notifier, error) {
	address, err := url.Parse(o.Webhook.Reveal())
	if err != nil || address.Host == "" {
		return nil, adg.Errorf(adg.Invalid, "notifier %s: webhook holds no address: it has to be the https address that Slack gave for the channel", host.Name)
	}
	if o.Mention != "" && strings.Trim(o.Mention, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return nil, adg.Errorf(adg.Invalid, "notifier %s: mention %q: use here, channel, or an id like U012AB3CD", host.Name, o.Mention)
	}
	client, err := remote.New(o.Options, o.Webhook)
	if err != nil {
		return nil, fmt.Errorf("notifier %s: %w", host.Name, err)
	}
	return &notifier{o, client}, nil
}

// Notify posts the message. Slack answers 200 to what it took.
func (n *notifier) Notify(ctx context.Context, f adg.Fact) error {
	body, err := json.Marshal(n.message(f))
	if err != nil {
		return adg.Permanent(fmt.Errorf("writing fact %s for Slack: %w", f.ID, err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.o.Webhook.Reveal(), bytes.NewReader(body))
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the webhook's address is no url"))
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = n.client.Do(ctx, req)
	return err
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type message struct {
	Text   string  `json:"text"` // for notifications and screen readers
	Blocks []block `json:"blocks"`
}

func (n *notifier) message(f adg.Fact) message {
	kind := strings.ReplaceAll(f.Kind.String(), "_", " ")
	title := fmt.Sprintf("%s %s %s in %s: %s", sign(f), escape(f.Service), escape(f.Release), escape(f.Environment), kind)
	if f.Kind == adg.FactChanged {
		title = sign(f) + " " + escape(f.Action) + ": " + escape(f.Resource)
	}
	body := escape(f.Text)
	for i, r := range f.Reasons {
		if i == mostReasons {
			body += fmt.Sprintf("\n… and %d more", len(f.Reasons)-i)
			break
		}
		body += "\n• " + escape(r)
	}
	if f.Urgent && n.o.Mention != "" {
		title = n.mention() + " " + title
	}
	return message{
		Text: title + ": " + cut(escape(f.Text)),
		Blocks: []block{
			{Type: "section", Text: &text{"mrkdwn", "*" + title + "*"}},
			{Type: "section", Text: &text{"mrkdwn", cut(body)}},
			{Type: "context", Elements: []text{{"mrkdwn", strings.Join(about(f), " · ")}}},
		},
	}
}

// about is what stands below a message.
func about(f adg.Fact) (said []string) {
	if f.Kind != adg.FactChanged {
		said = append(said, "last good release: "+cmp.Or(escape(f.LastGood), "none"))
	}
	if f.Actor != "" {
		said = append(said, "by "+escape(f.Actor))
	}
	switch {
	case f.Link != "":
		said = append(said, "<"+escape(f.Link)+"|"+escape(f.Deployment)+">")
	case f.Deployment != "":
		said = append(said, "`adg report "+escape(f.Deployment)+"`")
	case f.Via != "":
		said = append(said, "via "+escape(f.Via))
	}
	return said
}

func (n *notifier) mention() string {
	switch who := n.o.Mention; {
	case who == "here" || who == "channel":
		return "<!" + who + ">"
	case strings.HasPrefix(who, "S"):
		return "<!subteam^" + who + ">"
	default:
		return "<@" + who + ">"
	}
}

// sign is the first thing that is seen; the words beside it say the same.
func sign(f adg.Fact) string {
	switch {
	case f.Urgent:
		return ":rotating_light:"
	case f.Kind == adg.FactSucceeded || f.Kind == adg.FactRolledBack:
		return ":white_check_mark:"
	default:
		return ":information_source:"
	}
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'")

// escape takes foreign text out of Slack's markup: nobody can be mentioned by a commit message.
func escape(s string) string { return escapes.Replace(adg.Printable(s)) }

func cut(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
