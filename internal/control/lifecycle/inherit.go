package lifecycle

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/netio"
)

// inherit takes the sockets that the process was started with. sender is a process that may
// announce them beside the service manager.
func inherit(sender int, log *slog.Logger) *listen.Inherited {
	inherited, ignored := listen.Inherit(sender)
	if len(ignored) > 0 {
		log.Warn("descriptors that were announced are no listening sockets and aren't used", "names", strings.Join(ignored, " "))
	}
	return inherited
}

// clockLateMax is how late the clock of the data plane may be before it counts as hung.
const clockLateMax = 2 * time.Second

// hanging returns a function that says what of the data plane has hung since its last call.
func hanging(r *listen.Registry, clock *netio.Clock) func() []string {
	pulse := listen.NewPulse(r)
	return func() []string {
		var all []string
		for _, address := range pulse.Hanging() {
			all = append(all, "connections wait on "+address+" and aren't accepted")
		}
		if late := clock.Late(); late > clockLateMax {
			all = append(all, fmt.Sprintf("the clock of the data plane is %v late", late.Round(time.Millisecond)))
		}
		return all
	}
}
