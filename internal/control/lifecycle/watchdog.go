package lifecycle

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
)

// beatsPerLimit is how often this process says that it lives within the time after which the
// service manager takes it for dead.
const beatsPerLimit = 3

// watchdog tells the service manager that the data plane lives (sd_watchdog_enabled(3)).
type watchdog struct {
	notify  notifier
	every   time.Duration // 0: nobody asks
	hanging func() []string
	log     *slog.Logger
}

// newWatchdog takes from the environment how often the service manager wants to hear.
func newWatchdog(n notifier, hanging func() []string, log *slog.Logger) *watchdog {
	w := &watchdog{notify: n, hanging: hanging, log: log}
	pid := os.Getenv("WATCHDOG_PID")
	limit, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err == nil && limit > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) && hanging != nil {
		w.every = time.Duration(limit) * time.Microsecond / beatsPerLimit
	}
	return w
}

// run tells it until ctx ends. While something hangs nothing is told, but logged once.
func (w *watchdog) run(ctx context.Context) {
	if w.every == 0 {
		return
	}
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	said := false
	for {
		if what := w.hanging(); len(what) == 0 {
			w.notify.send("WATCHDOG=1")
			said = false
		} else if !said {
			said = true
			w.log.Error("the data plane hangs, the watchdog isn't told that it lives", "error", "internal fault", "detail", strings.Join(what, "; "))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
