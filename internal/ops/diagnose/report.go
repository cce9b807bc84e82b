package diagnose

import (
	"slices"
	"time"
)

// Finding is one thing that is wrong.
type Finding struct {
	Code      string    `json:"code"`
	Severity  Severity  `json:"severity"`
	What      string    `json:"what"`     // one line
	Evidence  []string  `json:"evidence"` // a line each
	Procedure Procedure `json:"procedure"`
	Commands  []Command `json:"commands"`
	Because   []string  `json:"because,omitempty"` // codes of findings that explain this one

	weight float64 // of two with the same code the larger comes first
}

// Command is a line to paste.
type Command struct {
	Why string `json:"why"`
	Run string `json:"run"`
}

// Report is what was found.
type Report struct {
	At         time.Time `json:"at"`
	Severity   Severity  `json:"severity"`
	Exit       int       `json:"exit"`
	Verdict    string    `json:"verdict"` // one line
	ConfigFile string    `json:"config_file"`
	Running    bool      `json:"running"`
	PID        int       `json:"pid,omitempty"`
	Findings   []Finding `json:"findings"`
	Changes    []string  `json:"changes"` // of the last hour, the newest first
	Unseen     []string  `json:"unseen"`  // what could not be looked at, and why
	TookMillis int64     `json:"took_millis"`
}

// rank brings findings into the order in which they are told: each is as bad as what it
// explains, then the worst come first, then those nearer to the root.
func rank(found []Finding) []Finding {
	causes := make(map[string]*Cause)
	place := make(map[string]int)
	for i, c := range Causes() {
		causes[c.Code], place[c.Code] = &c, i
	}
	for i := range found {
		f := &found[i]
		c := causes[f.Code]
		f.Procedure = procedure(c.Procedure)
		if f.Severity == Well {
			f.Severity = c.Severity
		}
	}
	explain(found, causes)
	slices.SortStableFunc(found, func(a, b Finding) int {
		switch {
		case a.Severity != b.Severity:
			return int(b.Severity - a.Severity)
		case place[a.Code] != place[b.Code]:
			return place[a.Code] - place[b.Code]
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return 0
	})
	return found
}

// explain raises what explains something worse, as far as that reaches, and notes it.
func explain(found []Finding, causes map[string]*Cause) {
	for range found { // the longest chain is no longer
		raised := false
		for i := range found {
			for j := range found {
				if i != j && found[j].Severity > found[i].Severity && explains(causes, &found[i], &found[j]) {
					found[i].Severity, raised = found[j].Severity, true
				}
			}
		}
		if !raised {
			break
		}
	}
	for i := range found {
		for j := range found {
			if i != j && explains(causes, &found[j], &found[i]) && !slices.Contains(found[i].Because, found[j].Code) {
				found[i].Because = append(found[i].Because, found[j].Code)
			}
		}
	}
}

func explains(causes map[string]*Cause, f, other *Finding) bool {
	return f.Code != other.Code && slices.Contains(causes[f.Code].Explains, other.Code)
}
