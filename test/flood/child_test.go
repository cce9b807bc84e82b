package flood

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// roleVariable makes this binary an origin or an attacker. Either ends with its standard
// input, so that it never outlives the test.
const roleVariable = "SENTINEL_FLOOD_ROLE"

const roleOrigin = "origin"

func play(role string) int {
	if role == roleOrigin {
		return playOrigin()
	}
	var a attack
	if err := json.Unmarshal([]byte(role), &a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return playAttacker(&a)
}

// child is a process of a role.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	done bool
}

func spawn(t *testing.T, role string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.end() })
	return c
}

// line reads what the process says next.
func (c *child) line() string {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("a child ends early: %v", err)
	}
	return strings.TrimSpace(line)
}

// end closes the input of the process, waits for it and returns the rest that it says.
func (c *child) end() string {
	if c.done {
		return ""
	}
	c.done = true
	c.in.Close()
	rest, _ := io.ReadAll(c.out)
	c.cmd.Wait()
	return string(rest)
}

// Paths of the origin that don't answer at once.
const (
	pathLarge = "/large" // an answer of largeBytes
	pathSlow  = "/slow"  // an answer after slowAnswer
)

const (
	largeBytes = 8 << 20
	slowAnswer = 2 * time.Second
)

// playOrigin is an origin that answers each request with a kilobyte.
func playOrigin() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	large := answerOf(largeBytes)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c, large)
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// answer serves one connection. A request's content is dropped.
func answer(c net.Conn, large []byte) {
	defer c.Close()
	r := bufio.NewReader(c)
	small := answerOf(1000)
	for {
		target, length, err := readHead(r)
		if err != nil {
			return
		}
		if err := skipContent(r, length); err != nil {
			return
		}
		text := small
		if strings.HasSuffix(target, pathLarge) {
			text = large
		} else if strings.HasSuffix(target, pathSlow) {
			time.Sleep(slowAnswer)
		}
		if _, err := c.Write(text); err != nil {
			return
		}
	}
}

func answerOf(n int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
}

// skipContent reads over content of a length, or of chunks whose data has no newline.
func skipContent(r *bufio.Reader, length int) error {
	if length != chunked {
		_, err := r.Discard(length)
		return err
	}
	for last := ""; last != "0\r\n"; {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		last = line
	}
	_, err := r.ReadString('\n')
	return err
}

// chunked is the length of content that comes in chunks.
const chunked = -1

// readHead reads the head of a message. It returns the second word of its first line (the
// target of a request, the status of a response) and its Content-Length, or chunked.
func readHead(r *bufio.Reader) (word string, length int, err error) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", 0, err
		}
		if len(line) <= 2 {
			return word, length, nil
		}
		if first {
			_, rest, _ := strings.Cut(string(line), " ")
			word, _, _ = strings.Cut(rest, " ")
			continue
		}
		if len(line) > 18 && (line[0]|0x20) == 't' && strings.EqualFold(string(line[:18]), "transfer-encoding:") {
			length = chunked
		}
		if len(line) > 15 && (line[0]|0x20) == 'c' && strings.EqualFold(string(line[:15]), "content-length:") {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[15:]))); err != nil {
				return "", 0, err
			}
		}
	}
}
