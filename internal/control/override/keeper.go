package override

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

const (
	// OverridesMax is how many overrides there may be at a time.
	OverridesMax = 64
	// LastsMax is how long an override may last from now on: what shall hold for longer is
	// committed.
	LastsMax = 24 * time.Hour
	// wakeMax bounds how long the keeper sleeps: the time of day may be set meanwhile.
	wakeMax = time.Minute
	// retryAfter is when an end that failed is tried again.
	retryAfter = 10 * time.Second
	// reasonBytesMax bounds a reason.
	reasonBytesMax = 1000
)

// Trial is a change of the overrides while it is tried. Begin has the layers be those that are
// wanted, Commit makes them those that are kept, and End ends the trial in either case. They
// are called in this order by whoever makes configurations serve, one trial at a time.
type Trial struct {
	Of                 *admin.Override // that is new; nil where none is
	Cause              string
	Begin, Commit, End func()
}

// Applied is what a change of the layers means.
type Applied struct {
	Changes []string // for traffic, a line each
	Notes   []string
}

// Options are what a Keeper works with.
type Options struct {
	Events *event.Log
	Log    *slog.Logger
	// Count is told how many overrides of a kind there are; may be nil.
	Count func(kind string, n int)
	// Hits says what an override would have hit; may be nil.
	Hits func(o *admin.Override) *admin.OverrideHits
	// Apply makes the configuration serve with the layers of a trial, or, without one to
	// commit, only checks that it could. An error means that nothing has changed.
	Apply func(ctx context.Context, t Trial) (Applied, error)
}

// Keeper keeps the overrides. Its methods may be called from any goroutine.
type Keeper struct {
	opt    Options
	one    sync.Mutex // held while a change is made
	saving sync.Mutex
	woken  chan struct{}
	stop   context.CancelFunc
	ended  sync.WaitGroup
	told   string // why an end fails, as it was told last; of the goroutine of Run

	mu struct {
		sync.Mutex
		path  string // "" until Layers is first asked
		next  int    // the number of the next override
		list  []*admin.Override
		trial []*admin.Override // what is wanted, while trying
		// trying says that a trial is under way.
		trying bool
		aside  map[int]bool // those that didn't fit when the process started
	}
}

// New returns a Keeper that keeps nothing beyond the process until Layers names a folder.
func New(o Options) *Keeper {
	if o.Count == nil {
		o.Count = func(string, int) {}
	}
	k := &Keeper{opt: o, woken: make(chan struct{}, 1)}
	k.mu.next, k.mu.aside = 1, make(map[int]bool)
	return k
}

// Run ends overrides as their time comes, until Close.
func (k *Keeper) Run() {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.ended.Go(func() { k.run(ctx) })
}

// Close ends what Run has begun.
func (k *Keeper) Close() {
	k.stop()
	k.ended.Wait()
}

func (k *Keeper) run(ctx context.Context) {
	for {
		timer := time.NewTimer(k.pass(ctx, now()))
		select {
		case <-timer.C:
		case <-k.woken:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func (k *Keeper) wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// now is the time of day alone: ends hold whatever a machine slept.
func now() time.Time { return time.Now().Round(0) }

// pass ends what is due and returns how long the keeper may sleep then.
func (k *Keeper) pass(ctx context.Context, at time.Time) time.Duration {
	k.one.Lock()
	defer k.one.Unlock()
	var over, rest []*admin.Override
	sleep := wakeMax
	for _, o := range k.present() {
		if left := o.Until.Sub(at); left <= 0 {
			over = append(over, o)
		} else {
			rest = append(rest, o)
			sleep = min(sleep, left)
		}
	}
	if len(over) == 0 {
		return sleep
	}
	if _, err := k.change(ctx, rest, "the time of "+names(over)+" is over"); err != nil {
		k.tellStuck(ctx, over, err)
		return retryAfter
	}
	k.told = ""
	for _, o := range over {
		k.tell(o, "ended", "its time is over")
	}
	k.saveOrTell()
	return sleep
}

// tellStuck says, once for each cause, that overrides hold beyond their time.
func (k *Keeper) tellStuck(ctx context.Context, over []*admin.Override, err error) {
	if ctx.Err() != nil || k.told == err.Error() {
		return
	}
	k.told = err.Error()
	for _, o := range over {
		k.opt.Events.Emit(event.Event{
			Kind: event.KindOverride, Worse: true, Route: o.Route, Upstream: o.Upstream, From: "active", To: "overdue",
			Cause: "the configuration can't serve without it: " + err.Error(), Detail: story(o),
		})
	}
}

// change has the configuration serve with other overrides, which are kept when that works. one
// is held.
func (k *Keeper) change(ctx context.Context, next []*admin.Override, cause string) (Applied, error) {
	return k.opt.Apply(ctx, k.trial(next, cause, true))
}

// trial returns the trial of a list; commits says that it may be kept.
func (k *Keeper) trial(next []*admin.Override, cause string, commits bool) Trial {
	t := Trial{
		Cause: cause,
		Begin: func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.mu.trial, k.mu.trying = next, true
		},
		End: func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.mu.trial, k.mu.trying = nil, false
		},
	}
	if commits {
		t.Commit = func() {
			k.mu.Lock()
			k.mu.list = next
			k.mu.Unlock()
			k.count()
		}
	}
	return t
}

// count tells how many there are of each kind.
func (k *Keeper) count() {
	n := make(map[string]int)
	for _, o := range k.present() {
		n[o.Kind]++
	}
	for _, kind := range admin.OverrideKinds() {
		k.opt.Count(kind, n[kind])
	}
}

// present returns the overrides there are. They are never changed, only replaced.
func (k *Keeper) present() []*admin.Override {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.mu.list)
}

// Overrides implements admin.Overrides.
func (k *Keeper) Overrides() []admin.Override {
	var all []admin.Override
	for _, o := range k.present() {
		all = append(all, *o)
	}
	return all
}

// Override implements admin.Overrides.
func (k *Keeper) Override(ctx context.Context, q admin.OverrideRequest, by admin.Actor) (r admin.OverrideResult, err error) {
	k.one.Lock()
	defer k.one.Unlock()
	at, list := now(), k.present()
	k.mu.Lock()
	id := k.mu.next
	k.mu.Unlock()
	o := &admin.Override{
		ID: id, Kind: q.Kind, Listener: q.Listener, Route: q.Route, Upstream: q.Upstream, Settings: q.Settings,
		By: by, Reason: q.Reason, Since: at, Until: at.Add(time.Duration(q.Seconds) * time.Second),
	}
	if err := check(q.Seconds, q.Reason); err != nil {
		return r, err
	}
	if len(list) >= OverridesMax {
		return r, problem(409, "there are %d overrides already: revert some, or commit them (sentinel emergency list)", len(list))
	}
	if o.Text, err = fragment(o); err != nil {
		return r, err
	}
	next, cause := append(list, o), fmt.Sprintf("override %d", id)
	t := k.trial(next, cause, !q.DryRun)
	t.Of = o
	a, err := k.opt.Apply(ctx, t)
	if err != nil {
		return r, err
	}
	r = admin.OverrideResult{Override: *o, DryRun: q.DryRun, Changes: a.Changes, Notes: append(a.Notes, overlaps(list, o)...)}
	if q.DryRun {
		if k.opt.Hits != nil {
			r.Hits = k.opt.Hits(o)
		}
		return r, nil
	}
	k.mu.Lock()
	k.mu.next++
	k.mu.Unlock()
	k.wake()
	r.Undo = fmt.Sprintf("sentinel emergency revert %d", id)
	k.tell(o, "active", "asked by "+by.String())
	r.Notes = append(r.Notes, k.saved()...)
	return r, nil
}

// check refuses a time and a reason that are none.
func check(seconds int64, reason string) error {
	switch {
	case seconds < 1 || seconds > int64(LastsMax/time.Second):
		return problem(400, "an emergency change lasts from 1s to %s, not %ds: commit what shall hold for longer", hours(LastsMax), seconds)
	case len(reason) > reasonBytesMax:
		return problem(400, "reason has %d bytes, at most %d are kept", len(reason), reasonBytesMax)
	}
	return nil
}

func hours(d time.Duration) string { return strconv.Itoa(int(d/time.Hour)) + "h" }

// overlaps tells which overrides say something about the same keys in the same place.
func overlaps(list []*admin.Override, o *admin.Override) (notes []string) {
	for _, other := range list {
		if other.Kind != o.Kind || other.Listener != o.Listener || other.Route != o.Route || other.Upstream != o.Upstream {
			continue
		}
		same := slices.ContainsFunc(other.Settings, func(s admin.Setting) bool {
			return slices.ContainsFunc(o.Settings, func(own admin.Setting) bool { return own.Key == s.Key })
		})
		if !same && o.Kind != admin.OverrideDisable {
			continue
		}
		rule := "the newer one holds"
		if o.Kind == admin.OverrideLimits || o.Kind == admin.OverrideRateLimit {
			rule = "the stricter one holds"
		}
		notes = append(notes, fmt.Sprintf("override %d is about the same (%s): %s", other.ID, Words(other), rule))
	}
	return notes
}

// Extend implements admin.OverrideKeeping.
func (k *Keeper) Extend(q admin.ExtendRequest, by admin.Actor) (r admin.OverrideResult, err error) {
	k.one.Lock()
	defer k.one.Unlock()
	if err := check(q.Seconds, ""); err != nil {
		return r, err
	}
	k.mu.Lock()
	i := slices.IndexFunc(k.mu.list, func(o *admin.Override) bool { return o.ID == q.ID })
	if i < 0 {
		k.mu.Unlock()
		return r, k.unknown(q.ID)
	}
	o := *k.mu.list[i]
	o.Until = now().Add(time.Duration(q.Seconds) * time.Second)
	k.mu.list = slices.Clone(k.mu.list)
	k.mu.list[i] = &o
	k.mu.Unlock()
	k.wake()
	k.tell(&o, "extended", "asked by "+by.String())
	return admin.OverrideResult{Override: o, Changes: []string{}, Notes: k.saved(), Undo: fmt.Sprintf("sentinel emergency revert %d", o.ID)}, nil
}

// unknown is the problem of a number that no override has.
func (k *Keeper) unknown(id int) error {
	var ids []string
	for _, o := range k.present() {
		ids = append(ids, strconv.Itoa(o.ID))
	}
	if len(ids) == 0 {
		return problem(404, "there is no override %d: there is none at all", id)
	}
	return problem(404, "there is no override %d: there are %s (sentinel emergency list)", id, strings.Join(ids, ", "))
}

// Revert implements admin.Overrides.
func (k *Keeper) Revert(ctx context.Context, q admin.RevertRequest, by admin.Actor) (r admin.RevertResult, err error) {
	k.one.Lock()
	defer k.one.Unlock()
	if q.All == (len(q.IDs) > 0) {
		return r, problem(400, "name what to revert, or all")
	}
	list := k.present()
	for _, id := range q.IDs {
		if !slices.ContainsFunc(list, func(o *admin.Override) bool { return o.ID == id }) {
			return r, k.unknown(id)
		}
	}
	var gone, rest []*admin.Override
	for _, o := range list {
		if q.All || slices.Contains(q.IDs, o.ID) {
			gone = append(gone, o)
		} else {
			rest = append(rest, o)
		}
	}
	r = admin.RevertResult{Overrides: []admin.Override{}, Changes: []string{}}
	if len(gone) == 0 {
		return r, nil
	}
	a, err := k.change(ctx, rest, "revert of "+names(gone))
	if err != nil {
		return r, err
	}
	r.Changes = a.Changes
	for _, o := range gone {
		r.Overrides = append(r.Overrides, *o)
		k.tell(o, "reverted", "asked by "+by.String())
	}
	r.Notes = append(a.Notes, k.saved()...)
	return r, nil
}

// Committing has do run while no other change is made, with an override and the trial of its
// end. Where do succeeds, the override has become part of the configuration.
func (k *Keeper) Committing(id int, by admin.Actor, do func(o admin.Override, t Trial) (done bool, err error)) error {
	k.one.Lock()
	defer k.one.Unlock()
	list := k.present()
	i := slices.IndexFunc(list, func(o *admin.Override) bool { return o.ID == id })
	if i < 0 {
		return k.unknown(id)
	}
	o := list[i]
	done, err := do(*o, k.trial(slices.Delete(list, i, i+1), fmt.Sprintf("commit of override %d", id), true))
	if err != nil || !done {
		return err
	}
	k.tell(o, "committed", "asked by "+by.String())
	k.saveOrTell()
	return nil
}

func names(list []*admin.Override) string {
	var ids []string
	for _, o := range list {
		ids = append(ids, strconv.Itoa(o.ID))
	}
	if len(ids) == 1 {
		return "override " + ids[0]
	}
	return "overrides " + strings.Join(ids, ", ")
}

// tell makes an event of what has become of an override.
func (k *Keeper) tell(o *admin.Override, to, cause string) {
	from := "active"
	if to == "active" {
		from = ""
	}
	k.opt.Events.Emit(event.Event{Kind: event.KindOverride, Route: o.Route, Upstream: o.Upstream, From: from, To: to, Cause: cause, Detail: story(o)})
}

// story says what an override does, until when, by whom and why.
func story(o *admin.Override) string {
	s := fmt.Sprintf("override %d, %s, until %s, asked by %s", o.ID, Words(o), o.Until.UTC().Format(time.RFC3339), o.By)
	if o.Reason != "" {
		s += ": " + o.Reason
	}
	return s
}

func sortByID(list []*admin.Override) {
	slices.SortFunc(list, func(a, b *admin.Override) int { return cmp.Compare(a.ID, b.ID) })
}

var errTooMany = errors.New("it holds more overrides than there may be")
