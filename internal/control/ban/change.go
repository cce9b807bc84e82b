package ban

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/observe/event"
)

const (
	// secondsMax is the longest a ban with an end may last: ten years.
	secondsMax = 10 * 365 * 24 * 3600
	// reasonBytesMax bounds a reason.
	reasonBytesMax = 1000
)

func problem(status int, format string, args ...any) error {
	return &admin.Problem{Status: status, Message: fmt.Sprintf(format, args...)}
}

// Ban implements admin.Bans. What it changes holds for new connections and requests when it
// returns.
func (k *Keeper) Ban(q admin.BanRequest, by admin.Actor) (r admin.BanResult, err error) {
	prefixes, err := k.check(&q, &r)
	if err != nil {
		return r, err
	}
	now := time.Now()
	list, entries := make([]*ban, len(prefixes)), make([]*block.Entry, len(prefixes))
	for i, p := range prefixes {
		list[i] = &ban{entry: newEntry(p, 0, q.Shadow), by: by, reason: q.Reason, since: now}
		if !q.Permanent {
			list[i].until = now.Add(time.Duration(q.Seconds) * time.Second)
		}
		entries[i] = list[i].entry
	}
	before, err := k.add(list, entries)
	if err != nil {
		return r, err
	}
	r.Bans = show(list)
	for _, b := range list {
		e := event.Event{Kind: event.KindBan, Worse: true, Client: b.entry.Prefix().String(), From: "free", To: b.state(), Cause: b.reason, Detail: b.story()}
		if old := before[b.entry.Prefix()]; old != nil {
			e.From = old.state()
			r.Notes = append(r.Notes, fmt.Sprintf("%s was banned already, %s: the new ban takes its place", e.Client, old.story()))
		}
		if e.Cause == "" {
			e.Cause = "no reason given"
		}
		k.opt.Events.Emit(e)
	}
	if !q.Shadow {
		r.Connections = k.evict(entries, false)
	}
	if k.follow() && !q.Shadow {
		r.Notes = append(r.Notes, "the kernel drops what they send to begin connections, so that HITS doesn't count it: see sentinel_kernel_dropped_total")
	}
	r.Notes = append(r.Notes, k.saved()...)
	return r, nil
}

// check returns what is to be banned, once each.
func (k *Keeper) check(q *admin.BanRequest, r *admin.BanResult) ([]netip.Prefix, error) {
	switch {
	case len(q.Prefixes) == 0:
		return nil, problem(http.StatusBadRequest, "there is nothing to ban: name addresses or prefixes")
	case q.Permanent && q.Seconds != 0:
		return nil, problem(http.StatusBadRequest, "a ban is either permanent or for a time")
	case !q.Permanent && (q.Seconds < 1 || q.Seconds > secondsMax):
		return nil, problem(http.StatusBadRequest, "a ban lasts from 1 to %d seconds, not %d, unless it is permanent", secondsMax, q.Seconds)
	case len(q.Reason) > reasonBytesMax:
		return nil, problem(http.StatusBadRequest, "reason has %d bytes, at most %d are kept", len(q.Reason), reasonBytesMax)
	}
	prefixes, err := parseAll(q.Prefixes, &r.Notes)
	if err != nil {
		return nil, err
	}
	if hit := k.protection(prefixes, q.Session); hit != nil && !q.Shadow {
		if !q.Force {
			return nil, problem(http.StatusConflict, "%s", hit.refusal())
		}
		r.Notes = append(r.Notes, hit.note())
	}
	return prefixes, nil
}

// newEntry returns an entry in the mode that is wanted.
func newEntry(p netip.Prefix, hits uint64, shadow bool) *block.Entry {
	if shadow {
		return block.NewShadow(p, hits)
	}
	return block.NewEntry(p, hits)
}

// state is the word of events for how a client stands by the ban.
func (b *ban) state() string {
	if b.entry.Shadow() {
		return "shadow-banned"
	}
	return "banned"
}

// add makes bans, or none where there would be too many or where one in shadow mode would end
// one that holds. It returns those whose place they take; counters go on in the same mode.
func (k *Keeper) add(list []*ban, entries []*block.Entry) (before map[netip.Prefix]*ban, err error) {
	before = make(map[netip.Prefix]*ban)
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, b := range list {
		p, shadow := b.entry.Prefix(), b.entry.Shadow()
		old := k.mu.bans[p]
		switch {
		case old == nil:
			continue
		case shadow && !old.entry.Shadow():
			return nil, problem(http.StatusConflict, "%s is banned, %s: a ban in shadow mode would let it in; nothing was changed (sentinel unban %s)", p, old.story(), p)
		case shadow == old.entry.Shadow():
			b.entry = newEntry(p, old.entry.Hits(), shadow)
			entries[i] = b.entry
		}
		before[p] = old
	}
	if n := len(k.mu.bans) + len(list) - len(before); n > BansMax {
		return nil, problem(http.StatusConflict, "these would be %d bans and %d is the most that are kept: ban wider prefixes, or lift some (sentinel bans, sentinel unban)", n, BansMax)
	}
	for _, b := range list {
		k.mu.bans[b.entry.Prefix()] = b
	}
	k.opt.Table.Change(entries, nil)
	if !list[0].entry.Shadow() { // a request wants one mode for all
		k.mu.cuts = append(k.mu.cuts, cut{entries, list[0].since.Add(cutAfter)})
	}
	k.wake()
	return before, nil
}

// saved saves, and returns as a note when that fails.
func (k *Keeper) saved() []string {
	if err := k.save(); err != nil {
		k.opt.Log.Error("bans not saved: after a restart those of before hold", "error", "file error", "detail", err.Error())
		return []string{"it holds now, but a restart forgets it: " + err.Error()}
	}
	return nil
}

// Unban implements admin.Bans.
func (k *Keeper) Unban(q admin.UnbanRequest, by admin.Actor) (r admin.UnbanResult, err error) {
	if q.All == (len(q.Prefixes) > 0) {
		return r, problem(http.StatusBadRequest, "name what to lift, or all")
	}
	prefixes, err := parseAll(q.Prefixes, &r.Notes)
	if err != nil {
		return r, err
	}
	list, err := k.lift(prefixes, q.All)
	if err != nil {
		return r, err
	}
	k.follow()
	r.Bans = show(list)
	for _, b := range list {
		k.opt.Events.Emit(event.Event{
			Kind: event.KindBan, Client: b.entry.Prefix().String(), From: b.state(), To: "free",
			Cause: "lifted by " + by.String(), Detail: b.story(),
		})
	}
	for _, p := range prefixes {
		if e := k.opt.Table.Find(p.Addr()); e != nil && e.Prefix().Bits() <= p.Bits() {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is still kept out by the ban of %s", p, e.Prefix()))
		}
	}
	r.Notes = append(r.Notes, k.saved()...)
	return r, nil
}

// lift takes out the bans of exactly these prefixes, or all; none where one isn't there.
func (k *Keeper) lift(prefixes []netip.Prefix, all bool) (list []*ban, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if all {
		for _, b := range k.mu.bans {
			list = append(list, b)
		}
	}
	for _, p := range prefixes {
		b := k.mu.bans[p]
		if b == nil {
			return nil, k.notBannedLocked(p)
		}
		list = append(list, b)
	}
	k.removeLocked(list)
	return list, nil
}

// notBannedLocked says what there is instead of a ban of p.
func (k *Keeper) notBannedLocked(p netip.Prefix) error {
	if e := k.opt.Table.Find(p.Addr()); e != nil && e.Prefix().Bits() < p.Bits() {
		return problem(http.StatusNotFound, "%s isn't banned by itself but by %s: sentinel unban %s", p, e.Prefix(), e.Prefix())
	}
	var inside []string
	for other := range k.mu.bans {
		if p.Overlaps(other) && len(inside) < 3 {
			inside = append(inside, other.String())
		}
	}
	if len(inside) > 0 {
		return problem(http.StatusNotFound, "%s isn't banned as a whole; there are bans inside of it, such as %s (sentinel bans)", p, strings.Join(inside, ", "))
	}
	return problem(http.StatusNotFound, "%s isn't banned (sentinel bans)", p)
}

// story says in words who has banned until when.
func (b *ban) story() string {
	until := "until it is lifted"
	if !b.until.IsZero() {
		until = "until " + b.until.UTC().Format(time.RFC3339)
	}
	return until + ", asked by " + b.by.String()
}

// parseAll reads addresses and prefixes, each once; notes tell what they were taken for.
func parseAll(texts []string, notes *[]string) ([]netip.Prefix, error) {
	seen := make(map[netip.Prefix]bool, len(texts))
	var list []netip.Prefix
	for _, text := range texts {
		p, err := parse(text)
		if err != nil {
			return nil, problem(http.StatusBadRequest, `%q is neither an IP address nor a CIDR prefix: write one such as "192.0.2.7" or "192.0.2.0/24"`, text)
		}
		if canonical := block.Canonical(p); canonical != p {
			*notes = append(*notes, fmt.Sprintf("%s is taken for %s", text, canonical))
			p = canonical
		}
		if p.Addr().Is6() && p.IsSingleIP() {
			whole, _ := p.Addr().Prefix(64) // fails only for more bits than it has
			*notes = append(*notes, fmt.Sprintf("a client of IPv6 usually has a whole /64, here %s", whole))
		}
		if !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list, nil
}

func parse(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address", text)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}
