package exchange

import (
	"hash/maphash"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/observe/toplist"
)

// talkersPerList is how many keys each list keeps count of. Whoever has more than a 256th
// of the requests is on it.
const talkersPerList = 256

// Talkers knows who and what has most of the requests, over the last minutes. It is always
// on and its memory is constant.
type Talkers struct {
	Clients, Routes, Paths, Agents, Faults *toplist.List

	seed maphash.Seed
}

// NewTalkers returns empty lists for that many metric cells.
func NewTalkers(cells int) *Talkers {
	list := func() *toplist.List { return toplist.New(talkersPerList, cells) }
	return &Talkers{Clients: list(), Routes: list(), Paths: list(), Agents: list(), Faults: list(), seed: maphash.MakeSeed()}
}

// Tick moves the lists on. It is called about once a second.
func (t *Talkers) Tick(now time.Duration) {
	for _, l := range []*toplist.List{t.Clients, t.Routes, t.Paths, t.Agents, t.Faults} {
		l.Tick(now)
	}
}

// note counts an exchange.
func (t *Talkers) note(x *exchange) {
	cell := x.req.Client.Cell
	count := func(l *toplist.List, key []byte) { l.Observe(cell, key, maphash.Bytes(t.seed, key), 1) }
	count(t.Clients, x.clientText)
	if x.route != nil {
		count(t.Routes, x.route.Key)
	}
	if x.matched != nil {
		count(t.Paths, x.matched)
	}
	if i := x.req.Head.Find(message.FieldUserAgent); i >= 0 {
		count(t.Agents, x.req.Head.FieldValue(i))
	}
	if x.fault != fault.None {
		count(t.Faults, faultKeys[x.fault])
	}
}

// faultKeys are the labels of the faults.
var faultKeys = func() (keys [fault.Count][]byte) {
	for k := range fault.All() {
		keys[k] = []byte(k.String())
	}
	return keys
}()
