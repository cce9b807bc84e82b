package metric

import "sync/atomic"

// Rollback is why an earlier configuration serves again.
type Rollback int

// The causes of rollbacks.
const (
	RollbackCommand     Rollback = iota // a person wanted it
	RollbackUnconfirmed                 // nobody confirmed the configuration in time
	RollbackRegression                  // requests fared worse than before
	rollbackCauses
)

// String returns the cause, its label value.
func (c Rollback) String() string { return [...]string{"command", "unconfirmed", "regression"}[c] }

// configState is how the configuration that serves stands to its past and its files.
type configState struct {
	rollbacks [rollbackCauses]atomic.Uint64
	pending   atomic.Bool
	differs   atomic.Bool
}

// ConfigRolledBack counts an earlier configuration that serves again.
func (r *Registry) ConfigRolledBack(c Rollback) { r.config.rollbacks[c].Add(1) }

// SetConfigPending records whether the configuration that serves awaits a confirmation.
func (r *Registry) SetConfigPending(pending bool) { r.config.pending.Store(pending) }

// SetConfigFilesServe records whether the files of the configuration hold what serves.
func (r *Registry) SetConfigFilesServe(same bool) { r.config.differs.Store(!same) }

func configFamilies() []family {
	return []family{
		row("sentinel_config_rollbacks_total", Counter, "Times that an earlier configuration served again, by cause.",
			func(v *view, e emitter) {
				for c := range rollbackCauses {
					e.counter(float64(v.config.rollbacks[c].Load()), c.String())
				}
			}, "cause"),
		row("sentinel_config_confirmation_pending", Gauge, "1 while the configuration that serves awaits a confirmation, else 0.",
			func(v *view, e emitter) { e.gauge(boolean(v.config.pending.Load())) }),
		row("sentinel_config_files_serve", Gauge, "1 while the files of the configuration hold what serves, else 0; looked at every 10 s.",
			func(v *view, e emitter) { e.gauge(boolean(!v.config.differs.Load())) }),
	}
}
