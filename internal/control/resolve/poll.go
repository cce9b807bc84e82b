package resolve

import (
	"slices"
	"time"
)

// poll looks at the files until Close.
func (r *Resolver) poll() {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.wakePoll:
		case <-ticker.C:
		}
		if r.pollSystem() {
			r.RefreshNow()
		}
		for _, l := range r.listsNow() {
			if r.ctx.Err() != nil {
				return
			}
			r.pollList(l)
		}
	}
}

// pollSystem reads the hosts file and resolv.conf when they have changed, and reports
// whether they have. A file that can't be read, or names no server where it did before,
// changes nothing: it is being replaced.
func (r *Resolver) pollSystem() (changed bool) {
	if data, news, err := r.hosts.read(); news && err == nil {
		hosts := parseHosts(data)
		r.mu.Lock()
		changed = !equalHosts(hosts, r.mu.system.hosts)
		r.mu.system.hosts = hosts
		r.mu.Unlock()
	}
	if len(r.opts.Servers) > 0 {
		return changed
	}
	if data, news, err := r.conf.read(); news && err == nil {
		next := parseResolvConf(data)
		r.mu.Lock()
		if len(next.servers) == 0 && slices.Equal(r.mu.system.servers, []string{localServer}) {
			next.servers = []string{localServer}
		}
		if len(next.servers) > 0 && !r.mu.system.equal(next) {
			next.hosts = r.mu.system.hosts
			r.mu.system, changed = next, true
		}
		r.mu.Unlock()
	}
	return changed
}

func (r *Resolver) listsNow() []*list {
	r.mu.Lock()
	defer r.mu.Unlock()
	lists := make([]*list, 0, len(r.mu.lists))
	for _, l := range r.mu.lists {
		lists = append(lists, l)
	}
	return lists
}

// pollList reads a file of targets when it has changed.
func (r *Resolver) pollList(l *list) {
	data, news, err := l.file.read()
	if !news {
		return
	}
	var targets []target
	if err == nil {
		targets, err = parseTargets(l.file.path, data)
	}
	r.mu.Lock()
	before := l.err
	r.storeListLocked(l, targets, err)
	kept := len(l.targets)
	r.mu.Unlock()
	wake(r.wakeSchedule)
	wake(r.wakeTell)
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		r.opts.Log.Error("file of targets not taken", "file", l.file.path, "error", err, "targets_kept", kept)
	case err == nil && before != nil:
		r.opts.Log.Info("file of targets taken again", "file", l.file.path, "targets", kept)
	}
}

func (r *Resolver) storeListLocked(l *list, targets []target, err error) {
	if len(l.users) == 0 {
		return // dropped meanwhile
	}
	if !l.read {
		l.read = true
		defer r.askingLocked(-1)
	}
	switch {
	case err == nil:
		l.targets, l.err, l.since = targets, nil, time.Time{}
	case l.err == nil:
		l.err, l.since = err, time.Now()
	default:
		l.err = err
	}
	for e := range l.users {
		r.linkLocked(e)
	}
}
