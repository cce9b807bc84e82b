// Package lastrun keeps in the state folder what is known of a run of the process, so that the
// next one, and whoever looks for what went wrong, can tell how it ended: a run that has ended
// well takes its mark away, and one that was killed or crashed leaves it.
//
//	run.json       the run that goes on, or that ended without a word
//	crash.txt      what the runtime said of a crash of that run
//	last-end.json  the last end that wasn't a good one, found by the run after it
package lastrun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// The files in the state folder.
const (
	runFile   = "run.json"
	crashFile = "crash.txt"
	endFile   = "last-end.json"
)

// crashBytesMax is how much of a crash is kept: the message and the first goroutines.
const crashBytesMax = 16 << 10

// version is that of the files.
const version = 1

// Run is one run of the process.
type Run struct {
	Version    int       `json:"version"`
	PID        int       `json:"pid"`
	Ticks      uint64    `json:"start_ticks"` // when the kernel started it, which tells it from a later process of that number (proc_pid_stat(5))
	Boot       string    `json:"boot_id"`
	Started    time.Time `json:"started"`
	Release    string    `json:"release"` // of the program
	ConfigFile string    `json:"config_file"`
}

// The ways to end badly.
const (
	Crashed  = "crashed"  // by a panic or an error of the runtime
	Killed   = "killed"   // by a signal that leaves no word, such as that of the kernel when memory is out
	Rebooted = "rebooted" // with the machine
	Unborn   = "unborn"   // it could not start
)

// End is an end that wasn't a good one.
type End struct {
	Version int       `json:"version"`
	Run     Run       `json:"run"`
	How     string    `json:"how"`
	Found   time.Time `json:"found"`
	Cause   string    `json:"cause,omitempty"`  // one line
	Detail  string    `json:"detail,omitempty"` // what the runtime or the start said
}

// String tells the end in one line.
func (e *End) String() string {
	s := fmt.Sprintf("process %d, started %s, %s", e.Run.PID, e.Run.Started.UTC().Format(time.RFC3339), e.How)
	if e.Cause != "" {
		s += ": " + e.Cause
	}
	return s
}

// Mark is that of the run that goes on.
type Mark struct {
	dir string
	pid int
}

// Begin leaves the mark of this process in a state folder and has the runtime write there what
// it says of a crash. It returns how the last run ended where that wasn't well, else nil.
func Begin(dir string, r Run) (*Mark, *End, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, err
	}
	now := time.Now()
	end := unclean(dir, now)
	if end != nil {
		if err := write(dir, endFile, end); err != nil {
			return nil, end, err
		}
	}
	r.Version, r.PID, r.Ticks, r.Boot = version, os.Getpid(), startTicks(os.Getpid()), bootID()
	if r.Started.IsZero() {
		r.Started = now
	}
	if err := write(dir, runFile, &r); err != nil {
		return nil, end, err
	}
	return &Mark{dir, r.PID}, end, divert(dir)
}

// divert has crashes written to a file beside standard error.
func divert(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, crashFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // the runtime has a descriptor of its own
	return debug.SetCrashOutput(f, debug.CrashOptions{})
}

// End takes the mark away: the run ends well. A mark that another process has put there since
// stays.
func (m *Mark) End() {
	if m == nil {
		return
	}
	debug.SetCrashOutput(nil, debug.CrashOptions{})
	if r := readRun(m.dir); r != nil && r.PID == m.pid {
		os.Remove(filepath.Join(m.dir, runFile))
		os.Remove(filepath.Join(m.dir, crashFile))
	}
}

// Dir returns the state folder of the mark; "" of nil.
func (m *Mark) Dir() string {
	if m == nil {
		return ""
	}
	return m.dir
}

// StartFailed notes that this process could not start. cause is one line.
func StartFailed(dir string, r Run, cause, detail string) error {
	r.Version, r.PID, r.Boot = version, os.Getpid(), bootID()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return write(dir, endFile, &End{Version: version, Run: r, How: Unborn, Found: time.Now(), Cause: cause, Detail: cut(detail)})
}

// State is what a state folder tells.
type State struct {
	Run   *Run // the run that goes on, or ended without a word; nil where there is none
	Alive bool // it goes on
	End   *End // the last end that wasn't well, that of Run too; nil where none is known
}

// Read returns what a state folder tells. Its error is that of a folder that can't be read; one
// that isn't there tells nothing.
func Read(dir string) (State, error) {
	var s State
	if _, err := os.ReadDir(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return s, nil
		}
		return s, err
	}
	s.Run = readRun(dir)
	s.Alive = s.Run != nil && s.Run.alive()
	s.End = unclean(dir, time.Now())
	if s.End == nil {
		var e End
		if read(dir, endFile, &e) == nil && e.How != "" {
			s.End = &e
		}
	} else {
		var e End
		if read(dir, endFile, &e) == nil && e.Found.After(s.End.Run.Started) && e.How == Unborn {
			s.End.Detail = strings.TrimSpace(s.End.Detail + "\nsince then it could not start: " + e.Cause)
		}
	}
	return s, nil
}

// unclean returns the end of the run whose mark is there though it is over.
func unclean(dir string, now time.Time) *End {
	r := readRun(dir)
	if r == nil || r.alive() {
		return nil
	}
	e := &End{Version: version, Run: *r, How: Killed, Found: now}
	if r.Boot != bootID() {
		e.How = Rebooted
		return e
	}
	if text := readCrash(dir); text != "" {
		e.How, e.Detail = Crashed, text
		e.Cause, _, _ = strings.Cut(text, "\n")
	}
	return e
}

func readCrash(dir string) string {
	f, err := os.Open(filepath.Join(dir, crashFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, crashBytesMax))
	return strings.TrimSpace(string(b))
}

func readRun(dir string) *Run {
	var r Run
	if read(dir, runFile, &r) != nil || r.PID <= 0 {
		return nil
	}
	return &r
}

// alive reports whether the process of the run is there.
func (r *Run) alive() bool {
	ticks := startTicks(r.PID)
	return ticks != 0 && r.Boot == bootID() && (r.Ticks == 0 || r.Ticks == ticks)
}

// startTicks returns when the kernel started a process; 0 for none, or one that is dead and
// waits for its parent.
func startTicks(pid int) uint64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in brackets may hold anything, brackets too.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const state, start = 0, 19 // fields 3 and 22 of the page
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return 0
	}
	n, _ := strconv.ParseUint(fields[start], 10, 64)
	return n
}

func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

func read(dir, name string, into any) error {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// write puts a file in its place in one step. A crash of the machine may lose it.
func write(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}

func cut(s string) string { return s[:min(len(s), crashBytesMax)] }
