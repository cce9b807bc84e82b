package compile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sentinel/internal/dataplane/challenge"
)

const challenged = `system { state-dir "STATE" }
security { challenge-mode "enabled"; challenge-threshold 7 }
listeners {
    listener "a" { address "127.0.0.1:80" }
    listener "b" { address "127.0.0.1:81"; security { challenge-mode "always" } }
    listener "c" { address "127.0.0.1:82"; security { challenge-mode "disabled" } }
}
routes {
    route "plain" { matches { path "/plain" }; respond 204 }
    route "own" { matches { path "/own" }; respond 204; security { challenge-threshold 9 } }
    route "always" { matches { path "/always" }; respond 204; security { challenge-mode "always" } }
}
`

var threeSlots = map[string]int{"a": 0, "b": 1, "c": 3}

// TestSecurityPlaces checks that the nearest block holds for each key, and that a place without
// one shares the counts of the one above it.
func TestSecurityPlaces(t *testing.T) {
	state := t.TempDir()
	s, _, diags := Build(load(t, strings.Replace(challenged, "STATE", state, 1)), newLive(t), func(name string) int { return threeSlots[name] })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a, b, c := s.Listeners[0], s.Listeners[1], s.Listeners[3]
	if a.Security.Policy.Mode != challenge.Enabled || b.Security.Policy.Mode != challenge.Always || b.Security.Policy.Threshold != 7 || c.Security != nil {
		t.Errorf("listeners have %+v, %+v, %+v", a.Security, b.Security, c.Security)
	}
	if a.Slot != 0 || b.Slot != 1 || c.Slot != 3 || s.Challenger == nil {
		t.Errorf("slots are %d, %d, %d, the challenger %v", a.Slot, b.Slot, c.Slot, s.Challenger)
	}
	own, always := s.Routes[1].Security, s.Routes[2].Security
	if s.Routes[0].Security != nil || len(own) != 4 || own[2] != nil {
		t.Fatalf("routes have %v and %v", s.Routes[0].Security, own)
	}
	if own[0].Policy.Mode != challenge.Enabled || own[1].Policy.Mode != challenge.Always || own[0].Policy.Threshold != 9 || own[3] != nil {
		t.Errorf("route own has %+v, %+v, %+v", own[0], own[1], own[3])
	}
	if always[3].Policy.Mode != challenge.Always || always[0].Clients == always[1].Clients || always[0].Clients == a.Security.Clients {
		t.Errorf("route always has %+v, %+v", always[0], always[3])
	}
}

// TestChallengesLiveOn checks that counts of clients and those at work stay through a reload.
func TestChallengesLiveOn(t *testing.T) {
	live, text := newLive(t), strings.Replace(challenged, "STATE", t.TempDir(), 1)
	slots := func(name string) int { return threeSlots[name] }
	first, commit, _ := Build(load(t, text), live, slots)
	commit()
	second, commit, _ := Build(load(t, strings.Replace(text, "challenge-threshold 7", "challenge-threshold 8", 1)), live, slots)
	commit()
	if first.Listeners[0].Security.Clients != second.Listeners[0].Security.Clients || second.Listeners[0].Security.Clients.Rule().Requests != 8 {
		t.Error("the counts don't live through a reload, or keep their rate")
	}
	bare, commit, diags := Build(load(t, `listeners { listener "a" { address "127.0.0.1:80" } }
routes { route "r" { respond 204 } }`), live, slots)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	commit()
	if bare.Challenger != second.Challenger || bare.Listeners[0].Security != nil {
		t.Error("without a block there is nobody who takes answers, or there are challenges")
	}
	if s, _, _ := Build(load(t, twoOfAll), newLive(t), func(name string) int { return slots(name) }); s.Challenger != nil {
		t.Error("there is a challenger though there was never a block")
	}
}

// TestChallengeKeyIsMadeOnce checks that a check makes no file, and that of many starts at once
// one makes it.
func TestChallengeKeyIsMadeOnce(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	text := strings.Replace(challenged, "STATE", state, 1)
	if _, _, diags := Build(load(t, text), newLive(t), nil); diags.HasErrors() {
		t.Fatal(diags)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("a check makes %s (%v)", state, err)
	}
	var texts [8][]byte
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() { texts[i], _ = makeKeyFile(filepath.Join(state, challengeKey)) })
	}
	wg.Wait()
	for _, got := range texts {
		if len(got) == 0 || !bytes.Equal(got, texts[0]) {
			t.Fatalf("starts at once have the keys %q", texts)
		}
	}
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 1 {
		t.Errorf("the state folder holds %v, %v", entries, err)
	}
}

// TestChallengeKeyRefuses checks that a key that can't be had refuses the configuration where
// the block or the key of it stands.
func TestChallengeKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "none"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		line       string
		serves     bool
	}{
		{"no folder", strings.Replace(challenged, "STATE", file, 1), "config.kdl:2:1: error: the keys of challenges can't be read", false},
		{"no folder can be made", strings.Replace(challenged, "STATE", dangling, 1), "config.kdl:2:1: error: the key of challenges can't be kept in state-dir", true},
		{"no file", strings.Replace(challenged, `"enabled";`, `"enabled"; key-file "`+dir+`/none";`, 1), "config.kdl:2:47: error: the keys of challenges can't be read", false},
		{"a folder", strings.Replace(challenged, `"enabled";`, `"enabled"; key-file "`+dir+`";`, 1), "config.kdl:2:47: error: the keys of challenges can't be read", false},
		{"no key", strings.Replace(challenged, `"enabled";`, `"enabled"; key-file "`+file+`";`, 1), "are wrong: line 1: ", false},
	} {
		slot := func(name string) int { return threeSlots[name] }
		if !test.serves {
			slot = nil
		}
		_, _, diags := Build(load(t, test.text), newLive(t), slot)
		if len(diags) != 1 || !strings.Contains(fmt.Sprint(diags[0]), test.line) {
			t.Errorf("%s: %v, want %q", test.name, diags, test.line)
		}
	}
}
