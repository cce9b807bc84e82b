package lifecycle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sentinel/internal/control/admin"
)

// pending starts a fixture whose second configuration is to be confirmed within a second.
// Its first one can be built while may holds true.
func pending(t *testing.T) (f *fixture, may *atomic.Bool) {
	t.Helper()
	f, may = newFixture(t), &atomic.Bool{}
	may.Store(true)
	first := f.good(1)
	f.set(func() (*Loaded, error) {
		l, err := first()
		build := l.Build
		l.Build = func(slot func(string) int) (commit, abort func(), err error) {
			if !may.Load() {
				return nil, nil, errors.New("no snapshot")
			}
			return build(slot)
		}
		return l, err
	})
	f.start()
	f.set(f.good(2))
	if o := f.Reload(t.Context(), admin.ReloadRequest{ConfirmSeconds: 1}, nil); !o.OK || f.Status().Confirmation == nil {
		t.Fatalf("Reload() = %+v, awaiting %+v, want success and a confirmation", o, f.Status().Confirmation)
	}
	f.log("Configuration reload succeeded", "generation=2")
	return f, may
}

func noConfig() (*Loaded, error) {
	return nil, &ConfigError{Kind: "validation error", Lines: []string{"c.kdl:1:1: error: a certificate is gone"}}
}

// What served before serves again as it was, where its texts don't load any more.
func TestRevertToWhatIsInMemory(t *testing.T) {
	f, _ := pending(t)
	f.set(noConfig)
	f.log("Configuration reload succeeded", "cause=revert: unconfirmed", "generation=3")
	if f.serving.Load() != 1 {
		t.Errorf("serving %d, want 1", f.serving.Load())
	}
	f.stop()
}

// A revert that fails leaves all as it is, and is tried again.
func TestRevertThatFailsIsTriedAgain(t *testing.T) {
	f, may := pending(t)
	may.Store(false)
	f.set(noConfig)
	f.log("Configuration reload failed", "cause=revert: unconfirmed", "no snapshot", "generation=2")
	if f.serving.Load() != 2 || f.Status().Confirmation == nil {
		t.Errorf("serving %d, awaiting %v, want 2 and a confirmation", f.serving.Load(), f.Status().Confirmation)
	}
	may.Store(true)
	f.request(t.Context(), func() {
		if wait := time.Until(f.probation.failed.at); wait < lookAgain/2 || wait > lookAgain {
			t.Errorf("tried again in %v, want about %v", wait, lookAgain)
		}
		f.probation.failed.at = time.Now()
		f.arm()
	})
	f.log("Configuration reload succeeded", "cause=revert: unconfirmed", "generation=3")
	f.request(t.Context(), func() {})
	if s := f.Status(); f.serving.Load() != 1 || s.Confirmation != nil || s.Deviation == nil {
		t.Errorf("serving %d, status %+v, want 1 and no confirmation", f.serving.Load(), s.ConfigState)
	}
	f.stop()
}

// A confirmation that a restart would forget isn't promised.
func TestPromiseThatCanNotBeKept(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.set(f.good(2))
	for name, c := range map[string]struct {
		spoil, mend func()
		seconds     int64
		want        string
	}{
		"no file": {
			func() { os.MkdirAll(filepath.Join(f.dir, "state", confirmationFile, "in the way"), 0o700) },
			func() { os.RemoveAll(filepath.Join(f.dir, "state", confirmationFile)) },
			60, "can't be kept over a restart",
		},
		"another state folder": {
			func() {
				load := f.good(2)
				f.set(func() (*Loaded, error) {
					l, err := load()
					l.Settings.StateDir += "2"
					return l, err
				})
			},
			func() { f.set(f.good(2)) },
			60, "state-dir changes",
		},
		"no time": {func() {}, func() {}, -1, "1 to 604800 seconds"},
	} {
		c.spoil()
		aborted := f.aborted.Load()
		o := f.Reload(t.Context(), admin.ReloadRequest{ConfirmSeconds: c.seconds}, nil)
		f.log("Configuration reload failed", "a confirmation can't be awaited", c.want)
		if o.OK || !strings.Contains(strings.Join(o.Details, "\n"), c.want) || f.serving.Load() != 1 || f.aborted.Load() != aborted+1 || f.Status().Confirmation != nil {
			t.Errorf("%s: Reload() = %+v, serving %d, want it refused and nothing changed", name, o, f.serving.Load())
		}
		c.mend()
	}
	f.stop()
}
