package netio

import "time"

// Late returns by how much the clock is behind with the ends of waits: up to a tick or two
// while it runs.
func (k *Clock) Late() time.Duration {
	k.mu.Lock()
	at := k.mu.at
	k.mu.Unlock()
	return k.Now() - time.Duration(at)*tick
}
