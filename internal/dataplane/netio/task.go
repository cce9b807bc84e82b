package netio

import "fmt"

// Task is a piece of an exchange that waits beside it, such as the pump that sends a
// request's content while the exchange waits for the answer.
type Task struct {
	done chan struct{}
	err  error
}

// Go starts f beside the caller, who owns the task and must Wait for it before it gives
// back what f uses. A panic in f becomes its error.
func Go(f func() error) *Task {
	t := &Task{done: make(chan struct{})}
	go t.run(f)
	return t
}

func (t *Task) run(f func() error) {
	defer close(t.done)
	defer func() {
		if p := recover(); p != nil {
			t.err = fmt.Errorf("panic: %v", p)
		}
	}()
	t.err = f()
}

// Done reports without waiting whether the task has ended.
func (t *Task) Done() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// Wait waits for the task and returns its error.
func (t *Task) Wait() error {
	<-t.done
	return t.err
}

// Offload runs f, which may block outside of netio (a store, a file, a name look-up),
// and waits for it.
func Offload(f func() error) error { return Go(f).Wait() }

// First runs a and b beside each other, waits until one of them has returned nil, or both an
// error, has the other one stopped and waits for it, too. It returns which came first (0 for
// a, 1 for b) and the errors of both.
func First(a, b func() error, stopA, stopB func()) (first int, errA, errB error) {
	ended := make(chan int, 2)
	run := func(i int, f func() error) *Task {
		return Go(func() error {
			defer func() { ended <- i }()
			return f()
		})
	}
	tasks := [2]*Task{run(0, a), run(1, b)}
	first = <-ended
	if tasks[first].Wait() == nil {
		[2]func(){stopB, stopA}[first]()
	} else if other := 1 - first; tasks[other].Wait() == nil {
		first = other
	}
	return first, tasks[0].Wait(), tasks[1].Wait()
}
