package certs

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/compile"
	"sentinel/internal/observe/event"
)

const day = 24 * time.Hour

// stages are how long before the end of a certificate it is told of; the last is the end.
var stages = [...]time.Duration{30 * day, 14 * day, 7 * day, day, 0}

// lifetimePart is the part of a certificate's life that a stage may be at most: one that lives
// for a week isn't told of from its first day on.
const lifetimePart = 3

// stage returns how many of the stages a certificate that ends at end has passed, of those
// that count for its life.
func stage(begin, end, now time.Time) int {
	passed := 0
	for i, before := range stages {
		if before > end.Sub(begin)/lifetimePart {
			continue
		}
		if !now.Before(end.Add(-before)) {
			passed = i + 1
		}
	}
	return passed
}

// ageKey is one certificate in one use.
type ageKey struct {
	side, name, file string
	cert             [sha256.Size]byte
}

// tellAge tells of every certificate that has passed a stage since the last look.
func (k *Keeper) tellAge(now time.Time) {
	told := make(map[ageKey]int)
	for _, u := range k.opt.InUse() {
		for _, c := range u.Chain {
			if u.Role != certguard.Authority && c != u.Chain[0] && c.IsCA && string(c.RawSubject) == string(c.RawIssuer) {
				continue // a root that is sent along: nobody looks at it
			}
			key := ageKey{u.Side, u.Name, u.File, sha256.Sum256(c.Raw)}
			if told[key] > 0 {
				continue // it stands twice
			}
			passed := stage(c.NotBefore, c.NotAfter, now)
			_, known := k.told[key]
			ended := u.Role == certguard.Authority && passed == len(stages) // bundles hold such
			if passed > k.told[key] && (known || !ended) {
				k.opt.Events.Emit(ageEvent(&u, c.Subject.CommonName, c.NotAfter, now))
			}
			told[key] = passed
		}
	}
	k.told = told
}

func ageEvent(u *compile.InUse, subject string, end, now time.Time) event.Event {
	e := event.Event{
		Kind: event.KindCertificate, Worse: true, Certificate: u.File, To: "expires soon", Cause: left(end.Sub(now)),
		Detail: fmt.Sprintf("%s certificate of %s %s, common name %q, until %s", u.Role, u.Side, u.Name, subject, end.UTC().Format(time.RFC3339)),
	}
	if u.Side == "upstream" {
		e.Upstream = u.Name
	}
	if !now.Before(end) {
		e.To, e.Cause = "expired", "its time is over"
	}
	return e
}

// left writes how long something lasts yet, rounded down.
func left(d time.Duration) string {
	switch n := int(d / day); {
	case n == 1:
		return "1 day left"
	case n > 1:
		return fmt.Sprintf("%d days left", n)
	}
	return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s") + " left"
}
