package compile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/keyfile"
	"sentinel/internal/dataplane/limit"
)

// Store is where the proxies of a fleet count together.
type Store struct {
	Network, Address   string // as of net.Dial
	TLS                *tls.Config
	Username, Password string
	Database           int
	Prefix             string
	Timeout, Lease     time.Duration
	Whole              bool // without it, each proxy applies the whole limit
}

// SharedLimit is a rate limit that is counted there.
type SharedLimit struct {
	ID    string // the same in every proxy that has the same limit
	Table *limit.Table
	Rule  limit.Rule
	// Patience is how long a request may be held back for its turn.
	Patience time.Duration
}

// Fleet is what a generation counts together with others.
type Fleet struct {
	Store  Store
	Limits []SharedLimit

	seed   *limit.Seed
	secret string // its hash, to tell one from another
}

// Fleet returns what the generation that serves counts together with others; nil for nothing.
func (l *Live) Fleet() *Fleet {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.fleet
}

// fleet compiles the store; nil without one.
func (b *builder) fleet() *Fleet {
	s := b.cfg.RateLimitStore
	if s == nil {
		return nil
	}
	password, err := storePassword(s)
	if err != nil {
		b.problem(s.From, "the password of the rate-limit-store can't be had: %v", err)
		return nil
	}
	secret := []byte(password)
	if s.KeyFile.IsSet() {
		if secret, err = storeKey(s.KeyFile.V); err != nil {
			b.problem(s.KeyFile.From, "the key of the rate-limit-store in %s can't be used: %v", s.KeyFile.V, err)
			return nil
		}
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("rate-limit-store " + s.Prefix.V))
	derived := mac.Sum(nil)
	f := &Fleet{
		Store: Store{
			Username: s.Username.V, Password: password, Prefix: s.Prefix.V,
			Timeout: time.Duration(s.Timeout.V) * time.Millisecond, Lease: time.Duration(s.Lease.V) * time.Millisecond,
			Whole: s.OnUnavailable.V == "whole",
		},
		seed: limit.NewFleetSeed(derived),
	}
	sum := sha256.Sum256(derived)
	f.secret = hex.EncodeToString(sum[:8])
	if err := f.Store.locate(s.URL.V, s.CAFile.V); err != nil {
		b.problem(s.From, "rate-limit-store: %v", err)
		return nil
	}
	return f
}

// locate reads the address of the store, which the schema has looked at.
func (s *Store) locate(text, caFile string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("url is no URL")
	}
	database := strings.TrimPrefix(u.Path, "/")
	s.Network, s.Address = "tcp", u.Host
	if u.Scheme == "unix" {
		s.Network, s.Address, database = "unix", u.Path, u.Query().Get("db")
	} else if u.Port() == "" {
		s.Address = net.JoinHostPort(u.Hostname(), "6379")
	}
	if database != "" {
		if s.Database, err = strconv.Atoi(database); err != nil {
			return fmt.Errorf("%q is no database", database)
		}
	}
	if u.Scheme != "rediss" {
		return nil
	}
	s.TLS = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("ca-file: %w", err)
	}
	s.TLS.RootCAs = x509.NewCertPool()
	if !s.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("ca-file: %s holds no certificate in PEM", caFile)
	}
	return nil
}

// storePassword returns the password, which is empty where only key-file is set.
func storePassword(s *schema.RateLimitStore) (string, error) {
	switch {
	case s.PasswordFile.IsSet():
		text, err := os.ReadFile(s.PasswordFile.V)
		if err != nil {
			return "", err
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if line = bytes.TrimRight(line, "\r"); len(line) == 0 {
			return "", fmt.Errorf("the first line of %s is empty", s.PasswordFile.V)
		}
		return string(line), nil
	case s.PasswordEnv.IsSet():
		if p := os.Getenv(s.PasswordEnv.V); p != "" {
			return p, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set", s.PasswordEnv.V)
	}
	return "", nil
}

func storeKey(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	keys, err := keyfile.Parse(text)
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// share makes a limit, all but its ID, one of those that the fleet counts together. It is the
// same one in another proxy that has the same name for it and the same rate.
func (f *Fleet) share(name string, l SharedLimit) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%d\x00%d\x00%d", name, l.Rule.Per, l.Rule.Requests, l.Rule.Burst)
	l.ID = hex.EncodeToString(h.Sum(nil)[:8])
	f.Limits = append(f.Limits, l)
}
