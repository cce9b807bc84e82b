package compile

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/snapshot"
)

// challengeKey is the name of the key file that is made in the state folder.
const challengeKey = "challenge.key"

const (
	// floodMax is up to how many times its threshold a client is counted.
	floodMax = 16
	// clientsMax is how many clients a place remembers, and floodersMax how many of those over
	// the threshold: 1.5 MB together.
	clientsMax, floodersMax = 65536, 16384
)

// challenges are what of challenges lives on: counters, answers used, and who takes answers
// when the blocks are gone from the configuration.
type challenges struct {
	mu struct {
		sync.Mutex
		state *challenge.State
		last  *challenge.Challenger // of the generation that serves
	}
}

// lastingChallenges returns the state, made when it is first wanted.
func (l *Live) lastingChallenges() *challenge.State {
	c := &l.challenges
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.state == nil {
		c.mu.state = new(challenge.State)
		l.opt.Metrics.SetChallenges(&c.mu.state.Counters)
	}
	return c.mu.state
}

func (c *challenges) current() *challenge.Challenger {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.last
}

func (c *challenges) commit(next *challenge.Challenger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.last = next
}

// securityBlock returns where the first block about challenges stands; ok is false without any.
func securityBlock(cfg *schema.Config) (at schema.Origin, ok bool) {
	if cfg.Security != nil {
		return cfg.Security.From, true
	}
	for _, l := range cfg.Listeners {
		if l.Security != nil {
			return l.Security.From, true
		}
	}
	for _, r := range cfg.Routes {
		if r.Security != nil {
			return r.Security.From, true
		}
	}
	return at, false
}

// challenger compiles who gives challenges and takes answers. It is there in every mode, and
// when all blocks are gone, so that whoever is at work is led on. A missing key is made only
// for a configuration that is about to serve.
func (b *builder) challenger(serves bool) {
	b.next.challenger = b.live.challenges.current()
	if at, ok := securityBlock(b.cfg); ok {
		s := schema.EffectiveSecurity(b.cfg, nil, nil)
		if s.KeyFile.IsSet() {
			at = s.KeyFile.From
		}
		keys, err := b.challengeKeys(s.KeyFile.V, serves)
		if err != nil {
			b.problem(at, "%v", err)
			return
		}
		b.next.challenger = challenge.New(challenge.Options{
			Bits4: int(s.IPv4PrefixBits.V), Bits6: int(s.IPv6PrefixBits.V),
			TokenLife: s.TokenLifetime.V, Status: int(s.Status.V),
		}, keys, b.live.lastingChallenges())
	}
	b.snap.Challenger = b.next.challenger
}

// challengeKeys reads the keys from a file or, without one, from the state folder.
func (b *builder) challengeKeys(file string, serves bool) (*challenge.Keys, error) {
	own := file == ""
	if own {
		file = filepath.Join(b.cfg.System.StateDir.V, challengeKey)
	}
	text, err := os.ReadFile(file)
	if own && errors.Is(err, fs.ErrNotExist) {
		if !serves {
			return challenge.ParseKeys(challenge.GenerateKeys()) // only to see the rest
		}
		if text, err = makeKeyFile(file); err != nil {
			return nil, fmt.Errorf("the key of challenges can't be kept in state-dir, so name a key-file: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the keys of challenges can't be read: %w", err)
	}
	keys, err := challenge.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("the keys of challenges in %s are wrong: %w", file, err)
	}
	return keys, nil
}

// makeKeyFile writes a new key that only its owner can read, and returns what is in the file
// then: where another process was first, its key.
func makeKeyFile(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), challengeKey+".*") // of mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(challenge.GenerateKeys())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// securities compiles what holds on each listener, and on each route that says something itself
// for each listener.
func (b *builder) securities() {
	seen := make(map[string]*snapshot.Security)
	for i, l := range b.snap.Listeners {
		if l != nil {
			l.Slot, l.Security = i, b.security(seen, b.listenerOf(l.Name), nil)
		}
	}
	for i, r := range b.cfg.Routes {
		if r.Security == nil {
			continue
		}
		own := make([]*snapshot.Security, len(b.snap.Listeners))
		for slot, l := range b.snap.Listeners {
			if l != nil {
				own[slot] = b.security(seen, b.listenerOf(l.Name), r)
			}
		}
		b.snap.Routes[i].Security = own
	}
}

func (b *builder) listenerOf(name string) *schema.Listener {
	for _, l := range b.cfg.Listeners {
		if l.Name.V == name {
			return l
		}
	}
	return nil
}

// security compiles what holds on a listener and route; nil where nobody is challenged. Places
// of one scope share their counts.
func (b *builder) security(seen map[string]*snapshot.Security, l *schema.Listener, r *schema.Route) *snapshot.Security {
	s := schema.EffectiveSecurity(b.cfg, l, r)
	modes := map[string]challenge.Mode{"shadow": challenge.Enabled, "enabled": challenge.Enabled, "always": challenge.Always}
	if modes[s.ChallengeMode.V] == challenge.Disabled {
		return nil
	}
	scope := "challenge"
	if r != nil {
		scope += ` route "` + r.Name.V + `"`
	}
	if l.Security != nil {
		scope += ` listener "` + l.Name.V + `"`
	}
	if made := seen[scope]; made != nil {
		return made
	}
	key, err := limit.ParseKey([]string{"client_ip"}, int(s.IPv6PrefixBits.V))
	if err != nil {
		b.problem(s.IPv6PrefixBits.From, "%v", err)
		return nil
	}
	threshold := s.ChallengeThreshold.V
	counts := func(name string, burst int64, clients int) *limit.Table {
		rule := limit.Rule{Name: scope, Per: time.Minute, Requests: threshold, Burst: burst, Entries: clients}
		return b.live.table(b.next, scope+name, counters{keys: key.String(), rule: rule})
	}
	made := &snapshot.Security{
		Policy: challenge.Policy{
			Mode: modes[s.ChallengeMode.V], Shadow: s.ChallengeMode.V == "shadow", Threshold: int(threshold),
			Base: int(s.Difficulty.V), Max: int(s.MaxDifficulty.V), Wait: int(s.Wait.V),
		},
		Key: key, Clients: counts("", threshold, clientsMax), Floods: counts(" floods", (floodMax-1)*threshold, floodersMax),
	}
	if len(s.Allow) > 0 {
		allowed := make([]netip.Prefix, 0, len(s.Allow))
		for _, p := range s.Allow {
			allowed = append(allowed, p.V)
		}
		made.Allowed = block.NewList(allowed, nil)
	}
	seen[scope] = made
	return made
}
