package lifecycle

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are the requests that come by signal. Each channel holds one: more of a kind
// than can be served melt into one, and none is lost.
type signals struct {
	hup, usr1, usr2, stop chan os.Signal
}

func catchSignals() *signals {
	s := &signals{
		hup: make(chan os.Signal, 1), usr1: make(chan os.Signal, 1),
		usr2: make(chan os.Signal, 1), stop: make(chan os.Signal, 1),
	}
	signal.Notify(s.hup, syscall.SIGHUP)
	signal.Notify(s.usr1, syscall.SIGUSR1)
	signal.Notify(s.usr2, syscall.SIGUSR2)
	signal.Notify(s.stop, syscall.SIGTERM, os.Interrupt)
	return s
}

func (s *signals) release() {
	for _, c := range []chan os.Signal{s.hup, s.usr1, s.usr2, s.stop} {
		signal.Stop(c)
	}
}
