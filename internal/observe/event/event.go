package event

import (
	"log/slog"
	"time"

	"sentinel/internal/observe/journal"
)

// The kinds of events.
const (
	KindHealth   = "health"   // a target is healthy, unhealthy or unknown by its checks
	KindBreaker  = "breaker"  // a target's breaker is closed, open or half-open
	KindEjection = "ejection" // a target is ejected for what its answers were, or returns
	KindPanic    = "panic"    // an upstream with too few healthy targets uses all of them, or no longer
	KindFailover = "failover" // requests of a route go to its fallback, or no longer
	KindDrain    = "drain"    // an operator drains a target or upstream, or undoes that
	KindNames    = "names"    // the addresses behind a name are others, or it can't be resolved
	KindQueue    = "queue"    // an upstream's queue is full, or has room again
	KindReload   = "reload"   // a reload succeeded or failed
	KindUpgrade  = "upgrade"  // a new process serves instead of this one, or couldn't
	KindConfig   = "config"   // a configuration awaits a confirmation, has it, is taken back or stands in for a broken one
	KindListener = "listener" // a listener opens, drains or closes
	KindUpstream = "upstream" // no target of an upstream takes requests, or some do again
	KindMemory   = "memory"   // memory is short to a stage, or less so
	KindKeys     = "keys"     // the keys for tokens can't be fetched, or can again
	KindBan      = "ban"      // an operator bans a client, or lifts that, or its time is over
	KindProcess  = "process"  // the process runs again after an end that wasn't a good one
	KindOverride = "override" // an operator lays a change over the configuration, or that ends, is committed or loses its effect
	KindStore    = "store"    // the store that rate limits share is away, or answers again
	KindAudit    = "audit"    // somebody was refused at the admin API, or the audit file takes no lines
	// KindCertificate is a certificate that was issued or not, ends soon or has ended, or changed files of
	// certificates that were loaded or can't be used.
	KindCertificate = "certificate"
	KindIncident    = "incident" // the proxy has declared an incident by itself, raised its severity, or ended it
)

// Kinds returns all kinds.
func Kinds() []string {
	return []string{KindHealth, KindBreaker, KindEjection, KindPanic, KindFailover, KindDrain, KindNames, KindQueue, KindReload, KindConfig, KindUpgrade, KindListener, KindUpstream, KindMemory, KindKeys, KindBan, KindOverride, KindStore, KindCertificate, KindIncident, KindAudit, KindProcess}
}

// Event is one change of state. What doesn't apply to it is empty.
type Event struct {
	Seq      uint64    `json:"seq"` // 1 for the first of the process, one more for each
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	Worse    bool      `json:"worse"`    // for traffic it is a change for the worse
	Severity Severity  `json:"severity"` // the log sets it by what has changed, where it is empty
	Upstream string    `json:"upstream,omitempty"`
	Target   string    `json:"target,omitempty"` // its address as configured
	Route    string    `json:"route,omitempty"`
	Client   string    `json:"client,omitempty"` // an address or prefix that a ban is about
	// Certificate is the file of a certificate that the event is about.
	Certificate string `json:"certificate,omitempty"`

	From   string `json:"from,omitempty"` // the states before and after, one word each:
	To     string `json:"to,omitempty"`   // "healthy", "open", "drained"
	Cause  string `json:"cause,omitempty"`
	Detail string `json:"detail,omitempty"` // what more helps, such as a probe's transcript or who asked for a drain
}

// Level returns the level of the event's line: that of its severity.
func (e *Event) Level() slog.Level {
	switch e.severity() {
	case Critical:
		return slog.LevelError
	case Warning:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Message returns what has happened without saying where: "target unhealthy".
func (e *Event) Message() string {
	switch e.Kind {
	case KindHealth, KindEjection:
		return state("target", e.To)
	case KindDrain:
		if e.Target == "" {
			return state("upstream", e.To)
		}
		return state("target", e.To)
	case KindBan:
		return state("client", e.To)
	case KindConfig:
		return state("configuration", e.To)
	case KindStore:
		return state("rate limit store", e.To)
	case KindAudit:
		if e.To == "refused" {
			return "admin request refused"
		}
		return "audit file " + e.To
	case KindPanic:
		return e.either("panic began", "panic ended")
	case KindFailover:
		return e.either("failover began", "failover ended")
	case KindNames:
		return e.either("names not resolved", "names changed")
	case KindKeys:
		return e.either("token keys away", "token keys fetched")
	case KindQueue:
		return e.either("queue full", "queue has room")
	case KindUpgrade:
		return e.either("upgrade failed", "upgrade succeeded")
	case KindReload:
		return e.either("reload failed", "reload succeeded")
	}
	return state(e.Kind, e.To)
}

func state(what, to string) string {
	if to == "" {
		to = "changed"
	}
	return what + " " + to
}

func (e *Event) either(worse, better string) string {
	if e.Worse {
		return worse
	}
	return better
}

// pairs returns the pairs of the event's line; n of them count.
func (e *Event) pairs() (list [pairsMax]slog.Attr, n int) {
	add := func(key, value string) {
		if value != "" {
			list[n] = slog.String(key, value)
			n++
		}
	}
	add("upstream", e.Upstream)
	add("target", e.Target)
	add("route", e.Route)
	add("client", e.Client)
	add("certificate", e.Certificate)
	add("from", e.From)
	add("to", e.To)
	add("cause", e.Cause)
	add("detail", e.Detail)
	return list, n
}

// pairsMax is how many pairs an event's line can have.
const pairsMax = 9

// textBytesMax bounds one value in the text of an event.
const textBytesMax = 4 << 10

// AppendText appends the event as its line in a log file, without the newline:
//
//	2026-11-24T12:00:00.123Z WARN target unhealthy, upstream="a", target="10.0.0.1:80", ...
//
// Nothing in it can forge another line.
func (e *Event) AppendText(dst []byte) []byte {
	dst = journal.AppendTime(dst, e.Time)
	dst = append(dst, ' ')
	dst = append(dst, journal.LevelWord(e.Level())...)
	dst = append(dst, ' ')
	start := len(dst)
	dst = journal.AppendQuoted(dst, e.Message(), textBytesMax)
	copy(dst[start:], dst[start+1:])
	dst = dst[:len(dst)-2]
	list, n := e.pairs()
	for _, a := range list[:n] {
		dst = append(dst, ", "...)
		dst = append(dst, a.Key...)
		dst = append(dst, '=')
		dst = journal.AppendQuoted(dst, a.Value.String(), textBytesMax)
	}
	return dst
}
