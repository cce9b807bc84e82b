package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sentinel/internal/observe/event"
)

const (
	// auditMode is the mode of the audit file: it holds names and addresses.
	auditMode = 0o640
	// auditRequestMax bounds what is kept of a request.
	auditRequestMax = 8 << 10
	// auditResultMax bounds what is kept of an answer that says why not.
	auditResultMax = 1 << 10
	// auditReadMax bounds what is read back of the file: its end.
	auditReadMax = 4 << 20
	// refusalsMax bounds the refused requests that are recorded in a minute.
	refusalsMax = 60
)

// AuditRecord is one line of the audit file.
type AuditRecord struct {
	Time    time.Time       `json:"time"`
	Actor   Actor           `json:"actor"`             // who, in which role and from where
	Action  string          `json:"action"`            // "POST /admin/drain", or what else was done: "SIGHUP"
	Request json.RawMessage `json:"request,omitempty"` // what was asked for
	Status  int             `json:"status"`            // of the answer (RFC 9110 section 15)
	OK      bool            `json:"ok"`
	Result  string          `json:"result,omitempty"` // why not
	Left    int             `json:"left,omitempty"`   // how many refused requests before this one aren't recorded
}

// Audit appends to a file who has asked for which change, and what became of it. A change
// is made also when its record can't be written: that happens when a disk is full, and a
// full disk must not keep operators from helping. It is told by an event, with the record.
type Audit struct {
	record func(event.Event)
	mu     struct {
		sync.Mutex
		path     string // "" before the first Open
		file     *os.File
		failing  bool
		minute   time.Time
		refusals int
		left     int
	}
}

// NewAudit returns an audit without a file. record keeps events and may be nil.
func NewAudit(record func(event.Event)) *Audit { return &Audit{record: record} }

// Prepare opens the file at path and makes its folder. Exactly one of the returned functions
// must be called.
func (a *Audit) Prepare(path string) (commit, abort func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, nil, fmt.Errorf("audit-file: %w", err)
	}
	f, err := openAudit(path)
	if err != nil {
		return nil, nil, err
	}
	return func() { a.use(path, f) }, func() { f.Close() }, nil
}

func openAudit(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, auditMode)
	if err != nil {
		return nil, fmt.Errorf("audit-file: %w", err)
	}
	return f, nil
}

func (a *Audit) use(path string, f *os.File) {
	a.mu.Lock()
	old := a.mu.file
	a.mu.path, a.mu.file = path, f
	a.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// Reopen opens the file by its name again, after it was rotated.
func (a *Audit) Reopen() error {
	a.mu.Lock()
	path := a.mu.path
	a.mu.Unlock()
	if path == "" {
		return nil
	}
	f, err := openAudit(path)
	if err == nil {
		a.use(path, f)
	}
	return err
}

// Close closes the file.
func (a *Audit) Close() { a.use("", nil) }

// Write appends a record whose Time is set here.
func (a *Audit) Write(r AuditRecord) {
	if a == nil {
		return
	}
	r.Time = time.Now()
	line, err := json.Marshal(r)
	if err != nil {
		r.Request = nil // it wasn't JSON
		line, _ = json.Marshal(r)
	}
	a.mu.Lock()
	err = errors.New("no file is open")
	if a.mu.file != nil {
		_, err = a.mu.file.Write(append(line, '\n'))
	}
	failed, before := err != nil, a.mu.failing
	a.mu.failing = failed
	a.mu.Unlock()
	switch {
	case a.record == nil:
	case failed:
		a.record(event.Event{Kind: event.KindAudit, Worse: true, To: "not written", Cause: err.Error(), Detail: string(line)})
	case before:
		a.record(event.Event{Kind: event.KindAudit, To: "written", Cause: "the audit file takes lines again"})
	}
}

// refused writes the record of a request that was refused for want of a role, unless too many
// come: strangers must not fill the disk.
func (a *Audit) refused(r AuditRecord) {
	if a == nil {
		return
	}
	a.mu.Lock()
	if now := time.Now(); now.Sub(a.mu.minute) >= time.Minute {
		a.mu.minute, a.mu.refusals = now, 0
	}
	a.mu.refusals++
	full := a.mu.refusals > refusalsMax
	if full {
		a.mu.left++
	} else {
		r.Left, a.mu.left = a.mu.left, 0
	}
	a.mu.Unlock()
	if full {
		return
	}
	if a.record != nil {
		a.record(denied(r.Actor, r.Action, r.Result))
	}
	a.Write(r)
}

// Last returns up to n of the last records of the file, the oldest first.
func (a *Audit) Last(n int) ([]AuditRecord, error) {
	a.mu.Lock()
	path := a.mu.path
	a.mu.Unlock()
	return ReadAudit(path, n)
}

// ReadAudit returns up to n of the last records of an audit file, the oldest first. Lines
// that aren't records are left out.
func ReadAudit(path string, n int) ([]AuditRecord, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []AuditRecord{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	begin := max(end-auditReadMax, 0)
	text, err := io.ReadAll(io.NewSectionReader(f, begin, end-begin))
	if err != nil {
		return nil, err
	}
	list := []AuditRecord{}
	for line := range bytes.Lines(text) {
		var r AuditRecord
		if json.Unmarshal(line, &r) == nil && r.Action != "" {
			list = append(list, r)
		}
	}
	return list[max(len(list)-n, 0):], nil
}

// observed keeps the status and the beginning of an answer that goes through.
type observed struct {
	http.ResponseWriter
	status int
	text   []byte
}

// WriteHeader implements http.ResponseWriter.
func (w *observed) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *observed) Write(b []byte) (int, error) {
	if w.status >= http.StatusBadRequest {
		w.text = append(w.text, b[:min(len(b), auditRequestMax-len(w.text))]...)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *observed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recorded has h make a change, and records it with what became of it.
func (s *Server) recorded(w http.ResponseWriter, r *http.Request, by Actor, h http.HandlerFunc) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bansBytesMax))
	if err != nil {
		refuse(w, badRequest("the request can't be read: %v", err))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	out := &observed{ResponseWriter: w, status: http.StatusOK}
	h(out, r)
	s.gate.audit.Write(AuditRecord{
		Actor: by, Action: r.Method + " " + r.URL.Path, Request: kept(body), Status: out.status,
		OK: out.status < http.StatusBadRequest, Result: whyNot(out),
	})
}

// recordRefusal records a request of who has not the role for it.
func (s *Server) recordRefusal(r *http.Request, by Actor, p *Problem) {
	s.gate.audit.refused(AuditRecord{Actor: by, Action: r.Method + " " + r.URL.Path, Status: p.Status, Result: p.Message})
}

// kept is what an audit keeps of a request: JSON as it is, else its beginning as a text.
func kept(body []byte) json.RawMessage {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	var flat bytes.Buffer
	if len(body) <= auditRequestMax && json.Compact(&flat, body) == nil {
		return flat.Bytes()
	}
	text, _ := json.Marshal(cutText(string(body), auditRequestMax) + "...")
	return text
}

// whyNot returns what an answer says about a change that wasn't made.
func whyNot(out *observed) string {
	if out.status < http.StatusBadRequest {
		return ""
	}
	var why struct {
		Error   string   `json:"error"`
		Details []string `json:"details"`
	}
	if json.Unmarshal(out.text, &why) != nil {
		return http.StatusText(out.status)
	}
	return cutText(strings.Join(append([]string{why.Error}, why.Details...), "; "), auditResultMax)
}

func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
