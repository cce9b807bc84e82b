package lifecycle

import (
	"sync/atomic"

	"sentinel/internal/control/admin"
)

// State is where a process is in its life. It goes forward only; its zero value is
// starting.
type State struct{ at atomic.Int32 }

const (
	starting int32 = iota
	serving
	draining
)

func (s *State) set(at int32) { s.at.Store(at) }

// Starting reports whether the process doesn't serve yet.
func (s *State) Starting() bool { return s.at.Load() == starting }

// Draining reports whether the process finishes what it has and takes nothing new.
func (s *State) Draining() bool { return s.at.Load() == draining }

// String returns one of the states of the admin API.
func (s *State) String() string {
	return [...]string{admin.StateStarting, admin.StateServing, admin.StateDraining}[s.at.Load()]
}

// NotReady says why the state makes the process not ready to take traffic; nothing means
// that it doesn't.
func (s *State) NotReady() []string {
	if s.at.Load() == serving {
		return nil
	}
	return []string{s.String()}
}
