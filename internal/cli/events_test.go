package cli

import (
	"bufio"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/observe/event"
)

// Without --since, following leaves out what was before.
func TestFollowFromNow(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	log, end, err := serveOperated(socket, &fakeOperated{})
	if err != nil {
		t.Fatal(err)
	}
	log.Emit(event.Event{Kind: event.KindHealth, To: "before"})
	out, in := io.Pipe()
	code := make(chan int, 1)
	go func() {
		defer in.Close()
		a := &app{work: fakeWork(t.TempDir()), out: in, err: io.Discard, getenv: func(string) string { return "" }}
		code <- a.main([]string{"events", "--follow", "--admin-socket", socket})
	}()
	// When it has begun can't be seen from here, so events come until one is shown.
	stop := make(chan struct{})
	go func() {
		for tick := time.Tick(10 * time.Millisecond); ; {
			select {
			case <-tick:
				log.Emit(event.Event{Kind: event.KindHealth, To: "after"})
			case <-stop:
				return
			}
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	close(stop)
	if err != nil || !strings.Contains(line, "target after") {
		t.Errorf("the first line is %q, %v, want an event from after the start", line, err)
	}
	go io.Copy(io.Discard, out)
	end()
	if got := <-code; got != exitNotRunning {
		t.Errorf("exit code %d when the process ends, want %d", got, exitNotRunning)
	}
}

func TestEventFilter(t *testing.T) {
	e := event.Event{Time: noon, Kind: event.KindHealth, Upstream: "a"}
	for _, c := range []struct {
		f    eventFilter
		want bool
	}{
		{eventFilter{}, true},
		{eventFilter{after: noon}, true},
		{eventFilter{after: noon.Add(1)}, false},
		{eventFilter{kinds: []string{"breaker", "health"}}, true},
		{eventFilter{kinds: []string{"breaker"}}, false},
		{eventFilter{upstream: "a"}, true},
		{eventFilter{upstream: "b"}, false},
	} {
		if got := c.f.shows(&e); got != c.want {
			t.Errorf("%+v shows %+v = %v, want %v", c.f, e, got, c.want)
		}
	}
}
