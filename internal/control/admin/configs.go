package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The states of a kept configuration.
const (
	KeptGood     = "good"     // it has served and nothing speaks against it
	KeptPending  = "pending"  // it serves and awaits a confirmation
	KeptReverted = "reverted" // it has served and was taken back; it serves again only when asked for by name
	KeptUnserved = "unserved" // it was in the files when another was put there, and hasn't served
)

// HistoryEntry is one kept configuration: the texts of all its files.
type HistoryEntry struct {
	Number     int           `json:"number"`
	At         time.Time     `json:"at"`                 // when it began to serve, or was kept
	Cause      string        `json:"cause"`              // what made it serve: "start", "SIGHUP", "admin", "rollback to 3"
	By         *Actor        `json:"by,omitempty"`       // who asked, where that is known
	Generation uint64        `json:"generation"`         // in its process; 0 when it hasn't served
	State      string        `json:"state"`              // one of the Kept constants
	Why        string        `json:"why,omitempty"`      // it is in that state
	CopyOf     int           `json:"copy_of,omitempty"`  // the entry that a rollback brought back as this one
	Hash       string        `json:"sha256"`             // over the names and texts of all files
	Bytes      int64         `json:"bytes"`              // of all texts
	Files      []HistoryFile `json:"files"`              // the main file first
	Serving    bool          `json:"serving,omitempty"`  // it is what serves now
	InFiles    bool          `json:"in_files,omitempty"` // it is what the files hold now
}

// HistoryFile is one file of a kept configuration.
type HistoryFile struct {
	Path   string `json:"path"` // where it belongs, absolute
	Name   string `json:"name"` // where its text is kept, below the folder of the entry
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of the text, in hex
	Mode   uint32 `json:"mode"`   // of the file, such as 0o640
}

// HistoryTexts are a kept configuration with its texts, in the order of its Files.
type HistoryTexts struct {
	HistoryEntry
	Texts []string `json:"texts"`
}

// ConfigState is how the configuration that serves stands to its files and its past; part of
// Status.
type ConfigState struct {
	// Entry is the number in the history of what serves; 0 when it isn't kept.
	Entry int `json:"history_entry"`
	// FilesDiffer says how the files of the configuration differ from what serves, a line
	// each; nothing when they don't.
	FilesDiffer []string `json:"files_differ,omitempty"`
	// Confirmation is one that what serves awaits.
	Confirmation *Confirmation `json:"confirmation,omitempty"`
	// ComparedUntil is how long what serves is compared with what served before.
	ComparedUntil *time.Time `json:"compared_until,omitempty"`
	// Regression says how requests fare worse than before the last reload, a line each.
	Regression []string `json:"regression,omitempty"`
	// Deviation says why something else serves than what was asked for last.
	Deviation *Deviation `json:"deviation,omitempty"`
}

// The causes of a Deviation.
const (
	DeviationUnconfirmed = "unconfirmed" // nobody confirmed it in time
	DeviationRegression  = "regression"  // requests fared worse than before
	DeviationFallback    = "fallback"    // it was broken when the process started
)

// Deviation is a configuration that serves in place of another.
type Deviation struct {
	At      time.Time `json:"at"`
	Cause   string    `json:"cause"`             // one of the Deviation constants
	Why     string    `json:"why"`               // in words
	Details []string  `json:"details,omitempty"` // one line per problem of a broken one
	Entry   int       `json:"entry"`             // number in the history of what serves
	Instead int       `json:"instead,omitempty"` // number of what doesn't; 0 when it never served
}

// ReloadRequest asks for a reload.
type ReloadRequest struct {
	// ConfirmSeconds is after how long it is taken back unless it is confirmed; 0: never.
	ConfirmSeconds int64 `json:"confirm_seconds,omitempty"`
	// Again lets a configuration serve that was taken back before.
	Again bool `json:"again,omitempty"`
}

// Confirmation is one that is awaited.
type Confirmation struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`        // then what served before serves again
	Cause  string    `json:"cause"`        // of the reload
	By     *Actor    `json:"by,omitempty"` // who asked for the reload
	Before int       `json:"before"`       // number of what would serve again
}

// ConfirmRequest confirms what serves.
type ConfirmRequest struct{}

// Confirmed says what was confirmed.
type Confirmed struct {
	Generation uint64 `json:"generation"`
	Entry      int    `json:"history_entry"`
	Undo       int    `json:"undo,omitempty"` // number of what would have served again
}

// RollbackRequest asks for a kept configuration to serve.
type RollbackRequest struct {
	// Number is that of the entry; 0 goes one step back: where the files differ from what
	// serves they get that again, else what served before serves.
	Number int `json:"number,omitempty"`
	// Serving puts what serves into the files, and leaves the traffic as it is.
	Serving bool `json:"serving,omitempty"`
	DryRun  bool `json:"dry_run,omitempty"` // change nothing, say what would
}

// RollbackResult says what a rollback did, or would do.
type RollbackResult struct {
	DryRun  bool     `json:"dry_run,omitempty"`
	Number  int      `json:"number"` // of the entry that was brought back; 0 when what serves isn't kept
	Outcome Outcome  `json:"outcome"`
	Changes []string `json:"changes,omitempty"` // for the traffic, a line each
	// Kept is the number of what the files held before.
	Kept int `json:"kept,omitempty"`
	// Files are the changes of files. Those that the process may not make are left to the
	// one who asks.
	Files []FileChange `json:"files,omitempty"`
	Undo  int          `json:"undo,omitempty"` // number of what served before
}

// FileChange is what becomes of one file of the configuration.
type FileChange struct {
	Path   string `json:"path"`
	Remove bool   `json:"remove,omitempty"` // it would be included and isn't part of the configuration
	Text   string `json:"text,omitempty"`   // that is written, unless Remove
	Mode   uint32 `json:"mode,omitempty"`
	Before string `json:"before,omitempty"` // SHA-256 in hex of what it held; empty when it wasn't there
	Done   bool   `json:"done,omitempty"`
	Error  string `json:"error,omitempty"` // why it isn't done
}

// Configs is what the API shows of kept configurations and does with them. Its methods are
// called from any goroutine; their errors are *Problem where the request is at fault.
type Configs interface {
	// History returns the kept configurations, the newest first.
	History() ([]HistoryEntry, error)
	// Kept returns one of them with its texts.
	Kept(number int) (HistoryTexts, error)
	// Confirm has what serves stay that awaits a confirmation.
	Confirm(ctx context.Context, by Actor) (Confirmed, error)
	// Rollback makes one of them serve.
	Rollback(ctx context.Context, q RollbackRequest, by Actor) (RollbackResult, error)
}

// AddConfigs lets the API show and bring back configurations. It is called before Serve.
func (s *Server) AddConfigs(c Configs) {
	s.read("GET /admin/history", func(w http.ResponseWriter, _ *http.Request) {
		list, err := c.History()
		answer(w, list, err)
	})
	s.administer("GET /admin/history/{number}", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(r.PathValue("number"))
		if err != nil {
			refuse(w, badRequest("%q is no number of a kept configuration", r.PathValue("number")))
			return
		}
		kept, err := c.Kept(number)
		answer(w, kept, err)
	})
	s.administer("POST /admin/confirm", func(w http.ResponseWriter, r *http.Request) {
		change(w, r, func(_ ConfirmRequest, by Actor) (Confirmed, error) { return c.Confirm(r.Context(), by) })
	})
	s.administer("POST /admin/rollback", func(w http.ResponseWriter, r *http.Request) {
		change(w, r, func(q RollbackRequest, by Actor) (RollbackResult, error) { return c.Rollback(r.Context(), q, by) })
	})
}

// answer replies with v, or with the problem that err is.
func answer(w http.ResponseWriter, v any, err error) {
	var problem *Problem
	switch {
	case err == nil:
		reply(w, http.StatusOK, v)
	case errors.As(err, &problem):
		refuse(w, problem)
	default:
		refuse(w, &Problem{Status: http.StatusInternalServerError, Message: err.Error()})
	}
}

// reloadBytesMax bounds a request for a reload.
const reloadBytesMax = 4 << 10

// addReload lets the API reload. A request without content asks for a plain reload; one
// whose sender isn't known is served, and says so.
func (s *Server) addReload(p Process) {
	s.administer("POST /admin/reload", func(w http.ResponseWriter, r *http.Request) {
		var q ReloadRequest
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, reloadBytesMax))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil && !errors.Is(err, io.EOF) {
			refuse(w, badRequest("not a request that is understood: %v", err))
			return
		}
		var by *Actor
		if a, err := actorOf(r.Context()); err == nil {
			by = &a
		}
		o := p.Reload(r.Context(), q, by)
		status := http.StatusOK
		if !o.OK {
			status = http.StatusUnprocessableEntity
		}
		reply(w, status, o)
	})
}

// Reload asks for a reload and waits for its outcome, which may be that it failed.
func (c *Client) Reload(ctx context.Context) (Outcome, error) {
	return c.ReloadWith(ctx, ReloadRequest{})
}

// ReloadWith is Reload with what may be asked for more.
func (c *Client) ReloadWith(ctx context.Context, q ReloadRequest) (o Outcome, err error) {
	return o, c.call(ctx, http.MethodPost, "/admin/reload", q, &o)
}

// History asks for the kept configurations, the newest first.
func (c *Client) History(ctx context.Context) (list []HistoryEntry, err error) {
	return list, c.call(ctx, http.MethodGet, "/admin/history", nil, &list)
}

// Kept asks for a kept configuration with its texts; the error of an unknown number is a
// *Problem.
func (c *Client) Kept(ctx context.Context, number int) (h HistoryTexts, err error) {
	return h, c.call(ctx, http.MethodGet, "/admin/history/"+strconv.Itoa(number), nil, &h)
}

// Confirm confirms the configuration that serves; the error of one that doesn't await that is
// a *Problem.
func (c *Client) Confirm(ctx context.Context) (r Confirmed, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/confirm", ConfirmRequest{}, &r)
}

// Rollback asks for a kept configuration to serve. A result may tell of a failure in its
// Outcome.
func (c *Client) Rollback(ctx context.Context, q RollbackRequest) (r RollbackResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/rollback", q, &r)
}
