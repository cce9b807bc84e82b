package ban

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/observe/event"
)

// eviction is one call of Evict, asked of three addresses.
type eviction struct {
	out string
	cut bool
}

type fixture struct {
	*Keeper
	table  *block.Table
	events *event.Log
	log    *strings.Builder
	mu     sync.Mutex
	evicts []eviction
}

var watched = []string{"192.0.2.1", "198.51.100.1", "2001:db8::1"}

func start(t *testing.T, path string, protected ...Protected) *fixture {
	t.Helper()
	f := &fixture{table: new(block.Table), log: new(strings.Builder)}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	f.events = event.New(100, slog.New(slog.DiscardHandler))
	f.Keeper = New(Options{Table: f.table, Events: f.events, Log: log, Protected: func() []Protected { return protected }, Evict: f.evict})
	f.Run()
	if path != "" {
		f.Open(path)
	}
	return f
}

func (f *fixture) evict(out func(netip.Addr) bool, cut bool) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit []string
	for _, a := range watched {
		if out(netip.MustParseAddr(a)) {
			hit = append(hit, a)
		}
	}
	f.evicts = append(f.evicts, eviction{strings.Join(hit, " "), cut})
	return len(hit)
}

func (f *fixture) bans(t *testing.T, address string) bool {
	t.Helper()
	return f.table.Find(netip.MustParseAddr(address)) != nil
}

// list is all bans in a line each.
func (f *fixture) list() string {
	var b strings.Builder
	for _, x := range f.Bans() {
		fmt.Fprintf(&b, "%s %q uid=%d hits=%d\n", x.Prefix, x.Reason, x.By.UID, x.Hits)
	}
	return b.String()
}

func (f *fixture) history() string {
	var lines []string
	for _, e := range f.events.Since(0, 0) {
		lines = append(lines, e.Kind+" "+e.Client+" "+e.From+">"+e.To+" "+e.Cause)
	}
	return strings.Join(lines, "\n")
}

var alice = admin.Actor{UID: 1000, PID: 7, User: "alice"}

func forMinutes(n int64, prefixes ...string) admin.BanRequest {
	return admin.BanRequest{Prefixes: prefixes, Seconds: n * 60}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestBansExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, filepath.Join(t.TempDir(), "bans.json"))
		defer f.Close()
		must[admin.BanResult](t)(f.Ban(forMinutes(30, "192.0.2.0/24", "2001:db8::/64"), alice))
		must[admin.BanResult](t)(f.Ban(forMinutes(45, "198.51.100.1"), alice))
		must[admin.BanResult](t)(f.Ban(admin.BanRequest{Prefixes: []string{"203.0.113.0/24"}, Permanent: true}, alice))
		for _, step := range []struct {
			wait time.Duration
			want string // of watched
		}{
			{30*time.Minute - time.Nanosecond, "192.0.2.1 198.51.100.1 2001:db8::1"},
			{time.Nanosecond, "198.51.100.1"},
			{15 * time.Minute, ""},
			{1000 * time.Hour, ""},
		} {
			time.Sleep(step.wait)
			synctest.Wait()
			var still []string
			for _, a := range watched {
				if f.bans(t, a) {
					still = append(still, a)
				}
			}
			if got := strings.Join(still, " "); got != step.want {
				t.Errorf("after %v more banned: %q, want %q", step.wait, got, step.want)
			}
		}
		if !f.bans(t, "203.0.113.9") {
			t.Error("a permanent ban has ended")
		}
		if h := f.history(); !strings.Contains(h, "ban 192.0.2.0/24 banned>free its time is over") || !strings.Contains(h, "ban 198.51.100.1/32 free>banned no reason given") {
			t.Errorf("events:\n%s", h)
		}
	})
}

// Connections end when the ban is made, those that are busy after a while.
func TestBanEvicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, "")
		defer f.Close()
		if r := must[admin.BanResult](t)(f.Ban(forMinutes(5, "192.0.2.0/24"), alice)); r.Connections != 1 {
			t.Errorf("Connections = %d, want 1", r.Connections)
		}
		time.Sleep(10 * time.Second)
		must[admin.BanResult](t)(f.Ban(forMinutes(5, "198.51.100.0/24", "2001:db8::/32"), alice))
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []eviction{{"192.0.2.1", false}, {"198.51.100.1 2001:db8::1", false}, {"192.0.2.1", true}, {"198.51.100.1 2001:db8::1", true}}
		if fmt.Sprint(f.evicts) != fmt.Sprint(want) {
			t.Errorf("evictions %v, want %v", f.evicts, want)
		}
	})
}

func TestProtection(t *testing.T) {
	protected := []Protected{
		{netip.MustParsePrefix("10.0.0.0/8"), "a trusted proxy"},
		{netip.MustParsePrefix("192.0.2.80/32"), `a target of upstream "u"`},
	}
	f := start(t, "", protected...)
	defer f.Close()
	session := []string{"198.51.100.9", "fe80::9%eth0", "::ffff:203.0.113.5", "nonsense"}
	for _, c := range []struct{ prefix, want string }{
		{"192.0.2.7", ""},
		{"192.0.2.0/26", ""},
		{"192.0.2.80", `192.0.2.80/32 is a target of upstream "u"`},
		{"192.0.2.0/24", `192.0.2.0/24 holds 192.0.2.80, a target of upstream "u"`},
		{"10.1.2.3", "10.1.2.3 lies in 10.0.0.0/8, a trusted proxy"},
		{"10.0.0.0/7", "10.0.0.0/7 holds 10.0.0.0/8, a trusted proxy"},
		{"127.0.0.1", "127.0.0.1 lies in 127.0.0.0/8, the loopback"},
		{"::1", "::1/128 is the loopback"},
		{"::/8", "::/8 holds ::1, the loopback"},
		{"::ffff:127.0.0.1", "127.0.0.1 lies in 127.0.0.0/8, the loopback"},
		{"::ffff:0:0/97", "0.0.0.0/1 holds 127.0.0.0/8, the loopback"},
		{"0.0.0.0/0", "0.0.0.0/0 is everybody"},
		{"::/0", "::/0 is everybody"},
		{"198.51.100.0/24", "198.51.100.0/24 holds 198.51.100.9, the address from which you are logged in"},
		{"203.0.113.5", "203.0.113.5/32 is the address from which you are logged in"},
		{"fe80::/64", "fe80::/64 holds fe80::9, the address from which you are logged in"},
	} {
		q := forMinutes(5, c.prefix)
		q.Session = session
		_, err := f.Ban(q, alice)
		var p *admin.Problem
		switch {
		case c.want == "" && err != nil, c.want != "" && (!errors.As(err, &p) || p.Status != http.StatusConflict):
			t.Errorf("Ban(%s) = %v, want %q", c.prefix, err, c.want)
		case c.want != "" && (!strings.HasPrefix(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "nothing was banned; if you are sure, add --force")):
			t.Errorf("Ban(%s) = %v, want %q and how to force it", c.prefix, err, c.want)
		}
		if c.want == "" {
			continue
		}
		if len(f.Bans()) != 2 {
			t.Fatalf("Ban(%s) was refused and has banned: %s", c.prefix, f.list())
		}
		q.Force = true
		r, err := f.Ban(q, alice)
		if err != nil || !strings.Contains(strings.Join(r.Notes, "\n"), c.want) {
			t.Errorf("Ban(%s, forced) = %v, %v, want it done with a note", c.prefix, r.Notes, err)
		}
		must[admin.UnbanResult](t)(f.Unban(admin.UnbanRequest{Prefixes: []string{c.prefix}}, alice))
	}
}

// One prefix that is protected or wrong keeps all others of the request from being banned.
func TestRequestsAreRefusedWhole(t *testing.T) {
	f := start(t, "")
	defer f.Close()
	for _, c := range []struct {
		q    admin.BanRequest
		want string
	}{
		{forMinutes(5, "192.0.2.1", "::1"), "loopback"},
		{forMinutes(5, "192.0.2.1", "192.0.2.300"), `"192.0.2.300" is neither an IP address nor a CIDR prefix`},
		{forMinutes(5, "192.0.2.1", "fe80::1%eth0"), "neither"},
		{forMinutes(5, "192.0.2.1/33"), "neither"},
		{forMinutes(5), "nothing to ban"},
		{forMinutes(0, "192.0.2.1"), "lasts from 1 to"},
		{forMinutes(1<<40, "192.0.2.1"), "lasts from 1 to"},
		{forMinutes(-1, "192.0.2.1"), "lasts from 1 to"},
		{admin.BanRequest{Prefixes: []string{"192.0.2.1"}, Seconds: 5, Permanent: true}, "either permanent or"},
		{admin.BanRequest{Prefixes: []string{"192.0.2.1"}, Seconds: 5, Reason: strings.Repeat("x", 1001)}, "reason has 1001 bytes"},
	} {
		_, err := f.Ban(c.q, alice)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Ban(%+v) = %v, want %q", c.q, err, c.want)
		}
	}
	if f.table.Len() != 0 || f.history() != "" {
		t.Errorf("refused requests have banned:\n%s%s", f.list(), f.history())
	}
}

func TestThereAreOnlySoManyBans(t *testing.T) {
	f := start(t, "")
	defer f.Close()
	var all []string
	for i := range BansMax {
		all = append(all, fmt.Sprintf("11.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	must[admin.BanResult](t)(f.Ban(forMinutes(5, all[1:]...), alice))
	if _, err := f.Ban(forMinutes(5, all[0], "192.0.2.1"), alice); err == nil || !strings.Contains(err.Error(), "these would be 100001 bans and 100000 is the most") {
		t.Errorf("Ban() = %v, want too many", err)
	}
	if f.bans(t, "192.0.2.1") || f.bans(t, all[0]) {
		t.Error("a request for too many bans has banned")
	}
	must[admin.BanResult](t)(f.Ban(forMinutes(5, all[0]), alice))
	must[admin.BanResult](t)(f.Ban(forMinutes(5, all[7]), alice)) // in place of the one there is
}

func TestUnban(t *testing.T) {
	f := start(t, "")
	defer f.Close()
	must[admin.BanResult](t)(f.Ban(forMinutes(5, "192.0.2.0/24", "192.0.2.1", "198.51.100.0/24"), alice))
	for _, c := range []struct{ prefix, want string }{
		{"192.0.2.7", "192.0.2.7/32 isn't banned by itself but by 192.0.2.0/24: sentinel unban 192.0.2.0/24"},
		{"192.0.0.0/16", "isn't banned as a whole; there are bans inside of it, such as 192.0.2."},
		{"203.0.113.1", "203.0.113.1/32 isn't banned"},
	} {
		_, err := f.Unban(admin.UnbanRequest{Prefixes: []string{"198.51.100.0/24", c.prefix}}, alice)
		var p *admin.Problem
		if !errors.As(err, &p) || p.Status != http.StatusNotFound || !strings.Contains(p.Message, c.want) {
			t.Errorf("Unban(%s) = %v, want %q", c.prefix, err, c.want)
		}
	}
	r := must[admin.UnbanResult](t)(f.Unban(admin.UnbanRequest{Prefixes: []string{"192.0.2.1"}}, alice))
	if len(r.Notes) != 1 || r.Notes[0] != "192.0.2.1/32 is still kept out by the ban of 192.0.2.0/24" {
		t.Errorf("notes %q, want that the wider ban holds", r.Notes)
	}
	if !f.bans(t, "192.0.2.1") || !f.bans(t, "198.51.100.1") {
		t.Error("more was lifted than was asked for")
	}
	if r := must[admin.UnbanResult](t)(f.Unban(admin.UnbanRequest{All: true}, alice)); len(r.Bans) != 2 || f.table.Len() != 0 {
		t.Errorf("Unban(all) = %v, %d left", r.Bans, f.table.Len())
	}
	if h := f.history(); !strings.HasSuffix(h, `ban 198.51.100.0/24 banned>free lifted by alice (uid 1000), pid 7`) {
		t.Errorf("events:\n%s", h)
	}
}

// A ban in place of another goes on counting and says what it replaces.
func TestBanAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, "")
		defer f.Close()
		must[admin.BanResult](t)(f.Ban(forMinutes(5, "192.0.2.1"), alice))
		f.table.Find(netip.MustParseAddr("192.0.2.1")).Hit()
		q := forMinutes(60, "192.0.2.1", "192.0.2.1/32", "::ffff:192.0.2.1")
		q.Reason = "worse"
		r := must[admin.BanResult](t)(f.Ban(q, admin.Actor{UID: 0}))
		if got, want := f.list(), "192.0.2.1/32 \"worse\" uid=0 hits=1\n"; got != want {
			t.Errorf("bans %q, want %q", got, want)
		}
		if len(r.Bans) != 1 || !strings.Contains(strings.Join(r.Notes, "\n"), "192.0.2.1/32 was banned already, until 2000-01-01T00:05:00Z, asked by alice") {
			t.Errorf("Ban() = %+v, want one with a note on the former one", r)
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if !f.bans(t, "192.0.2.1") {
			t.Error("the time of the former ban holds")
		}
	})
}

func TestBansOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state", "bans.json")
		f := start(t, path)
		q := forMinutes(30, "192.0.2.0/24")
		q.Reason = "a \"reason\" <with> signs\n"
		must[admin.BanResult](t)(f.Ban(q, alice))
		must[admin.BanResult](t)(f.Ban(forMinutes(5, "198.51.100.1"), alice))
		must[admin.BanResult](t)(f.Ban(admin.BanRequest{Prefixes: []string{"2001:db8::/32"}, Permanent: true}, alice))
		// What is in the file now, without an orderly end, is all there is.
		crashed := start(t, path)
		if got, want := crashed.list(), f.list(); got != want {
			t.Errorf("after a crash:\n%swant\n%s", got, want)
		}
		crashed.Close()
		f.table.Find(netip.MustParseAddr("192.0.2.1")).Hit()
		f.Close()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("file %v, %v, want mode 0600", info, err)
		}
		time.Sleep(10 * time.Minute)
		g := start(t, path)
		defer g.Close()
		want := "192.0.2.0/24 \"a \\\"reason\\\" <with> signs\\n\" uid=1000 hits=1\n2001:db8::/32 \"\" uid=1000 hits=0\n"
		if got := g.list(); got != want {
			t.Errorf("after a restart:\n%swant\n%s", got, want)
		}
		if !strings.Contains(g.history(), "ban 198.51.100.1/32 banned>free its time is over") {
			t.Errorf("events %q, want the expiry meanwhile", g.history())
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if g.bans(t, "192.0.2.1") || !g.bans(t, "2001:db8::1") {
			t.Error("the time of a restored ban doesn't hold")
		}
	})
}

// A ban in shadow mode is kept like others, gives way to one that holds and never takes its
// place; it cuts nobody off, and a longer prefix of it lets nobody in.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "bans.json")
		f := start(t, path)
		shadow := func(prefixes ...string) admin.BanRequest {
			q := forMinutes(30, prefixes...)
			q.Shadow = true
			return q
		}
		must[admin.BanResult](t)(f.Ban(shadow("192.0.2.1", "127.0.0.1"), alice))
		must[admin.BanResult](t)(f.Ban(forMinutes(5, "192.0.2.0/24"), alice))
		if !f.bans(t, "192.0.2.1") || f.bans(t, "127.0.0.1") || f.table.FindShadow(netip.MustParseAddr("192.0.2.1")) == nil {
			t.Error("the shadow decides who is banned")
		}
		f.table.FindShadow(netip.MustParseAddr("192.0.2.1")).Hit()
		must[admin.BanResult](t)(f.Ban(shadow("192.0.2.1"), alice))
		if _, err := f.Ban(shadow("198.51.100.1", "192.0.2.0/24"), alice); err == nil || !strings.Contains(err.Error(), "192.0.2.0/24 is banned") {
			t.Errorf("Ban(shadow) of a prefix that is banned = %v, want a refusal", err)
		}
		f.Close()
		f = start(t, path)
		defer f.Close()
		want := "127.0.0.1/32 \"\" uid=1000 hits=0\n192.0.2.0/24 \"\" uid=1000 hits=0\n192.0.2.1/32 \"\" uid=1000 hits=1\n"
		if got := f.list(); got != want {
			t.Errorf("after a restart:\n%swant\n%s", got, want)
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if f.bans(t, "192.0.2.1") || f.evicts != nil {
			t.Errorf("a ban in shadow mode holds, or evicts %v", f.evicts)
		}
		must[admin.BanResult](t)(f.Ban(forMinutes(5, "192.0.2.1"), alice))
		if got := f.list(); !f.bans(t, "192.0.2.1") || !strings.Contains(got, "192.0.2.1/32 \"\" uid=1000 hits=0\n") {
			t.Errorf("made real: %s, want a ban that counts from 0", got)
		}
		if f.table.FindShadow(netip.MustParseAddr("192.0.2.1")) != nil || f.table.FindShadow(netip.MustParseAddr("127.0.0.1")) == nil {
			t.Error("the shadow of a ban that was made real is left, or another one is gone")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if h := f.history(); !strings.Contains(h, "ban 127.0.0.1/32 shadow-banned>free its time is over") || !strings.Contains(h, "ban 192.0.2.1/32 shadow-banned>banned no reason given") {
			t.Errorf("events:\n%s", h)
		}
	})
}

func TestBrokenFileIsPutAside(t *testing.T) {
	for _, text := range []string{
		"", "{", "null", `{"version":2,"bans":[]}`, `{"version":1,"bans":[{"prefix":"192.0.2.0/99"}]}`,
		`{"version":1,"bans":[{"prefix":"192.0.2.0/24","until":"soon"}]}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "bans.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := start(t, path)
		must[admin.BanResult](t)(f.Ban(forMinutes(5, "198.51.100.1"), alice))
		f.Close()
		aside, _ := filepath.Glob(path + ".broken-*")
		if len(aside) != 1 {
			t.Fatalf("%q: %d files aside, want 1", text, len(aside))
		}
		if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != text {
			t.Errorf("%q: aside is %q, %v", text, kept, err)
		}
		if !strings.Contains(f.log.String(), "level=ERROR") || !strings.Contains(f.log.String(), "aside="+aside[0]) {
			t.Errorf("%q: log %s, want an error that names the file", text, f.log)
		}
		g := start(t, path)
		if !g.bans(t, "198.51.100.1") {
			t.Errorf("%q: a new file isn't used", text)
		}
		g.Close()
	}
}

// The state folder can move, and can be out of order: bans hold all the same.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	f := start(t, filepath.Join(dir, "a", "bans.json"))
	defer f.Close()
	must[admin.BanResult](t)(f.Ban(forMinutes(5, "192.0.2.1"), alice))
	f.Open(filepath.Join(dir, "b", "bans.json"))
	g := start(t, filepath.Join(dir, "b", "bans.json"))
	defer g.Close()
	if !g.bans(t, "192.0.2.1") {
		t.Error("the bans haven't moved to another folder")
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Open(filepath.Join(dir, "file", "bans.json"))
	r := must[admin.BanResult](t)(f.Ban(forMinutes(5, "198.51.100.1"), alice))
	if !f.bans(t, "198.51.100.1") || !strings.Contains(strings.Join(r.Notes, "\n"), "it holds now, but a restart forgets it") {
		t.Errorf("notes %q, want that the ban isn't saved", r.Notes)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"bans":[{"prefix":"192.0.2.0/24","by":{"uid":0,"pid":1},"since":"2026-11-24T12:00:00Z","hits":3}]}`))
	f.Add([]byte(`{"version":1,"bans":[{"prefix":"::ffff:192.0.2.0/97"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := decode(text)
		if err != nil {
			return
		}
		for _, b := range list {
			if !b.entry.Prefix().IsValid() || b.entry.Prefix() != block.Canonical(b.entry.Prefix()) {
				t.Errorf("decode(%q) holds the prefix %v", text, b.entry.Prefix())
			}
		}
	})
}
