package lifecycle

import (
	"slices"

	"sentinel/internal/dataplane/listen"
)

// keepsafe keeps the listening sockets with the service manager, which passes them to the
// next process after this one's end: nobody is refused meanwhile (sd_pid_notify_with_fds(3)).
type keepsafe struct {
	notify notifier
	names  []string // of what is kept
}

// sync makes what is kept the same as all.
func (k *keepsafe) sync(all []listen.Passable) {
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		if !slices.Contains(k.names, s.Name) {
			k.notify.sendSocket(s.Conn, "FDSTORE=1", "FDNAME="+s.Name)
		}
	}
	k.forget(slices.DeleteFunc(k.names, func(name string) bool { return slices.Contains(names, name) }))
	k.names = names
}

// forget has the service manager close what it keeps by those names.
func (k *keepsafe) forget(names []string) {
	for _, name := range names {
		k.notify.send("FDSTOREREMOVE=1", "FDNAME="+name)
	}
}

// settle keeps the sockets of the first generation, and gives up what was passed to this
// process and has no use any more.
func (p *Process) settle() {
	bound := p.listening(true)
	for _, s := range p.opt.Inherited.Unused() {
		if isPassed := slices.ContainsFunc(bound, func(b listen.Passable) bool { return b.Name == s.Name }); isPassed {
			continue // the same one twice: from the keepsafe and from a socket unit
		}
		p.keepsafe.forget([]string{s.Name})
		if !slices.ContainsFunc(p.registry.Bindings(), func(b listen.Binding) bool { return b.Address == s.Address }) {
			p.log.Warn("a socket that was passed to this process has no listener", "name", s.Name, "address", s.Address)
		}
	}
	p.opt.Inherited.Close()
	p.keepsafe.sync(p.listening(false))
}
