package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// PostMortem is the draft of a post-mortem, as CommonMark with tables: what the records say, in the order in which
// people ask, and a list of what to follow up. What only people know is left for them to write. Text that came from
// outside cannot become markup.
func PostMortem(s Story) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "# Post-mortem (draft): %s\n\nWritten by ADG from its records. What only people know is marked with ✍.\n", plain(s.Title))
	for _, section := range []struct {
		title string
		write func(*strings.Builder, Story)
	}{
		{"What happened", writeHappened}, {"Impact", writeImpact}, {"How it was found", writeFound}, {"What was done, and what it did", writeDone},
		{"The change", writeChanged}, {"What may be the cause", writeSuspects}, {"Timeline", writeTimeline}, {"Follow-up", writeFollowUp},
	} {
		fmt.Fprintf(&out, "\n## %s\n\n", section.title)
		section.write(&out, s)
	}
	if s.Change != nil {
		out.Write(Appendix(*s.Change))
	}
	return []byte(out.String())
}

// Private

func writeHappened(out *strings.Builder, s Story) {
	d := s.Deployment
	fmt.Fprintf(out, "%s was deployed to %s in %s on %s%s.", plain(d.Spec.Release.Version+revision(d.Spec.Release)), plain(d.Spec.Policy.Service), plain(d.Spec.Policy.Environment),
		stamp(d.Spec.Created), plain(by(d.Spec.Actor)))
	if bad := s.FirstBad; !bad.IsZero() {
		fmt.Fprintf(out, " Health was no longer good from %s on.", stamp(bad))
	}
	switch {
	case s.Decided.IsZero():
		fmt.Fprintf(out, " No release was condemned; it is %s%s.\n", words(d.Status.State.String()), plain(because(d.Status.Reasons)))
		return
	case d.Status.Condemned.IsZero():
		fmt.Fprintf(out, " A human was called at %s, because it was bad and there was no automatic way back.", stamp(s.Decided))
	default:
		fmt.Fprintf(out, " It was condemned at %s.", stamp(s.Decided))
	}
	switch {
	case d.Status.State == adg.RolledBack:
		fmt.Fprintf(out, " %s was live again, and verified, at %s%s.\n", plain(lastGood(d)), stamp(d.Status.Since), plain(because(d.Status.Reasons)))
	case d.Status.State.Ended():
		fmt.Fprintf(out, " It ended at %s: %s%s.\n", stamp(d.Status.Since), words(d.Status.State.String()), plain(because(d.Status.Reasons)))
	default:
		fmt.Fprintf(out, " It is still going on: %s%s.\n", words(d.Status.State.String()), plain(because(d.Status.Reasons)))
	}
	out.WriteString("\n✍ In one sentence for people who were not there:\n")
}

func lastGood(d adg.Deployment) string {
	if d.Spec.LastGood == nil {
		return "nothing"
	}
	return d.Spec.LastGood.Version
}

func writeImpact(out *strings.Builder, s Story) {
	d := s.Deployment
	if bad, end := s.FirstBad, d.Status.Since; !bad.IsZero() && d.Status.State == adg.Superseded {
		fmt.Fprintf(out, "* Service was not good from %s on, for %s until another deployment took over, which knows what came then.\n", stamp(bad), adg.Span(end.Sub(bad)))
	} else if !bad.IsZero() && d.Status.State.Ended() {
		fmt.Fprintf(out, "* Service was not good for %s, from %s to %s.\n", adg.Span(end.Sub(bad)), stamp(bad), stamp(end))
	}
	for _, i := range s.Impact {
		fmt.Fprintf(out, "* %s: %.0f of %.0f were bad (%.2g %%)", plain(i.Check), i.Bad, i.All, 100*i.Bad/i.All)
		if !math.IsNaN(i.Usual) {
			fmt.Fprintf(out, "; as before the deployment it would have been %.0f, so about %.0f more than usual", i.Usual, math.Max(i.Bad-i.Usual, 0))
		}
		out.WriteString(".\n")
	}
	if len(s.Impact) == 0 {
		out.WriteString("* How many requests were bad was not counted: no check counts them (`bad` and `total`), or what they counted was forgotten.\n")
	}
	out.WriteString("* ✍ What users saw, and whom to tell:\n")
}

func writeFound(out *strings.Builder, s Story) {
	if p, c, found := s.firstBadSample(); found {
		unit := c.Check.CountedIn()
		fmt.Fprintf(out, "The first bad sample was of **%s** at %s: %s, limit %s, baseline %s.\n", plain(c.Check.Name), stamp(p.At), figure(p.Value, unit), figure(p.Limit, unit), figure(p.Baseline, unit))
		for _, sent := range s.FoundBy {
			fmt.Fprintf(out, "\n    %s\n", strings.ReplaceAll(adg.Printable(sent), "\n", "\n    "))
		}
		out.WriteString("\n")
	}
	if bad := s.FirstBad; !bad.IsZero() {
		fmt.Fprintf(out, "From there to the decision it took %s.\n", adg.Span(s.Decided.Sub(bad)))
	}
	for _, e := range s.Decisions {
		condemned := !e.Decision.Next.Condemned.IsZero() && e.Before.Condemned.IsZero()
		stuck := s.Deployment.Status.Condemned.IsZero() && called(e.Decision.Next) && !called(e.Before)
		if !condemned && !stuck {
			continue
		}
		fmt.Fprintf(out, "\nThe decision, at %s:\n\n", stamp(e.Decision.At))
		for _, r := range e.Decision.Reasons {
			fmt.Fprintf(out, "* %s\n", plain(r))
		}
		if a := e.Input.Assessment; a != nil {
			fmt.Fprintf(out, "\n| check | verdict | |\n|---|---|---|\n")
			for _, j := range a.Judgements {
				fmt.Fprintf(out, "| %s | %s | %s |\n", cell(j.Check), j.Verdict, cell(j.Text))
			}
			writePatterns(out, *a)
		}
	}
}

// firstBadSample is the earliest point at which a check that failed did so, in the stretch that ended in the decision.
func (s Story) firstBadSample() (first Point, of Course, found bool) {
	for _, c := range s.Checks {
		for _, p := range c.Points {
			if p.Verdict == adg.Fail && !p.At.Before(s.FirstBad) && (!found || p.At.Before(first.At)) {
				first, of, found = p, c, true
			}
		}
	}
	return first, of, found
}

func writeDone(out *strings.Builder, s Story) {
	rows := 0
	for _, e := range s.Effects {
		if e.Begun.Before(s.Deployment.Status.Condemned) || s.Deployment.Status.Condemned.IsZero() {
			continue
		}
		if rows++; rows == 1 {
			out.WriteString("| asked at | for | the target said | after |\n|---|---|---|---|\n")
		}
		said, took := "nothing yet", ""
		if o := e.Outcome; o != nil {
			said, took = shares(o.Observed.Releases), o.Took.Round(time.Millisecond).String()
			if o.Observed.Text != "" {
				said += ": " + o.Observed.Text
			}
			if o.Err != "" {
				said = "error: " + o.Err
			}
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", e.Begun.UTC().Format("15:04:05"), cell(shares(e.Desired.Releases)), cell(said), took)
	}
	if rows == 0 {
		out.WriteString("Nothing was rolled back.\n")
	}
	st := s.Deployment.Status
	for _, one := range []struct {
		when bool
		text string
	}{
		{st.State == adg.RolledBack, "Verified: the target reported " + lastGood(s.Deployment) + " live, and the checks were good on it" + because(st.Reasons)},
		{st.Fallback, "The policy's fallback target had to take over."},
		{st.Suspended != "", "Suspended so that nothing undoes the rollback: " + st.Suspended},
		{st.Approved != "", "A person decided: " + st.Approved},
	} {
		if one.when {
			fmt.Fprintf(out, "\n%s\n", plain(one.text))
		}
	}
}

func writeChanged(out *strings.Builder, s Story) {
	spec := s.Deployment.Spec
	from := "nothing known"
	if spec.LastGood != nil {
		from = spec.LastGood.Version + revision(*spec.LastGood)
	}
	fmt.Fprintf(out, "* From %s to %s.\n", plain(from), plain(spec.Release.Version+revision(spec.Release)))
	if good := spec.LastGood; good != nil && good.Schema != spec.Release.Schema {
		fmt.Fprintf(out, "* It needs another schema of the database: %s instead of %s. Which one is there now, the target said above.\n", plain(cmp.Or(spec.Release.Schema, "(not said)")), plain(cmp.Or(good.Schema, "(not said)")))
	}
	if spec.Author != "" {
		fmt.Fprintf(out, "* Written by %s.\n", plain(spec.Author))
	}
	if spec.Reason != "" {
		fmt.Fprintf(out, "* Why it was deployed: %s\n", plain(spec.Reason))
	}
	if p := spec.Prediction; p != nil {
		fmt.Fprintf(out, "* Success was expected with %.0f %% (usual is %.0f %%).\n", 100*p.Success, 100*p.Base)
	}
}

func writeSuspects(out *strings.Builder, s Story) {
	failed := slices.DeleteFunc(slices.Clone(s.Checks), func(c Course) bool {
		return !slices.ContainsFunc(c.Points, func(p Point) bool { return p.Verdict == adg.Fail })
	})
	for _, c := range failed {
		worst := c.Points[0]
		for _, p := range c.Points {
			if p.Verdict == adg.Fail && (worst.Verdict != adg.Fail || math.Abs(p.Value-p.Limit) > math.Abs(worst.Value-worst.Limit)) {
				worst = p
			}
		}
		unit := c.Check.CountedIn()
		fmt.Fprintf(out, "* The check **%s** failed; at worst %s (limit %s, baseline %s) at %s.\n", plain(c.Check.Name),
			figure(worst.Value, unit), figure(worst.Limit, unit), figure(worst.Baseline, unit), stamp(worst.At))
	}
	for _, f := range s.decisive() {
		fmt.Fprintf(out, "* The release logs **%s** (%s, %s): %s, against %s of the baseline. One of them: %s\n", plain(f.Text), f.Level, changed(f),
			moments(f.Lines, f.Candidate), moments(f.BaseLines, f.Baseline), plain(f.Example))
	}
	if p := s.Deployment.Spec.Prediction; p != nil {
		for _, one := range p.Contributions[:min(len(p.Contributions), 5)] {
			if one.Points < 0 {
				fmt.Fprintf(out, "* It was riskier than others by %.1f points: %s\n", -one.Points, plain(one.Text))
			}
		}
	}
	for _, log := range s.logs() {
		fmt.Fprintf(out, "\nThe target's log:\n\n    %s\n", strings.ReplaceAll(strings.TrimRight(adg.Printable(log), "\n"), "\n", "\n    "))
	}
	out.WriteString("\n✍ Root cause:\n")
}

// maxLogs is how many tails of logs a post-mortem shows.
const maxLogs = 3

// logs are the last tails of logs that the target's outcomes carried.
func (s Story) logs() (all []string) {
	for _, e := range slices.Backward(s.Effects) {
		if e.Outcome != nil && e.Outcome.Observed.Log != "" && !slices.Contains(all, e.Outcome.Observed.Log) && len(all) < maxLogs {
			all = append(all, e.Outcome.Observed.Log)
		}
	}
	return all
}

func writeTimeline(out *strings.Builder, s Story) {
	out.WriteString("| time | what | |\n|---|---|---|\n")
	for _, e := range s.Timeline {
		kind := e.Kind
		if e.Urgent {
			kind = "**" + kind + "**"
		}
		fmt.Fprintf(out, "| %s | %s | %s |\n", e.At.UTC().Format("15:04:05.000"), kind, cell(e.Text))
	}
}

// writeFollowUp asks what the records give reason to ask, and what is always asked.
func writeFollowUp(out *strings.Builder, s Story) {
	d := s.Deployment
	st := d.Status
	var blind []string
	for _, c := range s.Checks {
		if c.Last.Text == "" || c.Last.Verdict == adg.Unknown {
			blind = append(blind, c.Check.Name)
		}
	}
	detected, bad := s.Decided.Sub(s.FirstBad), !s.Decided.IsZero()
	for _, one := range []struct {
		when bool
		text string
	}{
		{!st.Condemned.IsZero(), fmt.Sprintf("Mend %s, and lift its hold when it is to be deployed again (adg hold list).", d.Spec.Release.Version)},
		{bad && st.Condemned.IsZero(), fmt.Sprintf("Mend %s: it was not rolled back.", d.Spec.Release.Version)},
		{bad, "Write the test that would have found it before the deployment."},
		{st.State == adg.RollbackFailed, "Service may not be restored yet: see what was tried above."},
		{st.Suspended != "", "Give back what was suspended once nothing bad goes live by that: " + st.Suspended},
		{bad && !s.FirstBad.IsZero() && detected > time.Minute, fmt.Sprintf("It took %s from the first bad health to the decision: would a stricter limit, a shorter interval or a sequential check have found it sooner?", adg.Span(detected))},
		{st.Attempt > 1, fmt.Sprintf("The target needed %d attempts: why?", st.Attempt)},
		{st.Fallback, "The first target failed: repair it, and try it."},
		{len(st.Obstacles) > 0, "What was in the way of a rollback: " + obstacles(st.Obstacles)},
		{st.Doubt != "", "Whether there is a way back could not be asked: " + st.Doubt},
		{len(blind) > 0, "These checks said nothing: " + strings.Join(blind, ", ")},
		{len(s.Impact) == 0, "Let a check count requests, so that the next post-mortem can say how many were bad."},
		{d.Spec.LastGood == nil, "There was no release to go back to: mark a good one."},
	} {
		if one.when {
			fmt.Fprintf(out, "* [ ] %s\n", plain(one.text))
		}
	}
	out.WriteString("* [ ] ✍\n")
}

func obstacles(all []adg.Obstacle) string {
	texts := make([]string, len(all))
	for i, o := range all {
		texts[i] = o.Text
	}
	return strings.Join(texts, "; ")
}
