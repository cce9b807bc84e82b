package netio

import "sync"

// Runner is what a crew runs.
type Runner interface{ Run() }

// Crew runs many short tasks that wait, each on a goroutine of its own. A goroutine whose
// task has ended takes another one: its stack has grown already, which costs more than all
// else about a goroutine. Those that nobody had use for during a second end.
type Crew struct {
	mu struct {
		sync.Mutex
		idle   []*hand // the one that was busy last is the last
		low    int     // the fewest idle since the last trim
		closed bool
	}
}

// hand is one goroutine of a crew.
type hand struct{ task chan Runner }

// Go runs r beside the caller, who must know by other means when it has ended. A panic in r
// is not recovered.
func (c *Crew) Go(r Runner) {
	c.mu.Lock()
	n := len(c.mu.idle) - 1
	if n < 0 {
		c.mu.Unlock()
		h := &hand{task: make(chan Runner, 1)}
		go h.work(c, r)
		return
	}
	h := c.mu.idle[n]
	c.mu.idle[n] = nil
	c.mu.idle = c.mu.idle[:n]
	c.mu.low = min(c.mu.low, n)
	c.mu.Unlock()
	h.task <- r
}

func (h *hand) work(c *Crew, r Runner) {
	for r != nil {
		r.Run()
		if !c.rest(h) {
			return
		}
		r = <-h.task
	}
}

// rest makes h one of the idle and reports whether it may wait for a task.
func (c *Crew) rest(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.closed {
		c.mu.idle = append(c.mu.idle, h)
	}
	return !c.mu.closed
}

// trim ends the goroutines that were idle since the last trim.
func (c *Crew) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismissLocked(c.mu.low)
	c.mu.low = len(c.mu.idle)
}

// close ends the idle goroutines, and the others with their tasks.
func (c *Crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = true
	c.dismissLocked(len(c.mu.idle))
}

// dismissLocked ends n idle goroutines, those that were busy longest ago first.
func (c *Crew) dismissLocked(n int) {
	for _, h := range c.mu.idle[:n] {
		h.task <- nil
	}
	left := copy(c.mu.idle, c.mu.idle[n:])
	clear(c.mu.idle[left:])
	c.mu.idle = c.mu.idle[:left]
}
