package incident

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/control/statefile"
	"sentinel/internal/observe/event"
)

const (
	postMortemName = "postmortem.md"
	// timelineMax bounds the lines of a post-mortem's timeline; the rest is in the bundle.
	timelineMax = 200
)

// PostMortem writes the post-mortem of an incident into its folder, filled with what the
// record and its snapshots say, and returns its path. It replaces none that was edited:
// then it is written beside it, under a name with a number.
func (s *Store) PostMortem(id string) (path string, err error) {
	r, err := s.Find(id)
	if err != nil {
		return "", err
	}
	events := s.Events(r)
	Infer(r, events)
	path = s.freeName(r.ID)
	return path, statefile.Replace(path, []byte(postMortem(r, events)), fileMode)
}

func (s *Store) freeName(id string) string {
	path := s.Path(id, postMortemName)
	for n := 2; exists(path); n++ {
		path = s.Path(id, fmt.Sprintf("postmortem-%d.md", n))
	}
	return path
}

func postMortem(r *Record, events []event.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Post-mortem of %s\n\n## Summary\n", r.ID)
	fmt.Fprintf(&b, "- **Date**: %s\n", begin(r).UTC().Format("2006-01-02"))
	fmt.Fprintf(&b, "- **Duration**: %s\n", orOngoing(r, begin(r)))
	fmt.Fprintf(&b, "- **Severity**: %s\n- **Impact**: %s\n- **In a sentence**: %s\n\n", r.Severity, impactText(r), orUnknown(r.Summary))
	writeTimeline(&b, Timeline(r, events))
	for _, part := range []string{"Root cause", "What made it worse", "How it was ended"} {
		fmt.Fprintf(&b, "## %s\n%s\n\n", part, unknown)
	}
	fmt.Fprintf(&b, "## Action items\n| ID | Action | Owner | Due | State |\n|---|---|---|---|---|\n| 1 | %s | | | open |\n\n", unknown)
	fmt.Fprintf(&b, "## Lessons\n- What went well: %s\n- What could go better: %s\n- Where we were lucky: %s\n\n", unknown, unknown, unknown)
	writeMeasures(&b, r)
	return b.String()
}

func writeTimeline(b *strings.Builder, moments []Moment) {
	b.WriteString("## Timeline\n| Time (UTC) | What happened |\n|---|---|\n")
	for i, m := range moments {
		if i == timelineMax {
			fmt.Fprintf(b, "| | %d more are in the snapshots |\n", len(moments)-i)
			break
		}
		fmt.Fprintf(b, "| %s | %s |\n", m.At.Format("2006-01-02 15:04:05"), m.Text)
	}
	b.WriteString("\n")
}

func writeMeasures(b *strings.Builder, r *Record) {
	b.WriteString("## Measures\n")
	from := r.Marks[MarkOnset]
	for _, m := range []struct{ name, mark string }{
		{"detect", MarkDetected}, {"mitigate", MarkMitigated}, {"resolve", MarkResolved},
	} {
		text := "not yet"
		if at, ok := r.Marks[m.mark]; ok {
			text = lasted(at.Sub(from))
		}
		fmt.Fprintf(b, "- Time to %s: %s\n", m.name, text)
	}
	requests, errors := r.Affected()
	if requests == 0 {
		fmt.Fprintf(b, "- Requests affected: %s\n", unknown)
		return
	}
	fmt.Fprintf(b, "- Requests affected: %s (%d of %d answered from %s to %s failed)\n",
		share(errors, requests), errors, requests, clock(r.Counts[0].At), clock(r.Counts[len(r.Counts)-1].At))
}

func orOngoing(r *Record, from time.Time) string {
	if r.Open() {
		return "not over yet"
	}
	return lasted(r.Ended.Sub(from))
}
