package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Lines reads the logs of the pods of a version: "logs version=$version", or "logs" for those of all. Of containers that
// were restarted, those of the one before are read, too: the line that a process ended with stands there.
func (s *source) Lines(ctx context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	version, text, err := parseLines(q)
	if err != nil {
		return adg.LinesAnswer{}, adg.Permanent(err)
	}
	answer := linesOfPods{adg.LinesAnswer{Sent: text}}
	limit := cmp.Or(q.Limit, adg.MaxLines)
	read := 0
	for _, name := range s.o.Names {
		pods, err := s.pods(ctx, name)
		if err != nil {
			return adg.LinesAnswer{}, fmt.Errorf("query %q: %w", text, err)
		}
		for _, p := range pods {
			container := cmp.Or(s.o.Container, name)
			if version != "" && kube.ReleaseOf(p.ObjectMeta, p.Spec, container).Version != version {
				continue
			}
			if read++; read > maxLogs {
				return adg.LinesAnswer{}, adg.Permanent(adg.Errorf(adg.Invalid, "query %q: the logs of more than %d pods would have to be read: take them from where they are collected, such as Loki", text, maxLogs))
			}
			if err := s.podLines(ctx, q, p, container, &answer); err != nil {
				return adg.LinesAnswer{}, fmt.Errorf("query %q: %w", text, err)
			}
			if len(answer.Lines) > 4*limit { // many pods must not mean much memory
				answer.latest(limit)
			}
		}
	}
	answer.latest(limit)
	return answer.LinesAnswer, nil
}

// ForLines tells logs from signals.
func (s *source) ForLines(text string) bool {
	words := strings.Fields(text)
	return len(words) > 0 && words[0] == "logs"
}

// Private

// maxLogs bounds the pods whose logs one question reads.
const maxLogs = 50

func parseLines(q adg.LinesQuery) (version, text string, err error) {
	if text, err = expand(q.Text, q.Vars); err != nil {
		return "", "", err
	}
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 2 || words[0] != "logs" {
		return "", "", adg.Errorf(adg.Invalid, "%q: write \"logs version=$version\", or logs for all versions", text)
	}
	if len(words) == 2 {
		found := false
		if version, found = strings.CutPrefix(words[1], "version="); !found || adg.ValidVersion(version) != nil {
			return "", "", adg.Errorf(adg.Invalid, "%q: after logs comes version=$version", text)
		}
	}
	return version, text, nil
}

// linesOfPods is an answer in the making.
type linesOfPods struct{ adg.LinesAnswer }

// since notes that what is as old as that may be missing.
func (a *linesOfPods) since(at time.Time) {
	if at = at.Add(time.Nanosecond); at.After(a.Since) {
		a.Since = at
	}
}

// latest brings the lines in order and keeps so many.
func (a *linesOfPods) latest(limit int) {
	slices.SortStableFunc(a.Lines, func(x, y adg.LogLine) int { return x.At.Compare(y.At) })
	if over := len(a.Lines) - limit; over > 0 {
		a.since(a.Lines[over-1].At)
		a.Lines = slices.Clone(a.Lines[over:])
	}
}

// podLines adds the lines of one pod.
func (s *source) podLines(ctx context.Context, q adg.LinesQuery, p corev1.Pod, name string, answer *linesOfPods) error {
	at, found := kube.ContainerOf(p.Spec, name)
	if !found {
		return nil
	}
	container, started, restarted := p.Spec.Containers[at].Name, false, false
	for _, status := range p.Status.ContainerStatuses {
		if status.Name == container {
			started = status.State.Waiting == nil || status.RestartCount > 0
			restarted = status.RestartCount > 0
		}
	}
	if !started {
		return nil // what never ran has written nothing
	}
	from := q.At.Add(-q.Window)
	for _, previous := range []bool{true, false} {
		if previous && !restarted {
			continue
		}
		// The cluster counts from the end of the log, which may be long after the window's: what was asked for is cut later.
		text, err := s.client.Log(ctx, p.Name, container, from, adg.MaxLines, previous)
		switch code := adg.CodeOf(err); {
		case err != nil && (code == adg.NotFound || code == adg.Invalid && previous):
			continue // it is gone, or the one before it left nothing
		case err != nil:
			return err
		}
		if first := s.readLog(text, p.Name, from, q.At, answer); bytes.Count(text, []byte("\n")) >= adg.MaxLines && !first.Before(from) {
			answer.since(first)
		}
	}
	return nil
}

// readLog adds the lines of a window, and gives the time of the first line whenever it was.
func (s *source) readLog(text []byte, pod string, from, to time.Time, answer *linesOfPods) (first time.Time) {
	for raw := range bytes.Lines(text) {
		stamp, rest, _ := strings.Cut(strings.TrimRight(string(raw), "\r\n"), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err == nil && first.IsZero() {
			first = at.UTC()
		}
		if err != nil || at.Before(from) || !at.Before(to) {
			continue
		}
		rest = s.client.Redact(rest)
		answer.Lines = append(answer.Lines, adg.LogLine{At: at.UTC(), Replica: pod, Text: rest[:min(len(rest), adg.MaxLine)]})
	}
	return first
}
