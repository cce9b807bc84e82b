package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// load is what the load generator reports of one run; times in microseconds.
type load struct {
	Requests      int64   `json:"requests"`
	Bytes         int64   `json:"bytes"`
	Micros        int64   `json:"micros"`
	P50           float64 `json:"p50"`
	P99           float64 `json:"p99"`
	Max           float64 `json:"max"`
	ConnectErrors int64   `json:"connectErrors"`
	ReadErrors    int64   `json:"readErrors"`
	WriteErrors   int64   `json:"writeErrors"`
	Timeouts      int64   `json:"timeouts"`
	BadStatus     int64   `json:"badStatus"`

	cpu time.Duration // what the generator itself used
}

// resultMarker starts the line that the load script prints.
const resultMarker = "RESULT "

// runLoad has wrk send requests to url over conns connections for d, on one
// core.
func runLoad(ctx context.Context, core int, script, url string, conns int, d time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(core), "wrk", "-t1", "-c"+strconv.Itoa(conns),
		"-d"+strconv.Itoa(int(d.Seconds()))+"s", "--timeout", "5s", "--latency", "-s", script, url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	l, err := parseLoad(out)
	l.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return l, err
}

// parseLoad finds the result line in what wrk printed.
func parseLoad(out []byte) (load, error) {
	var l load
	_, line, ok := bytes.Cut(out, []byte(resultMarker))
	if !ok {
		return l, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	if err := json.Unmarshal(line, &l); err != nil {
		return l, fmt.Errorf("result of wrk %q: %w", line, err)
	}
	return l, nil
}

// failure is nil when every request was answered as it should be: numbers of a
// run with failed requests mean nothing.
func (l load) failure() error {
	if l.Requests == 0 {
		return errors.New("no request was answered")
	}
	if l.ConnectErrors+l.ReadErrors+l.WriteErrors+l.Timeouts+l.BadStatus == 0 {
		return nil
	}
	return fmt.Errorf("failed requests: %d connect, %d read, %d write errors, %d timeouts, %d with another status than 2xx or 3xx (of %d)",
		l.ConnectErrors, l.ReadErrors, l.WriteErrors, l.Timeouts, l.BadStatus, l.Requests)
}
