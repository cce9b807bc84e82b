package h2

import (
	"encoding/binary"
	"strings"
)

// priority is what a client says of a response (RFC 9218 section 4).
type priority struct {
	urgency     uint8 // 0 is the most urgent, 7 the least
	incremental bool  // of use in parts: it may share
}

// usual is the priority of a request that says nothing.
const usualUrgency = 3

var usual = priority{urgency: usualUrgency}

// parsePriority reads a Priority field value, of which it takes what it knows. A value that
// is none changes nothing (RFC 9218 section 5).
func parsePriority(value string) priority {
	p := usual
	for value != "" {
		var item string
		item, value, _ = strings.Cut(value, ",")
		item, _, _ = strings.Cut(strings.TrimSpace(item), ";")
		switch key, v, _ := strings.Cut(item, "="); key {
		case "u":
			if len(v) == 1 && v[0] >= '0' && v[0] <= '7' {
				p.urgency = v[0] - '0'
			}
		case "i":
			p.incremental = v == "" || v == "?1"
		}
	}
	return p
}

// earlyPriorities are those of streams that aren't open yet, the newest few.
type earlyPriorities struct {
	list [8]earlyPriority
	next uint8
}

type earlyPriority struct {
	id uint32
	priority
}

func (e *earlyPriorities) add(id uint32, p priority) {
	for i := range e.list {
		if e.list[i].id == id {
			e.list[i].priority = p
			return
		}
	}
	e.list[e.next] = earlyPriority{id, p}
	e.next = (e.next + 1) % uint8(len(e.list))
}

// take returns and forgets what was said of a stream.
func (e *earlyPriorities) take(id uint32) (p priority, ok bool) {
	for i := range e.list {
		if e.list[i].id == id {
			e.list[i].id = 0
			return e.list[i].priority, true
		}
	}
	return p, false
}

// takePriorityUpdate changes the priority of a stream (RFC 9218 section 7.1).
func (c *conn) takePriorityUpdate(f frameHead, payload []byte) error {
	if f.stream != 0 || len(payload) < 4 {
		return violation(codeProtocol)
	}
	id := binary.BigEndian.Uint32(payload) & streamIDMax
	if id&1 == 0 {
		return violation(codeProtocol)
	}
	p := parsePriority(string(payload[4:]))
	switch s := c.mu.streams.find(id); {
	case s != nil:
		s.priority = p
		c.mu.queue.resort(s)
	case id > c.mu.maxID:
		c.early.add(id, p)
	}
	return nil
}
