package learn

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Summary says in numbers what a history holds.
type Summary struct {
	Deployments  int             `json:"deployments"`
	Outcomes     map[Outcome]int `json:"outcomes"` // by kind
	Failed       int             `json:"failed"`   // by the rules
	Known        int             `json:"known"`    // with an outcome that a model learns from
	Services     int             `json:"services"`
	Environments []string        `json:"environments,omitempty"` // in alphabetical order
	First        time.Time       `json:"first,omitzero"`
	Last         time.Time       `json:"last,omitzero"`
	Returns      int             `json:"returns"` // deployments that only went back: never counted
	Young        int             `json:"young"`   // without a failure so far, and too young for a success
	Counted      string          `json:"counted"` // what counts as a failure, in words
	Rules        Rules           `json:"-"`
	Notes        []string        `json:"notes,omitempty"`
}

// Summary counts the history.
func (h History) Summary() Summary {
	s := Summary{Deployments: len(h.Deployments), Outcomes: map[Outcome]int{}, Rules: h.Rules.WithDefaults(), Notes: slices.Clone(h.Notes), Counted: h.Counted()}
	services, places := map[string]bool{}, map[string]bool{}
	for _, d := range h.Deployments {
		s.Outcomes[d.Outcome]++
		failed, known := h.Label(d)
		if known {
			s.Known++
		}
		if failed {
			s.Failed++
		}
		switch {
		case d.Outcome != Unknown:
		case strings.HasPrefix(d.Why, "itself a return"):
			s.Returns++
		case strings.HasPrefix(d.Why, "watched for"):
			s.Young++
		}
		services[d.Service] = true
		if d.Environment != "" && !places[d.Environment] {
			places[d.Environment] = true
			s.Environments = append(s.Environments, d.Environment)
		}
		if s.First.IsZero() || d.At.Before(s.First) {
			s.First = d.At
		}
		if d.At.After(s.Last) {
			s.Last = d.At
		}
	}
	slices.Sort(s.Environments)
	s.Services = len(services)
	return s
}

// String is the summary in words, a few lines of them.
func (s Summary) String() string {
	var out strings.Builder
	if s.Deployments == 0 {
		out.WriteString("No deployments were found.\n")
	} else {
		fmt.Fprintf(&out, "%s of %s from %s to %s", plural(s.Deployments, "deployment"), plural(s.Services, "service"), s.First.Format(time.DateOnly), s.Last.Format(time.DateOnly))
		if len(s.Environments) > 0 {
			shown := s.Environments[:min(len(s.Environments), 10)]
			fmt.Fprintf(&out, " in %s", enumerate(shown))
			if more := len(s.Environments) - len(shown); more > 0 {
				fmt.Fprintf(&out, " and %d more", more)
			}
		}
		out.WriteString(".\n")
		out.WriteString(s.failures())
		out.WriteString(s.unknown())
		fmt.Fprintf(&out, "Counted as failed: %s.\n", s.Counted)
		if s.Counted == s.Rules.Counted() { // else each deployment has its own
			fmt.Fprintf(&out, "Rules: a fix within %s makes the version before it hotfixed; replaced within %s is superseded; gone back within %s is a race of pipelines; an outcome is known after %s; %d services that go back within %s are one event.\n",
				span(s.Rules.Hotfix), span(s.Rules.Superseded), span(s.Rules.Race), span(s.Rules.Matures), s.Rules.Many, span(s.Rules.Event))
		}
	}
	for _, note := range s.Notes {
		fmt.Fprintf(&out, "Note: %s.\n", note)
	}
	return out.String()
}

// Private

func (s Summary) failures() string {
	if s.Known == 0 {
		return "No outcome is known yet.\n"
	}
	var kinds []string
	for _, o := range []Outcome{RolledBack, Blocked, Hotfixed, Incident} {
		if n := s.Outcomes[o]; n > 0 {
			kind := fmt.Sprintf("%d %s", n, o)
			if failed, _ := s.Rules.Label(o); !failed {
				kind += " (not counted)"
			}
			kinds = append(kinds, kind)
		}
	}
	text := fmt.Sprintf("Failed: %d of %d known (%.1f %%)", s.Failed, s.Known, 100*float64(s.Failed)/float64(s.Known))
	if len(kinds) > 0 {
		text += ": " + enumerate(kinds)
	}
	return text + ".\n"
}

func (s Summary) unknown() string {
	open := s.Outcomes[Unknown] + s.Outcomes[Superseded]
	if open == 0 {
		return "Every outcome is known.\n"
	}
	var why []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{s.Outcomes[Superseded], "superseded too soon to tell"}, {s.Young, "too young"}, {s.Returns, "only went back"},
		{s.Outcomes[Unknown] - s.Young - s.Returns, "for other reasons, each told beside it"},
	} {
		if part.n > 0 {
			why = append(why, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return fmt.Sprintf("Unknown: %d: %s.\n", open, enumerate(why))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
