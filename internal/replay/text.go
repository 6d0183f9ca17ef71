package replay

import (
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
)

// Summary is the result in one line.
func (r Result) Summary() string {
	text := fmt.Sprintf("%s: %s, %s: ", r.Deployment, count(r.Ticks, "tick"), count(r.Decisions, "decision"))
	if r.Equal() {
		text += "all equal"
	} else {
		text += fmt.Sprintf("%d came out differently", r.Different)
	}
	if int64(r.Ticks+r.Unfollowed) < r.Made {
		text += fmt.Sprintf("; compacted: %d of %s were replayed", r.Ticks, count(int(r.Made), "tick"))
	}
	if r.Unfollowed > 0 {
		text += fmt.Sprintf("; %s left out, what was before is gone or would have been another thing", count(r.Unfollowed, "tick"))
	}
	if r.Unmeasured > 0 {
		text += fmt.Sprintf("; %s decided again from the judgements on record, the measurements are gone", count(r.Unmeasured, "tick"))
	}
	return text
}

// Lines are the difference as people read it; the first line says which tick it was.
func (d Difference) Lines() []string {
	where := "the status now"
	if d.Seq > 0 {
		where = fmt.Sprintf("tick %d (%s)", d.Seq, d.At.UTC().Format("2006-01-02 15:04:05"))
	}
	var lines []string
	for _, c := range d.Changes {
		lines = append(lines, where+": "+c.String())
	}
	if d.More > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more", where, d.More))
	}
	if len(d.Was) > 0 {
		lines = append(lines, "    was:      "+strings.Join(d.Was, "; "))
	}
	if len(d.WouldBe) > 0 {
		lines = append(lines, "    would be: "+strings.Join(d.WouldBe, "; "))
	}
	for i := range lines {
		lines[i] = flat.Replace(adg.Printable(lines[i]))
	}
	return lines
}

// Private

var flat = strings.NewReplacer("\n", " ", "\t", " ")

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
