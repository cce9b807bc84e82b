package listen

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestPassName(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"tcp4 0.0.0.0:8080", "tcp4/0.0.0.0,8080"},
		{"tcp [::]:80", "tcp/[,,],80"},
		{"tcp 127.0.0.1:0 a:b,é", "tcp/127.0.0.1,0/a,b%2C%C3%A9"},
	} {
		if got := PassName(c.key); got != c.want {
			t.Errorf("PassName(%q) = %q, want %q", c.key, got, c.want)
		}
	}
}

// passed returns the sockets of a registry as another process gets them.
func passed(t *testing.T, r *Registry) *Inherited {
	t.Helper()
	var files []*os.File
	for _, p := range r.Passables() {
		f, err := p.File()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	in, ignored := InheritFiles(files)
	if len(ignored) > 0 {
		t.Fatalf("ignored: %v", ignored)
	}
	return in
}

// TestPassedSocketsGoOn hands every socket of a registry to a second one, which holds them
// while the first accepts, and then accepts when the first has ended.
func TestPassedSocketsGoOn(t *testing.T) {
	first := newTestRegistry(t, Options{Handler: newEcho()})
	plan := Plan{Listeners: []Spec{{Name: "a", Addresses: []string{"127.0.0.1:0", "[::1]:0"}}, {Name: "b", Addresses: []string{"127.0.0.1:0"}}}}
	apply(t, first, plan)
	in := passed(t, first)
	second := newTestRegistry(t, Options{Handler: newEcho(), Inherited: in, Hold: true})
	apply(t, second, plan)
	if left := in.Unused(); len(left) != 0 {
		t.Errorf("Unused() = %v, want all taken", left)
	}
	if got, want := second.Bindings(), first.Bindings(); len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("Bindings() = %v, want %v", got, want)
	}
	address := addressOf(t, first, "a")
	for range 10 { // passing on doesn't make the first one's accept loops wait for ever
		passed(t, first).Close()
	}
	say(t, dial(t, address), "x")
	if second.Connections().Open() != 0 || first.Connections().Open() == 0 {
		t.Error("the second registry accepts though it is held")
	}
	first.Close(t.Context())
	waiting := dial(t, address) // nobody accepts now, and nobody refuses
	second.Open()
	if got := say(t, waiting, "y"); got != "y" {
		t.Errorf("echo = %q, want y", got)
	}
}

// TestHeldRegistryEnds closes a registry that never accepted: what waits is for others.
func TestHeldRegistryEnds(t *testing.T) {
	first := newTestRegistry(t, Options{Handler: newEcho()})
	apply(t, first, one("http", "127.0.0.1:0"))
	second := newTestRegistry(t, Options{Handler: newEcho(), Inherited: passed(t, first), Hold: true})
	apply(t, second, one("http", "127.0.0.1:0"))
	if left := second.Close(t.Context()); left != 0 {
		t.Errorf("Close = %d, want none left", left)
	}
	if got := say(t, dial(t, addressOf(t, first, "http")), "z"); got != "z" {
		t.Errorf("echo = %q, want z", got)
	}
}

// TestUnusedSocketIsNotInTheWay starts with a configuration that binds what overlaps a socket
// that the last process has left.
func TestUnusedSocketIsNotInTheWay(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"wildcard gone", "0.0.0.0", "127.0.0.1"},
		{"wildcard new", "127.0.0.1", "0.0.0.0"},
		{"both stacks to one", "[::]", "0.0.0.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, bound := listenerFile(t, c.old+":0")
			port := strconv.Itoa(int(netip.MustParseAddrPort(bound).Port()))
			in, _ := InheritFiles([]*os.File{f})
			r := newTestRegistry(t, Options{Handler: newEcho(), Inherited: in})
			apply(t, r, one("http", c.new+":"+port))
			if len(in.Unused()) != 1 {
				t.Errorf("Unused() = %v, want the old one", in.Unused())
			}
			in.Close()
			if got := say(t, dial(t, net.JoinHostPort("127.0.0.1", port)), "a"); got != "a" {
				t.Errorf("echo = %q, want a", got)
			}
		})
	}
}

func TestTakeByName(t *testing.T) {
	ln, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := Passable{"admin", ln.(*net.UnixListener)}
	f, err := p.File()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := InheritFiles([]*os.File{f})
	for _, c := range []struct {
		name, address string
		want          bool
	}{
		{"metrics", ln.Addr().String(), false},
		{"admin", "/elsewhere", false},
		{"admin", ln.Addr().String(), true},
		{"admin", ln.Addr().String(), false}, // once
	} {
		got := in.Take(c.name, c.address)
		if (got != nil) != c.want {
			t.Errorf("Take(%s, %s) = %v, want one: %v", c.name, c.address, got, c.want)
		}
		if got != nil {
			got.Close()
		}
	}
}

// TestPulse has an accept loop hang in the screen of its first connection.
func TestPulse(t *testing.T) {
	hang, hung := make(chan struct{}), make(chan struct{})
	first := true
	r := newTestRegistry(t, Options{Handler: newEcho(), Screen: func(*Listener, netip.Addr, bool) bool {
		if first {
			first = false
			close(hung)
			<-hang
		}
		return true
	}})
	apply(t, r, one("http", "127.0.0.1:0"))
	p := NewPulse(r)
	address := addressOf(t, r, "http")
	dial(t, address)
	<-hung
	if got := p.Hanging(); len(got) != 0 {
		t.Errorf("Hanging() with nobody waiting = %v, want none", got)
	}
	waiting := dial(t, address)
	await(t, func() bool { return r.sockets()[0].pending() })
	if got := p.Hanging(); len(got) != 0 {
		t.Errorf("Hanging() at the first look = %v, want none", got)
	}
	if got := p.Hanging(); len(got) != 1 || got[0] != address {
		t.Errorf("Hanging() = %v, want %s", got, address)
	}
	close(hang)
	say(t, waiting, "a")
	if got := p.Hanging(); len(got) != 0 {
		t.Errorf("Hanging() of a loop that runs = %v, want none", got)
	}
}

// await asks until the answer is yes.
func await(t *testing.T, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came true")
		}
	}
}
