package chaos

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// originVariable makes this binary an origin: "ADDRESS NAME".
const originVariable = "SENTINEL_CHAOS_ORIGIN"

// mode is how an origin answers.
type mode struct {
	kind   string        // one of those below
	status int           // of "status"
	delay  time.Duration // of "slow"
	checks bool          // health checks are answered like that, too
}

// The kinds of mode. A half head and half content end the connection.
const (
	modeOK          = "ok"
	modeSlow        = "slow"
	modeStatus      = "status"
	modeReset       = "reset" // instead of an answer
	modeHalfHead    = "half-head"
	modeHalfContent = "half-content"
)

func (m mode) String() string { return fmt.Sprintln(m.kind, m.status, m.delay, m.checks) }

func parseMode(line string) (m mode, err error) {
	var delay string
	if _, err = fmt.Sscan(line, &m.kind, &m.status, &delay, &m.checks); err == nil {
		m.delay, err = time.ParseDuration(delay)
	}
	return m, err
}

const (
	checkPath = "/healthz"
	idField   = "X-Chaos-Id"
	nameField = "X-Chaos-Origin"
)

// answerText is what an origin answers to one request: nobody else's answer looks like it.
func answerText(name, id, method string, content []byte) string {
	text := fmt.Sprintf("origin=%s id=%s method=%s content=%08x\n", name, id, method, crc32.ChecksumIEEE(content))
	return text + strings.Repeat(id+" ", 1000/(len(id)+1))
}

// origin is the process that answers.
type origin struct {
	name     string
	mode     atomic.Pointer[mode]
	stopping atomic.Bool

	mu   sync.Mutex
	idle map[*net.TCPConn]bool // of each connection, whether it waits for a request
}

// runOrigin is the origin's main. Each line of its standard input is a mode, which holds
// when the line has been repeated on the standard output. It ends with its input, so that it
// never outlives the test; SIGTERM has it finish what is in hand first.
func runOrigin(setting string) int {
	address, name, _ := strings.Cut(setting, " ")
	o := &origin{name: name, idle: make(map[*net.TCPConn]bool)}
	o.mode.Store(&mode{kind: modeOK})
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	ended := make(chan int, 2)
	go func() { <-term; l.Close(); o.drain(); ended <- 0 }()
	go func() { o.obey(); ended <- 1 }()
	fmt.Println("listening")
	go o.accept(l)
	return <-ended
}

func (o *origin) obey() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		m, err := parseMode(in.Text())
		if err != nil {
			fmt.Println(err)
			return
		}
		o.mode.Store(&m)
		fmt.Println(in.Text())
	}
}

func (o *origin) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go o.serve(c.(*net.TCPConn))
	}
}

// drain closes idle connections at once and the others behind their answer.
func (o *origin) drain() {
	o.stopping.Store(true)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		o.mu.Lock()
		for c, idle := range o.idle {
			if idle {
				c.Close()
				delete(o.idle, c)
			}
		}
		left := len(o.idle)
		o.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

func (o *origin) setIdle(c *net.TCPConn, idle bool) {
	o.mu.Lock()
	o.idle[c] = idle
	o.mu.Unlock()
}

func (o *origin) serve(c *net.TCPConn) {
	defer func() {
		c.Close()
		o.mu.Lock()
		delete(o.idle, c)
		o.mu.Unlock()
	}()
	for r := bufio.NewReader(c); !o.stopping.Load(); {
		o.setIdle(c, r.Buffered() == 0)
		if _, err := r.Peek(1); err != nil {
			return
		}
		o.setIdle(c, false)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		content, err := io.ReadAll(req.Body)
		if err != nil || !o.answer(c, req, content) {
			return
		}
	}
}

// answer answers and reports whether the connection goes on.
func (o *origin) answer(c *net.TCPConn, req *http.Request, content []byte) bool {
	m := *o.mode.Load()
	if req.URL.Path == checkPath && !m.checks {
		m = mode{kind: modeOK}
	}
	status := 200
	switch m.kind {
	case modeReset:
		c.SetLinger(0)
		return false
	case modeSlow:
		time.Sleep(m.delay)
	case modeStatus:
		status = m.status
	}
	id := req.Header.Get(idField)
	text := answerText(o.name, id, req.Method, content)
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n%s: %s\r\n", status, http.StatusText(status), nameField, o.name)
	if m.kind == modeHalfHead {
		io.WriteString(c, head[:len(head)-len(id)%7-4])
		return end(c, id)
	}
	whole := head + framed(req, id, text)
	if m.kind == modeHalfContent && req.Method != "HEAD" {
		io.WriteString(c, whole[:len(whole)-len(text)/2])
		return end(c, id)
	}
	_, err := io.WriteString(c, whole)
	return err == nil
}

// framed is the rest of a response, in one of the two framings.
func framed(req *http.Request, id, text string) string {
	switch {
	case req.Method == "HEAD":
		return fmt.Sprintf("Content-Length: %d\r\n\r\n", len(text))
	case strings.HasSuffix(id, "3"):
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n",
			len(text)/3, text[:len(text)/3], len(text)-len(text)/3, text[len(text)/3:])
	}
	return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text)
}

// end ends a connection in the middle of a message, in one of the two ways.
func end(c *net.TCPConn, id string) bool {
	if strings.HasSuffix(id, "1") || strings.HasSuffix(id, "5") {
		time.Sleep(time.Millisecond) // what was written arrives before the reset takes it away
		c.SetLinger(0)
	}
	return false
}
