package challenge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for the browser.
const patience = 30 * time.Second

// browser is a headless Chromium, driven by the DevTools protocol over a pipe: messages of JSON
// that end with a zero byte.
type browser struct {
	t    *testing.T
	to   *os.File
	done chan struct{} // closed when the pipe ends

	mu struct {
		sync.Mutex
		next    int
		waiting map[int]chan reply
		trouble []string // what pages complained of
	}
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// start runs Chromium until the end of the test, which is skipped when there is none.
// preferences is the JSON of a profile's settings, or empty.
func start(t *testing.T, preferences string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here")
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	profile, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	if preferences != "" {
		folder := filepath.Join(profile, "Default")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "Preferences"), []byte(preferences), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirs2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-sync",
		"--disable-component-update", "--disable-default-apps", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.*",
		"--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, theirs2}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	theirs2.Close()
	b := &browser{t: t, to: to, done: make(chan struct{})}
	b.mu.waiting = make(map[int]chan reply)
	go b.read(from)
	t.Cleanup(func() {
		b.call("", "Browser.close", nil, nil)
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // and those it started
		cmd.Wait()
		<-b.done
		to.Close()
		from.Close()
		// A process that is being killed may still write once.
		for range 100 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return b
}

// read hands replies to who waits and keeps what pages complain of.
func (b *browser) read(from *os.File) {
	defer close(b.done)
	for r := bufio.NewReader(from); ; {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			reply
			ID     int
			Method string
			Params json.RawMessage
		}
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.mu.waiting[m.ID]; c != nil {
			delete(b.mu.waiting, m.ID)
			c <- m.reply
		}
		if m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded" && bytes.Contains(m.Params, []byte("Content Security Policy")) {
			b.mu.trouble = append(b.mu.trouble, string(m.Params))
		}
		b.mu.Unlock()
	}
}

// call runs one command and puts its result into out, which may be nil.
func (b *browser) call(session, method string, params map[string]any, out any) error {
	c := make(chan reply, 1)
	b.mu.Lock()
	b.mu.next++
	id := b.mu.next
	b.mu.waiting[id] = c
	b.mu.Unlock()
	text, err := json.Marshal(struct {
		ID        int            `json:"id"`
		SessionID string         `json:"sessionId,omitempty"`
		Method    string         `json:"method"`
		Params    map[string]any `json:"params,omitempty"`
	}{id, session, method, params})
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return err
	}
	select {
	case r := <-c:
		if r.Error != nil {
			return errors.New(method + ": " + r.Error.Message)
		}
		if out != nil {
			return json.Unmarshal(r.Result, out)
		}
		return nil
	case <-b.done:
		return errors.New("the browser is gone")
	case <-time.After(patience):
		return errors.New(method + ": no reply")
	}
}

func (b *browser) must(session, method string, params map[string]any, out any) {
	b.t.Helper()
	if err := b.call(session, method, params, out); err != nil {
		b.t.Fatal(err)
	}
}

// tab is one page of a browser.
type tab struct {
	*browser
	target, session string
}

func (b *browser) newTab() *tab {
	b.t.Helper()
	var made struct{ TargetID string }
	b.must("", "Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	var attached struct{ SessionID string }
	b.must("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &attached)
	p := &tab{b, made.TargetID, attached.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.run(domain+".enable", nil)
	}
	return p
}

func (p *tab) run(method string, params map[string]any) {
	p.t.Helper()
	p.must(p.session, method, params, nil)
}

func (p *tab) open(url string) {
	p.t.Helper()
	p.run("Page.navigate", map[string]any{"url": url})
}

// before has pages of this tab run a script before their own.
func (p *tab) before(script string) {
	p.t.Helper()
	p.run("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": script})
}

// where returns the title and the address of what is shown.
func (p *tab) where() (title, url string) {
	p.t.Helper()
	var info struct{ TargetInfo struct{ Title, URL string } }
	p.must("", "Target.getTargetInfo", map[string]any{"targetId": p.target}, &info)
	return info.TargetInfo.Title, info.TargetInfo.URL
}

// until waits for a title and an address; an empty address is any.
func (p *tab) until(title, address string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		got, url := p.where()
		if got == title && (url == address || address == "") {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("the browser shows %q at %s, want %q at %s", got, url, title, address)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// eval returns what an expression is in the page, as text; promises are waited for. A page that
// is going away may lose the call.
func (p *tab) eval(expression string) (string, error) {
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails any
	}
	err := p.call(p.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true,
	}, &out)
	if err == nil && out.ExceptionDetails != nil {
		err = fmt.Errorf("%s: %v", expression, out.ExceptionDetails)
	}
	return fmt.Sprint(out.Result.Value), err
}

// noTrouble checks that no page threw and none broke its policy.
func (b *browser) noTrouble() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mu.trouble) > 0 {
		b.t.Errorf("pages complain: %s", strings.Join(b.mu.trouble, "\n"))
	}
}
