package accesslog

import (
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"sentinel/internal/observe/journal"
)

// Limits of a value in bytes, before escaping. The rest of a longer one is cut off.
const (
	methodMax    = 32
	hostMax      = 255
	pathMax      = 2048
	queryMax     = 1024
	userAgentMax = 256
	refererMax   = 512
	requestIDMax = 128
	nameMax      = 255
	userMax      = 255
)

// line is one entry being encoded. Text and JSON differ in what stands between keys and values only.
type line struct {
	b    []byte
	json bool
}

func (l *line) key(key string) {
	if l.json {
		l.b = append(l.b, ',', '"')
		l.b = append(l.b, key...)
		l.b = append(l.b, '"', ':')
		return
	}
	l.b = append(l.b, ',', ' ')
	l.b = append(l.b, key...)
	l.b = append(l.b, '=')
}

func (l *line) bytes(key string, v []byte, limit int) {
	if len(v) == 0 {
		return
	}
	l.key(key)
	if l.json {
		l.b = journal.AppendJSON(l.b, v, limit)
		return
	}
	l.b = journal.AppendQuoted(l.b, v, limit)
}

func (l *line) name(key, v string) {
	if v == "" {
		return
	}
	l.key(key)
	if l.json {
		l.b = journal.AppendJSON(l.b, v, nameMax)
		return
	}
	l.b = journal.AppendQuoted(l.b, v, nameMax)
}

func (l *line) int(key string, n int64) {
	l.key(key)
	l.b = strconv.AppendInt(l.b, n, 10)
}

func (l *line) micros(key string, d time.Duration) {
	if d > 0 {
		l.int(key, d.Microseconds())
	}
}

func (l *line) addr(key string, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	l.key(key)
	l.b = append(l.b, '"')
	l.b = a.WithZone("").Unmap().AppendTo(l.b)
	l.b = append(l.b, '"')
}

// fields appends everything behind the message. What an operator reads first
// stands first.
func (l *line) fields(e *Entry, v verdict) {
	if v.reason != "" {
		l.name(v.reason, v.text)
	}
	l.bytes("method", e.Method, methodMax)
	l.bytes("host", e.Host, hostMax)
	l.name("route", e.Route)
	if !e.Stream {
		l.int("status", int64(e.Status))
	}
	l.bytes("path", e.Path, pathMax)
	l.addr("client_ip", e.Client)
	l.name("country", e.Country)
	if e.ASN != 0 {
		l.int("asn", int64(e.ASN))
	}
	if e.Fault != 0 {
		l.name("fault", e.Fault.String())
	}
	l.name("rate_limit", e.Limit)
	l.bytes("user", e.User, userMax)
	l.name("would_refuse", e.Shadowed)
	l.bytes("query", e.Query, queryMax)
	l.name("upstream", e.Upstream)
	l.name("target", e.Target)
	l.int("bytes_in", e.BytesIn)
	l.int("bytes_out", e.BytesOut)
	l.micros("duration_us", e.Total)
	l.micros("connect_us", e.Connect)
	l.micros("first_byte_us", e.FirstByte)
	if e.Tries > 1 {
		l.int("tries", int64(e.Tries))
	}
	l.name("protocol", e.Protocol)
	l.name("listener", e.Listener)
	l.bytes("request_id", e.RequestID, requestIDMax)
	l.bytes("user_agent", e.UserAgent, userAgentMax)
	l.bytes("referer", e.Referer, refererMax)
}

// clock caches the text of the second; one per buffer, under its lock.
type clock struct {
	second int64
	text   [len("2006-01-02T15:04:05")]byte
}

// append appends t like journal.AppendTime.
func (c *clock) append(dst []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || c.text[0] == 0 {
		c.second = s
		t.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05")
	}
	ms := t.Nanosecond() / int(time.Millisecond)
	dst = append(dst, c.text[:]...)
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// appendEntry appends one record in encoding enc.
func appendEntry(dst []byte, enc journal.Encoding, c *clock, e *Entry) []byte {
	v := e.judge()
	switch enc {
	case journal.EncodingJSON:
		return appendJSON(dst, c, e, v)
	case journal.EncodingNative:
		return appendNative(dst, e, v)
	}
	l := line{b: c.append(dst, e.Time)}
	l.b = append(l.b, ' ')
	l.b = append(l.b, journal.LevelWord(v.level)...)
	l.b = append(l.b, ' ')
	l.b = append(l.b, v.message...)
	l.fields(e, v)
	return append(l.b, '\n')
}

func appendJSON(dst []byte, c *clock, e *Entry, v verdict) []byte {
	l := line{b: append(dst, `{"time":"`...), json: true}
	l.b = c.append(l.b, e.Time)
	l.b = append(l.b, `","level":"`...)
	l.b = append(l.b, journal.LevelWord(v.level)...)
	l.b = append(l.b, `","message":"`...)
	l.b = append(l.b, v.message...)
	l.b = append(l.b, '"')
	l.fields(e, v)
	return append(l.b, "}\n"...)
}

// appendNative appends a journald entry: the text form as MESSAGE, and the
// fields that operators select by, uncut by quoting.
func appendNative(dst []byte, e *Entry, v verdict) []byte {
	start := len(dst)
	l := line{b: journal.BeginRecord(dst)}
	l.b = append(l.b, "MESSAGE="...)
	l.b = append(l.b, v.message...)
	l.fields(e, v)
	b := journal.AppendNativeHead(l.b, v.level)
	if !e.Stream {
		b = journal.AppendIntField(b, "STATUS", int64(e.Status))
	}
	b = appendNativeBytes(b, "PATH", e.Path, pathMax)
	b = appendNativeBytes(b, "METHOD", e.Method, methodMax)
	b = appendNativeBytes(b, "REQUEST_ID", e.RequestID, requestIDMax)
	b = appendNativeName(b, "ROUTE", e.Route)
	b = appendNativeName(b, "UPSTREAM", e.Upstream)
	b = appendNativeName(b, "TARGET", e.Target)
	if e.Fault != 0 {
		b = appendNativeName(b, "FAULT", e.Fault.String())
	}
	if e.Client.IsValid() {
		b = append(b, "CLIENT_IP="...)
		b = e.Client.WithZone("").Unmap().AppendTo(b)
		b = append(b, '\n')
	}
	return journal.EndRecord(b, start)
}

func appendNativeBytes(dst []byte, name string, v []byte, limit int) []byte {
	if len(v) == 0 {
		return dst
	}
	return journal.AppendField(dst, name, v[:min(len(v), limit)])
}

func appendNativeName(dst []byte, name, v string) []byte {
	if v == "" {
		return dst
	}
	return journal.AppendField(dst, name, v)
}

// appendLeftOut appends a record that says how many failing exchanges were left out.
func appendLeftOut(dst []byte, enc journal.Encoding, now time.Time, n int64) []byte {
	const message = "failing requests left out of the log"
	switch enc {
	case journal.EncodingJSON:
		dst = append(dst, `{"time":"`...)
		dst = journal.AppendTime(dst, now)
		dst = append(dst, `","level":"WARN","message":"`+message+`","count":`...)
		return append(strconv.AppendInt(dst, n, 10), "}\n"...)
	case journal.EncodingNative:
		start := len(dst)
		dst = append(journal.BeginRecord(dst), "MESSAGE="+message+", count="...)
		dst = strconv.AppendInt(dst, n, 10)
		return journal.EndRecord(journal.AppendNativeHead(dst, slog.LevelWarn), start)
	}
	dst = journal.AppendTime(dst, now)
	dst = append(dst, " WARN "+message+", count="...)
	return append(strconv.AppendInt(dst, n, 10), '\n')
}
