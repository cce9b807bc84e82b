package fleet

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"sentinel/internal/config/compile"
)

const (
	// dialTimeout is how long a connection may take to be made, whatever timeout-ms says of
	// questions.
	dialTimeout = time.Second
	// bufferBytes is the size of each of the two buffers of a connection.
	bufferBytes = 64 << 10
	// debtIntervals is how many requests beyond two bursts are remembered of a key: the rest
	// of what a fleet has let through too much is forgiven.
	debtIntervals = 8
)

// settleText moves on the moment at which the credit of one key is full, and returns how far
// it is ahead of the server's clock. All numbers are microseconds.
//
//	ARGV: cost, age (the cost was spent so long ago), most (ahead of now)
//
// What is stored is one number, which expires when it means nothing any more. A number from
// a clock that was ahead counts as the most there may be.
const settleText = `local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local full = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
local most = tonumber(ARGV[3])
if full > now + most then full = now + most end
local from = now - tonumber(ARGV[2])
if full < from then full = from end
local cost = tonumber(ARGV[1])
if cost > 0 then
  full = math.min(full + cost, now + most)
  if full > now then
    redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.floor((full - now) / 1000) + 1)
  end
end
if full < now then return 0 end
return math.floor(full - now)`

// meetText says that a proxy is there and returns how many are.
//
//	ARGV: name, milliseconds after which it is taken for gone; 0 says goodbye
const meetText = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local life = tonumber(ARGV[2])
if life > 0 then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - life)
  redis.call('PEXPIRE', KEYS[1], life)
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return redis.call('ZCARD', KEYS[1])`

// script is a text that a server keeps by its hash.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) // the name that servers give it, no protection
	return script{text, hex.EncodeToString(sum[:])}
}

// store is one connection to a store.
type store struct {
	client       rueidis.Client
	settle, meet script
	timeout      time.Duration
	prefix       string
}

// open connects. It waits for the connection and the login.
func open(o *compile.Store) (*store, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{o.Address}, ForceSingleClient: true,
		Username: o.Username, Password: o.Password, SelectDB: o.Database,
		ClientName: "sentinel", ClientSetInfo: rueidis.DisableClientSetInfo,
		Dialer: dialer, ConnWriteTimeout: max(o.Timeout, dialTimeout),
		DialCtxFn: func(ctx context.Context, _ string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			if o.TLS != nil {
				d := tls.Dialer{NetDialer: &dialer, Config: o.TLS}
				return d.DialContext(ctx, o.Network, o.Address)
			}
			return dialer.DialContext(ctx, o.Network, o.Address)
		},
		PipelineMultiplex: -1, ReadBufferEachConn: bufferBytes, WriteBufferEachConn: bufferBytes,
		DisableRetry: true, DisableCache: true, AlwaysPipelining: true,
	})
	if err != nil {
		return nil, err
	}
	return &store{client: client, settle: newScript(settleText), meet: newScript(meetText), timeout: o.Timeout, prefix: o.Prefix}, nil
}

// question is one call of a script about one key.
type question struct {
	script *script
	key    string
	args   [3]string
	n      int // how many of args count
}

// ask sends questions in one go and returns the answers, one number each. With an error, some
// of the questions may have been understood all the same.
func (s *store) ask(ctx context.Context, list []question) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	commands := make(rueidis.Commands, len(list))
	for i := range list {
		q := &list[i]
		commands[i] = s.client.B().Evalsha().Sha1(q.script.sha).Numkeys(1).Key(q.key).Arg(q.args[:q.n]...).Build()
	}
	answers, unknown := make([]int64, len(list)), []int(nil)
	for i, r := range s.client.DoMulti(ctx, commands...) {
		n, err := r.AsInt64()
		var refused *rueidis.RedisError
		if errors.As(err, &refused) && refused.IsNoScript() {
			unknown = append(unknown, i)
		} else if err != nil {
			return nil, err
		}
		answers[i] = n
	}
	for _, i := range unknown { // a server that has restarted knows no scripts
		q := &list[i]
		n, err := s.client.Do(ctx, s.client.B().Eval().Script(q.script.text).Numkeys(1).Key(q.key).Arg(q.args[:q.n]...).Build()).AsInt64()
		if err != nil {
			return nil, err
		}
		answers[i] = n
	}
	return answers, nil
}

// greet says that the proxy called name is there, for life; 0 says goodbye. It returns how
// many proxies there are.
func (s *store) greet(ctx context.Context, name string, life time.Duration) (int, error) {
	answers, err := s.ask(ctx, []question{{
		script: &s.meet, key: s.prefix + ":proxies",
		args: [3]string{name, strconv.FormatInt(life.Milliseconds(), 10)}, n: 2,
	}})
	if err != nil {
		return 0, err
	}
	return int(answers[0]), nil
}

// reasonOf puts an error of the store into one of a few words, for a label.
func reasonOf(err error) string {
	var refused *rueidis.RedisError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return reasonOfRefusal(refused.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	}
	return "connection"
}

func reasonOfRefusal(text string) string {
	for _, known := range []struct{ begin, reason string }{
		{"READONLY", "readonly"}, {"NOAUTH", "auth"}, {"WRONGPASS", "auth"}, {"NOPERM", "auth"}, {"ERR AUTH", "auth"},
	} {
		if len(text) >= len(known.begin) && text[:len(known.begin)] == known.begin {
			return known.reason
		}
	}
	return "refused"
}

// causeOf says in words why the store is away.
func causeOf(err error) string {
	const bytesMax = 200
	text := err.Error()
	if reasonOf(err) == "timeout" {
		text = "no answer in time"
	}
	if len(text) > bytesMax {
		text = text[:bytesMax]
	}
	return fmt.Sprintf("%s: %s", reasonOf(err), text)
}
