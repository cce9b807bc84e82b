package incident

import (
	"fmt"
	"slices"
	"time"
)

// Severity is how bad an incident is: 1 is a complete outage, 2 a partial one, 3 degraded
// service and 4 a minor issue.
type Severity int

// The severities.
const (
	SEV1 Severity = 1 + iota
	SEV2
	SEV3
	SEV4
)

// String returns "SEV1" to "SEV4".
func (s Severity) String() string { return fmt.Sprintf("SEV%d", int(s)) }

// UpdateEvery is how often those affected are told of an incident of this severity.
func (s Severity) UpdateEvery() time.Duration {
	if s <= SEV1 {
		return 15 * time.Minute
	}
	return 30 * time.Minute
}

// ParseSeverity reads "1", "sev1" or "SEV1" and so on.
func ParseSeverity(text string) (Severity, error) {
	for s := SEV1; s <= SEV4; s++ {
		if name := s.String(); text == name || text == "sev"+name[3:] || text == name[3:] {
			return s, nil
		}
	}
	return 0, fmt.Errorf("there is no severity %q: there are SEV1, SEV2, SEV3 and SEV4", text)
}

// The moments of an incident that a post-mortem is measured by.
const (
	MarkOnset     = "onset"     // the first sign in what the proxy remembers
	MarkDetected  = "detected"  // somebody, or the proxy itself, knew of it
	MarkMitigated = "mitigated" // requests were served again
	MarkResolved  = "resolved"  // the cause was gone
)

// Marks returns them in the order of time.
func Marks() []string { return []string{MarkOnset, MarkDetected, MarkMitigated, MarkResolved} }

// Record is what is known of one incident; it is the content of incident.json.
type Record struct {
	Version   int                  `json:"version"` // of this form: 1
	ID        string               `json:"id"`      // INC-YYYYMMDD-NNN
	Severity  Severity             `json:"severity"`
	Summary   string               `json:"summary,omitempty"`
	Service   string               `json:"service,omitempty"` // what those affected call it
	By        string               `json:"by"`                // who opened it
	Automatic bool                 `json:"automatic"`         // the proxy did
	Started   time.Time            `json:"started"`
	Ended     time.Time            `json:"ended,omitzero"`
	Marks     map[string]time.Time `json:"marks"` // by the names of Marks; what is not yet known is missing
	Notes     []Note               `json:"notes,omitempty"`
	Snapshots []Taken              `json:"snapshots,omitempty"`
	Counts    []Counts             `json:"counts,omitempty"` // in the order of time
}

// Note is a line that somebody wrote.
type Note struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Text string    `json:"text"`
}

// Taken is one snapshot.
type Taken struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Folder string    `json:"folder"`
	Failed []string  `json:"failed,omitempty"` // sources that gave nothing, with the cause
}

// Counts are the answers of a process at one moment.
type Counts struct {
	At       time.Time `json:"at"`
	Process  time.Time `json:"process"` // its start: counts of another process begin anew
	Requests uint64    `json:"requests"`
	Errors   uint64    `json:"errors"` // with a 5xx status
}

const (
	recordVersion = 1
	// notesMax bounds the notes of an incident, noteBytesMax one of them.
	notesMax     = 1000
	noteBytesMax = 4 << 10
	// countsMax bounds the remembered counts: the oldest and the newest stay.
	countsMax = 512
)

// Open reports whether the incident hasn't ended.
func (r *Record) Open() bool { return r.Ended.IsZero() }

// AddNote adds a line.
func (r *Record) AddNote(at time.Time, by, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("the note is empty")
	case len(text) > noteBytesMax:
		return fmt.Errorf("the note has %d bytes, at most %d are kept", len(text), noteBytesMax)
	case len(r.Notes) >= notesMax:
		return fmt.Errorf("the incident has %d notes already", len(r.Notes))
	}
	r.Notes = append(r.Notes, Note{at, by, text})
	return nil
}

// Mark says when one of Marks was; a later word replaces an earlier one.
func (r *Record) Mark(name string, at time.Time) error {
	if !slices.Contains(Marks(), name) {
		return fmt.Errorf("there is no moment %q: there are onset, detected, mitigated and resolved", name)
	}
	if r.Marks == nil {
		r.Marks = make(map[string]time.Time)
	}
	r.Marks[name] = at.UTC()
	return nil
}

// Count remembers the counts of a moment.
func (r *Record) Count(c Counts) {
	r.Counts = append(r.Counts, c)
	if len(r.Counts) > countsMax {
		r.Counts = slices.Delete(r.Counts, 1, 2)
	}
}

// Affected returns how many requests were answered between the first and the last counts,
// and how many of them with an error. A process that started anew began with zero.
func (r *Record) Affected() (requests, errors uint64) {
	for i := 1; i < len(r.Counts); i++ {
		before, now := r.Counts[i-1], r.Counts[i]
		if !now.Process.Equal(before.Process) {
			before = Counts{}
		}
		requests += now.Requests - min(before.Requests, now.Requests)
		errors += now.Errors - min(before.Errors, now.Errors)
	}
	return requests, errors
}
