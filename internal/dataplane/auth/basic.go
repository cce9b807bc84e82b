package auth

import (
	"bytes"
	"encoding/base64"
	"time"

	"sentinel/internal/dataplane/message"
)

// Credentials are a name and a password as a client has sent them.
type Credentials struct {
	room           [credentialBytesMax]byte
	user, password []byte
}

// credentialBytesMax bounds name and password together: what is longer is wrong.
const credentialBytesMax = 1024

// User returns the name; it is valid as long as c isn't parsed anew.
func (c *Credentials) User() []byte { return c.user }

// Parse reads the value of an Authorization field with the scheme Basic (RFC 7617 section 2)
// and reports whether it is one. Control characters aren't allowed in it.
func (c *Credentials) Parse(value []byte) bool {
	c.user, c.password = nil, nil
	const scheme = "basic "
	if len(value) < len(scheme) || !message.EqualFold(value[:len(scheme)], scheme) {
		return false
	}
	text := message.TrimSpace(value[len(scheme):])
	if base64.StdEncoding.DecodedLen(len(text)) > len(c.room) {
		return false
	}
	n, err := base64.StdEncoding.Decode(c.room[:], text)
	if err != nil {
		return false
	}
	for _, b := range c.room[:n] {
		if b < ' ' || b == 127 {
			return false
		}
	}
	at := bytes.IndexByte(c.room[:n], ':')
	if at <= 0 || at > userBytesMax {
		return false
	}
	c.user, c.password = c.room[:at], c.room[at+1:n]
	return true
}

// Basic checks credentials against users.
type Basic struct {
	users    *Users
	verified *Verified[struct{}]
	keep     time.Duration
}

// NewBasic returns a check that remembers so many credentials for a time.
func NewBasic(users *Users, entries int, keep time.Duration) *Basic {
	return &Basic{users: users, verified: NewVerified[struct{}](entries), keep: keep}
}

// Known reports whether the credentials were found right a while ago. It takes no time.
func (b *Basic) Known(c *Credentials, now time.Duration) bool {
	_, ok := b.verified.Find(b.verified.Digest(c.user, c.password), now)
	return ok
}

// Check reports whether the credentials are right. It keeps a processor busy for as long as
// the hash is meant to take.
func (b *Basic) Check(c *Credentials, now time.Duration) bool {
	if !b.users.Check(c.user, c.password) {
		return false
	}
	b.verified.Remember(b.verified.Digest(c.user, c.password), now+b.keep, struct{}{})
	return true
}
