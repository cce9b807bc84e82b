package flood

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// attack is a flood: each address sends the request over and over, as fast as answers come.
type attack struct {
	Target    string // host:port
	Addresses int    // clients
	Request   string // $N in it is another number each time
	Pipeline  int    // requests sent at once
	Fresh     bool   // each on a connection of its own
}

// toll is what a flood came to.
type toll struct {
	Answers map[string]int // by status
	Ended   int            // connections that ended without an answer
	Refused int            // connections that never stood
}

// sum is how often the proxy had to do with the flood.
func (l *toll) sum() int {
	n := l.Ended
	for _, k := range l.Answers {
		n += k
	}
	return n
}

func (l *toll) String() string {
	var parts []string
	for _, status := range []string{"200", "400", "403", "414", "429", "431", "503"} {
		if n := l.Answers[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s×%d", status, n))
		}
	}
	if l.Ended > 0 {
		parts = append(parts, fmt.Sprintf("cut×%d", l.Ended))
	}
	if l.Refused > 0 {
		parts = append(parts, fmt.Sprintf("unconnected×%d", l.Refused))
	}
	return strings.Join(parts, " ")
}

// begin starts the flood in a process of its own, which gives way to the proxy and the good
// clients: attackers have machines of their own, and here they share this one.
func (a *attack) begin(t *testing.T) *child {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	c := spawn(t, string(text))
	if got := c.line(); got != "attacking" {
		t.Fatalf("an attacker says %q", got)
	}
	return c
}

// stop ends a flood.
func stop(c *child) (l toll) {
	c.t.Helper()
	text := c.end()
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		c.t.Fatalf("an attacker says %q: %v", text, err)
	}
	return l
}

// hostile returns the address of attacker number i.
func hostile(i int) net.IP { return net.IPv4(127, 7, byte(i>>8), byte(i+1)) }

// attackPatience ends a flood whose test is gone, and an attacker's wait for one answer.
const attackPatience = 10 * time.Second

func playAttacker(a *attack) int {
	var over atomic.Bool
	tolls := make([]toll, a.Addresses)
	var all sync.WaitGroup
	for i := range tolls {
		all.Go(func() { a.run(i, &tolls[i], &over) })
	}
	fmt.Println("attacking")
	io.Copy(io.Discard, os.Stdin)
	over.Store(true)
	all.Wait()
	sum := toll{Answers: map[string]int{}}
	for _, l := range tolls {
		sum.Ended += l.Ended
		sum.Refused += l.Refused
		for status, n := range l.Answers {
			sum.Answers[status] += n
		}
	}
	json.NewEncoder(os.Stdout).Encode(sum)
	return 0
}

// run is one attacker.
func (a *attack) run(i int, l *toll, over *atomic.Bool) {
	l.Answers = map[string]int{}
	dial := net.Dialer{LocalAddr: &net.TCPAddr{IP: hostile(i)}, Timeout: attackPatience}
	for n := 0; !over.Load(); {
		c, err := dial.Dial("tcp", a.Target)
		if errors.Is(err, syscall.ECONNRESET) { // it stood, and was reset before this end had a look
			l.Ended++
			continue
		}
		if err != nil {
			l.Refused++
			continue
		}
		c.(*net.TCPConn).SetLinger(0)
		n = a.send(c, i, n, l, over)
		c.Close()
	}
}

// send sends requests over one connection until it ends. n counts them.
func (a *attack) send(c net.Conn, i, n int, l *toll, over *atomic.Bool) int {
	r := bufio.NewReaderSize(c, 32<<10)
	text := []byte(strings.Repeat(a.Request, max(a.Pipeline, 1)))
	for c.SetDeadline(time.Now().Add(attackPatience)); !over.Load(); c.SetDeadline(time.Now().Add(attackPatience)) {
		n++
		if strings.Contains(a.Request, "$N") {
			text = []byte(strings.ReplaceAll(a.Request, "$N", strconv.Itoa(i)+"-"+strconv.Itoa(n)))
		}
		_, err := c.Write(text)
		for k := 0; err == nil && k < max(a.Pipeline, 1); k++ {
			err = l.read(r)
		}
		if err != nil {
			l.Ended++
		}
		if err != nil || a.Fresh {
			return n
		}
	}
	return n
}

// read reads one answer.
func (l *toll) read(r *bufio.Reader) error {
	status, length, err := readHead(r)
	if err != nil {
		return err
	}
	l.Answers[status]++
	_, err = r.Discard(length)
	return err
}
