package schema

import (
	"fmt"
	"net/url"
	"strings"
)

// RateLimitStore is where several proxies count together.
type RateLimitStore struct {
	Block
	Kind          Value[string] // "redis"
	URL           Value[string]
	Username      Value[string]
	PasswordFile  Value[string]
	PasswordEnv   Value[string]
	CAFile        Value[string]
	KeyFile       Value[string]
	Prefix        Value[string]
	Timeout       Value[int64]  // milliseconds
	Lease         Value[int64]  // milliseconds
	OnUnavailable Value[string] // "local" or "whole"
}

func storeBlock() blockDef {
	return blockDef{
		name: "rate-limit-store",
		doc: "A Redis or Valkey in which several proxies count their rate limits together: `rate-limit-store \"redis\" { ... }`. " +
			"No request waits for it. Every rate limit uses it that doesn't say `shared #false`. See [fleet-limits.md](../fleet-limits.md).",
		args: []string{"kind"},
		keys: []Key{
			{
				Name: "kind", Kind: Text, Words: []string{"redis"}, Required: true, ArgOnly: true, Doc: "what it speaks: `redis`, as Valkey does too",
				slot: value(func(s *RateLimitStore) any { return &s.Kind }),
			},
			{
				Name: "url", Kind: Text, Required: true, check: checkStoreURL,
				Doc:  "`redis://HOST:PORT/DATABASE`, `rediss://...` for TLS, or `unix:///PATH?db=DATABASE`, without a password",
				slot: value(func(s *RateLimitStore) any { return &s.URL }),
			},
			{
				Name: "username", Kind: Text, Doc: "user to log in as; without it, the default user",
				slot: value(func(s *RateLimitStore) any { return &s.Username }),
			},
			{
				Name: "password-file", Kind: Text, check: checkFile, Doc: "file with the password in its first line; read at start and reload",
				slot: value(func(s *RateLimitStore) any { return &s.PasswordFile }),
			},
			{
				Name: "password-env", Kind: Text, check: checkEnvName, Doc: "environment variable with the password, instead of a file",
				slot: value(func(s *RateLimitStore) any { return &s.PasswordEnv }),
			},
			{
				Name: "ca-file", Kind: Text, check: checkFile, Doc: "certificates, PEM, that a rediss store is trusted by; without it, those of the machine",
				slot: value(func(s *RateLimitStore) any { return &s.CAFile }),
			},
			{
				Name: "key-file", Kind: Text, check: checkFile,
				Doc:  "a key of 32 bytes, base64 or hexadecimal, the same on all proxies: what is counted by is hashed with it, so that the store holds no addresses and nobody can choose two that collide; without it, the password is that key",
				slot: value(func(s *RateLimitStore) any { return &s.KeyFile }),
			},
			{
				Name: "prefix", Kind: Text, Default: "sentinel", check: checkPrefix, Doc: "what the names of its keys begin with; proxies of one prefix count together",
				slot: value(func(s *RateLimitStore) any { return &s.Prefix }),
			},
			{
				Name: "timeout-ms", Kind: Int, Unit: "milliseconds", Min: 5, Max: 10000, Default: "100",
				Doc: "how long it may take to answer before it counts as away", slot: value(func(s *RateLimitStore) any { return &s.Timeout }),
			},
			{
				Name: "lease-ms", Kind: Int, Unit: "milliseconds", Min: 5, Max: 1000, Default: "20",
				Doc: "how often a proxy settles what it let through: less keeps the fleet's total closer to the limit, more asks the store less", slot: value(func(s *RateLimitStore) any { return &s.Lease }),
			},
			{
				Name: "on-unavailable", Kind: Enum, Words: []string{"local", "whole"}, Default: "local",
				Doc:  "how each proxy counts while the store is away: by itself with its share of each limit, or by itself with the whole limit",
				slot: value(func(s *RateLimitStore) any { return &s.OnUnavailable }),
			},
		},
		finish: finishStore,
	}
}

// finishStore reports what is missing or twice. It never repeats a password.
func finishStore(d *decoder, b any) {
	s := b.(*RateLimitStore)
	if u, err := url.Parse(s.URL.V); s.URL.IsSet() && err == nil && u.User != nil {
		d.errorAt(s.URL.From, "url holds a user or a password, which would show in logs and commands").
			hint("name the user by username, move the password to a file and name that by password-file")
	}
	if s.PasswordFile.IsSet() && s.PasswordEnv.IsSet() {
		d.errorAt(s.PasswordEnv.From, "rate-limit-store has both password-file and password-env").
			hint("keep one of them").related(s.PasswordFile.From, "the other one is here")
	}
	if !d.tried(s, "password-file", "password-env", "key-file") {
		d.errorAt(s.From, "rate-limit-store has no secret: without one, clients could choose keys that collide").
			hint("set password-file, or make a key for all proxies by `openssl rand -base64 32` and set key-file")
	}
	if s.CAFile.IsSet() && s.URL.IsSet() && !strings.HasPrefix(s.URL.V, "rediss:") {
		d.errorAt(s.CAFile.From, "ca-file has no effect without TLS").hint("write rediss:// in url, or remove ca-file")
	}
}

// stores reports limits that want a store which isn't there.
func (d *decoder) stores(c *Config) {
	if c.RateLimitStore != nil {
		return
	}
	lists := [][]*RateLimit{c.RateLimits}
	for _, l := range c.Listeners {
		lists = append(lists, l.RateLimits)
	}
	for _, r := range c.Routes {
		lists = append(lists, r.RateLimits)
	}
	for _, list := range lists {
		for _, r := range list {
			if r.Shared.From.Kind == Written && r.Shared.V {
				d.errorAt(r.Shared.From, "shared has no effect without a rate-limit-store").hint(`add rate-limit-store "redis" { url "redis://..." } at top level`)
			}
		}
	}
}

func checkStoreURL(text string) (problem, hint string) {
	u, err := url.Parse(text)
	const want = `write "redis://HOST:6379", "rediss://HOST:6380" or "unix:///run/redis/redis.sock"`
	if err != nil {
		return "is no URL", want
	}
	database := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "redis", "rediss":
		if u.Hostname() == "" {
			return "names no host", want
		}
	case "unix":
		if u.Path == "" || u.Host != "" {
			return "names no path of a socket", want
		}
		database = u.Query().Get("db")
	default:
		return fmt.Sprintf("has the scheme %q", u.Scheme), want
	}
	if !isDatabase(database) {
		return fmt.Sprintf("names the database %q", database), "a database is a number from 0 to 65535"
	}
	return "", ""
}

func isDatabase(text string) bool {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
		if n = 10*n + int(c-'0'); n > 65535 {
			return false
		}
	}
	return true
}

func checkEnvName(text string) (problem, hint string) {
	if !isEnvName(text) {
		return "can't be the name of an environment variable", "write the name alone, such as REDIS_PASSWORD"
	}
	return "", ""
}

// checkPrefix keeps names of keys short and free of what means something to a store.
func checkPrefix(text string) (problem, hint string) {
	for _, c := range text {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && !strings.ContainsRune("-_.:", c) {
				return "can't begin the names of keys", "use letters, digits and - _ . :"
			}
		}
	}
	if text == "" || len(text) > 64 {
		return "can't begin the names of keys", "use 1 to 64 letters, digits and - _ . :"
	}
	return "", ""
}
