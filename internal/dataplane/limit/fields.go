package limit

import (
	"strconv"
	"time"
)

// integerMax is the largest Integer of a structured field (RFC 9651 section 3.3.1).
const integerMax = 999_999_999_999_999

// AppendPolicy appends the item of a rule for the RateLimit-Policy field, such as
// "api";q=200;w=2 (draft-ietf-httpapi-ratelimit-headers-11 section 3). Several items are
// joined by a comma. The quota is the burst and the window the time in which it comes back, in
// seconds, rounded up; where that is less than one, the quota is what one second gives.
func AppendPolicy(dst []byte, r Rule) []byte {
	m := newMeter(r.filled())
	quota, window := m.burst, seconds(m.duration(m.window))
	if m.window < m.ticks(time.Second) {
		quota = m.ticks(time.Second) / m.interval
	}
	dst = appendName(dst, r.Name)
	dst = appendParameter(dst, ";q=", int64(min(quota, integerMax)))
	return appendParameter(dst, ";w=", max(window, 1))
}

// AppendLimit appends the item of a decision for the RateLimit field, such as "api";r=3;t=1
// (section 4 of the same draft). The effective window t, in seconds, is the time until one
// more request is available; with full credit it is left out.
func AppendLimit(dst []byte, name string, d Decision) []byte {
	dst = appendName(dst, name)
	dst = appendParameter(dst, ";r=", d.Remaining)
	if d.Next > 0 {
		dst = appendParameter(dst, ";t=", seconds(d.Next))
	}
	return dst
}

// AppendRetryAfter appends the value of the Retry-After field (RFC 9110 section 10.2.3) in
// seconds, rounded up, at least 1. It is never less than the t of the same decision.
func AppendRetryAfter(dst []byte, retryAfter time.Duration) []byte {
	return strconv.AppendInt(dst, max(seconds(retryAfter), 1), 10)
}

// seconds returns whole seconds, rounded up.
func seconds(d time.Duration) int64 {
	s := d / time.Second
	if d%time.Second > 0 {
		s++
	}
	return int64(s)
}

func appendParameter(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(dst, name...), min(n, integerMax), 10)
}

// appendName appends a String (RFC 9651 section 3.3.3); what it can't hold becomes _.
func appendName(dst []byte, name string) []byte {
	dst = append(dst, '"')
	for i := range len(name) {
		switch c := name[i]; {
		case c < ' ' || c > '~':
			dst = append(dst, '_')
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
