package event

// Severity says how much an event matters.
type Severity string

// The severities, in rising order.
const (
	Info     Severity = "info"     // nothing is worse than before
	Warning  Severity = "warning"  // a change for the worse that traffic may survive
	Critical Severity = "critical" // requests fail or are about to
)

// Severities returns all severities in rising order.
func Severities() []Severity { return []Severity{Info, Warning, Critical} }

// AtLeast reports whether s matters as much as least.
func (s Severity) AtLeast(least Severity) bool { return s.rank() >= least.rank() }

func (s Severity) rank() int {
	for i, other := range Severities() {
		if s == other {
			return i
		}
	}
	return 0
}

// severity returns the severity of e: its own, or the one that its kind has.
func (e *Event) severity() Severity {
	if e.Severity != "" {
		return e.Severity
	}
	if !e.Worse {
		return Info
	}
	if e.critical() {
		return Critical
	}
	return Warning
}

// critical reports whether a change for the worse is one that requests don't survive.
func (e *Event) critical() bool {
	switch e.Kind {
	case KindUpstream, KindPanic:
		return true
	case KindMemory:
		return e.To == "short"
	case KindCertificate:
		return e.To == "expired"
	case KindIncident:
		return e.To == "declared"
	}
	return false
}
