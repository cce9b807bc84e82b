package breaker

import (
	"strconv"
	"time"
)

// Config says what opens a breaker and how it closes again. A form whose threshold or
// percentage is 0 is off; the other fields have a default, which stands for 0.
type Config struct {
	FailureThreshold int           // failures in a row that open it
	SuccessThreshold int           // successful trials that close it; default 2
	Timeout          time.Duration // how long it stays open, and how long a trial holds its slot at most; default 30s
	HalfOpenMax      int           // trials at once; default 1

	ErrorPercent int           // percentage of failed calls within Window that opens it
	SlowCall     time.Duration // a call of this length or longer is slow; 0: no call is
	SlowPercent  int           // percentage of slow calls within Window that opens it; a slow trial then counts as failed
	Window       time.Duration // default 10s; slides by a tenth
	MinRequests  int           // calls within Window below which percentages open nothing; default 20
}

// rules is a Config with its defaults filled in, and the window that its percentages need.
type rules struct {
	Config
	slow   bool    // whether slow calls matter
	off    bool    // whether no form is on
	window *window // nil unless a form looks at percentages
}

// newRules keeps the window of before, which may be nil, where it has the right length.
func newRules(cfg Config, before *rules) *rules {
	r := &rules{Config: cfg, slow: cfg.SlowCall > 0 && cfg.SlowPercent > 0}
	fill(&r.SuccessThreshold, 2)
	fill(&r.Timeout, 30*time.Second)
	fill(&r.HalfOpenMax, 1)
	fill(&r.Window, 10*time.Second)
	fill(&r.MinRequests, 20)
	shares := cfg.ErrorPercent > 0 || r.slow
	r.off = cfg.FailureThreshold <= 0 && !shares
	switch {
	case !shares:
	case before != nil && before.window != nil && before.Window == r.Window:
		r.window = before.window
	default:
		r.window = newWindow(r.Window)
	}
	return r
}

func fill[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// isSlow reports whether a call that took so long counts as slow.
func (r *rules) isSlow(took time.Duration) bool { return r.slow && took >= r.SlowCall }

// count puts a call into the window and returns why the breaker is to open, or "". Only a
// failed or slow call opens it.
func (r *rules) count(now, took time.Duration, o Outcome) string {
	failed, slow := o == Failure, r.isSlow(took)
	r.window.add(now, failed, slow)
	if !failed && !slow {
		return ""
	}
	all, failures, slows := r.window.sum(now)
	switch {
	case all < uint64(r.MinRequests):
		return ""
	case r.ErrorPercent > 0 && failures*100 >= all*uint64(r.ErrorPercent):
		return shareCause(failures, all, "failed")
	case r.slow && slows*100 >= all*uint64(r.SlowPercent):
		return shareCause(slows, all, "were slow")
	}
	return ""
}

func runCause(run uint32) string {
	if run == 1 {
		return "a failure"
	}
	return strconv.Itoa(int(run)) + " failures in a row"
}

func shareCause(part, all uint64, what string) string {
	return strconv.FormatUint(part*100/all, 10) + " % of " + strconv.FormatUint(all, 10) + " calls " + what
}
