package incident

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The messages to those affected.
const (
	MessageInitial  = "initial"
	MessageUpdate   = "update"
	MessageResolved = "resolved"
)

// Messages returns their names.
func Messages() []string { return []string{MessageInitial, MessageUpdate, MessageResolved} }

// unknown stands where a person has to write something.
const unknown = "[to be filled in]"

func orUnknown(text string) string {
	if text == "" {
		return unknown
	}
	return oneLine(text)
}

// Message returns one of Messages, filled with what is known at a moment.
func Message(kind string, r *Record, now time.Time) (string, error) {
	service := r.Service
	if service == "" {
		service = unknown
	}
	var b strings.Builder
	switch kind {
	case MessageInitial:
		initialMessage(&b, r, service, now)
	case MessageUpdate:
		updateMessage(&b, r, service, now)
	case MessageResolved:
		resolvedMessage(&b, r, service, now)
	default:
		return "", fmt.Errorf("there is no message %q: there are %s", kind, strings.Join(Messages(), ", "))
	}
	return b.String(), nil
}

func initialMessage(b *strings.Builder, r *Record, service string, now time.Time) {
	fmt.Fprintf(b, "Subject: [INVESTIGATING] %s - %s\n\n", service, orUnknown(r.Summary))
	fmt.Fprintf(b, "We are looking into a problem with %s.\n\n", service)
	fmt.Fprintf(b, "Status: investigating\nImpact: %s\nStarted: %s\n\n", impactText(r), clock(begin(r)))
	fmt.Fprintf(b, "We tell you more every %d minutes until it is solved.\nNext update: %s\n", int(r.Severity.UpdateEvery().Minutes()), clock(now.Add(r.Severity.UpdateEvery())))
}

func updateMessage(b *strings.Builder, r *Record, service string, now time.Time) {
	fmt.Fprintf(b, "Subject: [UPDATE] %s - %s\n\n", service, orUnknown(r.Summary))
	fmt.Fprintf(b, "Status: %s\nImpact: %s\nDuration so far: %s\n\n", stage(r), impactText(r), lasted(now.Sub(begin(r))))
	fmt.Fprintf(b, "What we know and have done:\n")
	if len(r.Notes) == 0 {
		fmt.Fprintf(b, "- %s\n", unknown)
	}
	for _, n := range r.Notes[max(0, len(r.Notes)-messageNotes):] {
		fmt.Fprintf(b, "- %s %s\n", clock(n.At), oneLine(n.Text))
	}
	fmt.Fprintf(b, "\nWhat comes next: %s\nNext update: %s\n", unknown, clock(now.Add(r.Severity.UpdateEvery())))
}

// messageNotes is how many of the newest notes an update tells.
const messageNotes = 5

func resolvedMessage(b *strings.Builder, r *Record, service string, now time.Time) {
	end := now
	if !r.Open() {
		end = r.Ended
	}
	fmt.Fprintf(b, "Subject: [RESOLVED] %s - %s\n\n", service, orUnknown(r.Summary))
	fmt.Fprintf(b, "The problem with %s is solved.\n\n", service)
	fmt.Fprintf(b, "Status: resolved\nDuration: %s\nImpact: %s\n\n", lasted(end.Sub(begin(r))), impactText(r))
	fmt.Fprintf(b, "Cause: %s\nWhat we did: %s\n\n", unknown, unknown)
	fmt.Fprintf(b, "We are sorry for the trouble. A post-mortem follows.\n")
}

// stage is the status of an incident that is open, in the words of status pages.
func stage(r *Record) string {
	switch {
	case !r.Open():
		return "resolved"
	case !r.Marks[MarkMitigated].IsZero():
		return "monitoring"
	case len(r.Notes) > 0:
		return "identified"
	}
	return "investigating"
}

// begin is when those affected began to be.
func begin(r *Record) time.Time {
	if at, ok := r.Marks[MarkOnset]; ok {
		return at
	}
	return r.Started
}

func impactText(r *Record) string {
	requests, errors := r.Affected()
	if requests == 0 {
		return unknown
	}
	return fmt.Sprintf("%s of %d requests failed", share(errors, requests), requests)
}

func share(part, whole uint64) string {
	percent := 100 * float64(part) / float64(max(1, whole))
	if percent < 1 {
		return strconv.FormatFloat(percent, 'g', 2, 64) + " %"
	}
	return strconv.FormatFloat(percent, 'f', 0, 64) + " %"
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// lasted is a duration in hours and minutes.
func lasted(d time.Duration) string {
	minutes := int(max(0, d).Minutes() + 0.5)
	if minutes < 60 {
		return fmt.Sprintf("%d minutes", minutes)
	}
	return fmt.Sprintf("%d hours %d minutes", minutes/60, minutes%60)
}
