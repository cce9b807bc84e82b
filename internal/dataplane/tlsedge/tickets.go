package tlsedge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/keyfile"
)

const (
	// keyLife is for how long a key that was made here seals; keysKept of them open.
	keyLife  = 8 * time.Hour
	keysKept = 3
	// ticketBytesMax bounds what is tried to open: a client certificate with its chain fits.
	ticketBytesMax = 32 << 10

	nameLen = 8
	saltLen = 24
)

// Tickets seals sessions so that clients can keep them (RFC 5077, RFC 8446 section 4.6.1). A
// ticket is
//
//	name of the key (8) | salt (24) | session, sealed by AES-256-GCM
//
// whose key is derived from the salt, so that no nonce is used twice however long a key
// seals. What it was sealed for, a policy and a server name, is authenticated with it.
type Tickets struct {
	keys atomic.Pointer[[]ticketKey]

	mu struct {
		sync.Mutex
		made time.Time // when the first key was made here; zero where the keys are given
	}
}

// ticketKey is one key; its name tells which one has sealed a ticket.
type ticketKey struct {
	name [nameLen]byte
	key  []byte
}

func newTicketKey(raw []byte) ticketKey {
	k := ticketKey{key: mac(raw, "sentinel session ticket key", nil)}
	copy(k.name[:], mac(raw, "sentinel session ticket name", nil))
	return k
}

func mac(key []byte, label string, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	h.Write(b)
	return h.Sum(nil)
}

// NewTickets returns tickets with keys of their own, which Rotate changes.
func NewTickets(now time.Time) *Tickets {
	t := new(Tickets)
	t.keys.Store(new([]ticketKey))
	t.push(now)
	return t
}

// ParseTickets returns tickets with the keys of a file (see package keyfile): the first one
// seals, all open. Errors never show a key.
func ParseTickets(file []byte) (*Tickets, error) {
	raw, err := keyfile.Parse(file)
	if err != nil {
		return nil, err
	}
	keys := make([]ticketKey, len(raw))
	for i := range raw {
		keys[i] = newTicketKey(raw[i])
	}
	t := new(Tickets)
	t.keys.Store(&keys)
	return t, nil
}

// GenerateKeys returns the text of a new key file with one random key.
func GenerateKeys() []byte {
	return keyfile.Generate("# Keys of session tickets, one a line. The first seals, all open.\n" +
		"# To rotate: add a new key above on every proxy, reload, drop the old one a day later.\n")
}

// Rotate makes a new key when the one that seals has done so long enough. Keys of a file stay
// as they are.
func (t *Tickets) Rotate(now time.Time) {
	t.mu.Lock()
	due := !t.mu.made.IsZero() && now.Sub(t.mu.made) >= keyLife
	t.mu.Unlock()
	if due {
		t.push(now)
	}
}

// push makes a new first key and forgets the oldest.
func (t *Tickets) push(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	raw := make([]byte, keyfile.KeyLen)
	rand.Read(raw) // never fails
	old := *t.keys.Load()
	keys := append([]ticketKey{newTicketKey(raw)}, old[:min(len(old), keysKept-1)]...)
	t.keys.Store(&keys)
	t.mu.made = now
}

// wrap seals a session for a policy and a server name.
func (t *Tickets) wrap(p Policy, serverName string, ss *tls.SessionState) ([]byte, error) {
	plain, err := ss.Bytes()
	if err != nil {
		return nil, err
	}
	k := &(*t.keys.Load())[0]
	ticket := make([]byte, nameLen+saltLen, nameLen+saltLen+len(plain)+16)
	copy(ticket, k.name[:])
	rand.Read(ticket[nameLen:])
	var nonce [12]byte
	return k.aead(ticket[nameLen:]).Seal(ticket, nonce[:], plain, boundTo(p, serverName)), nil
}

// unwrap opens a ticket; nil for one that isn't ours, or wasn't sealed for that.
func (t *Tickets) unwrap(p Policy, serverName string, ticket []byte) *tls.SessionState {
	if len(ticket) < nameLen+saltLen || len(ticket) > ticketBytesMax {
		return nil
	}
	for i := range *t.keys.Load() {
		k := &(*t.keys.Load())[i]
		if [nameLen]byte(ticket) != k.name {
			continue
		}
		var nonce [12]byte
		plain, err := k.aead(ticket[nameLen:nameLen+saltLen]).Open(nil, nonce[:], ticket[nameLen+saltLen:], boundTo(p, serverName))
		if err != nil {
			return nil
		}
		ss, err := tls.ParseSessionState(plain)
		if err != nil {
			return nil
		}
		return ss
	}
	return nil
}

func (k *ticketKey) aead(salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(mac(k.key, "seal", salt))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return a
}

// boundTo returns what a ticket is authenticated with.
func boundTo(p Policy, serverName string) []byte {
	return append(append(make([]byte, 0, len(p)+len(serverName)), p[:]...), strings.ToLower(serverName)...)
}
