package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// runStreams has h2load send requests to url for d, on one core: over conns connections with
// so many streams at once on each. It tells no percentiles.
func runStreams(ctx context.Context, core int, url string, conns, streams int, d time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(core), "h2load", "-t1", "-c"+strconv.Itoa(conns), "-m"+strconv.Itoa(streams),
		"-D"+strconv.Itoa(int(d.Seconds())), "--groups=X25519", url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	l, err := parseStreams(out)
	l.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return l, err
}

// The lines of h2load that count.
var (
	streamsProtocol = regexp.MustCompile(`(?m)^Application protocol: (\S+)`)
	streamsCipher   = regexp.MustCompile(`(?m)^Cipher: (\S+)`)
	streamsFinished = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s),`)
	streamsRequests = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	streamsStatuses = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
)

// parseStreams reads what h2load printed.
func parseStreams(out []byte) (load, error) {
	var l load
	protocol, finished := streamsProtocol.FindSubmatch(out), streamsFinished.FindSubmatch(out)
	requests, statuses := streamsRequests.FindSubmatch(out), streamsStatuses.FindSubmatch(out)
	if protocol == nil || finished == nil || requests == nil || statuses == nil {
		return l, fmt.Errorf("h2load printed no result:\n%s", out)
	}
	if p := string(protocol[1]); p != "h2" && p != "h2c" {
		return l, fmt.Errorf("h2load spoke %s instead of HTTP/2", p)
	}
	if c := streamsCipher.FindSubmatch(out); c != nil && string(c[1]) != cipherName {
		return l, fmt.Errorf("h2load spoke %s instead of %s", c[1], cipherName)
	}
	number := func(b []byte) int64 {
		n, _ := strconv.ParseInt(string(b), 10, 64) // digits, by the pattern
		return n
	}
	took, err := time.ParseDuration(string(finished[1]) + string(finished[2]))
	if err != nil {
		return l, err
	}
	l.Micros = took.Microseconds()
	l.Requests = number(statuses[1]) + number(statuses[2])
	l.BadStatus = number(statuses[3]) + number(statuses[4])
	l.ReadErrors, l.Timeouts = number(requests[2])+number(requests[3])-l.BadStatus, number(requests[4])
	l.ReadErrors = max(l.ReadErrors, 0)
	return l, nil
}
