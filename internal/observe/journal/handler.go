package journal

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/fault"
)

// Journal is the event log of the process.
type Journal struct {
	output atomic.Pointer[Output]
	level  slog.LevelVar
}

// New returns a journal that writes to o what is at least at level.
func New(o *Output, level slog.Level) *Journal {
	j := &Journal{}
	j.output.Store(o)
	j.level.Set(level)
	return j
}

// Logger returns the logger whose records go into the journal.
func (j *Journal) Logger() *slog.Logger { return slog.New(&handler{journal: j}) }

// SetLevel changes the least level that is written.
func (j *Journal) SetLevel(l slog.Level) { j.level.Set(l) }

// Level returns the least level that is written.
func (j *Journal) Level() slog.Level { return j.level.Level() }

// Output returns the present output.
func (j *Journal) Output() *Output { return j.output.Load() }

// SetOutput makes o the output and returns the one before, which the caller
// closes when nothing else uses it.
func (j *Journal) SetOutput(o *Output) *Output { return j.output.Swap(o) }

// Reopen opens the output's file again.
func (j *Journal) Reopen() error { return j.output.Load().Reopen() }

// valueMax bounds the bytes of one value, of a stack trace for instance.
const valueMax = 64 << 10

// handler is a slog.Handler that writes into a journal.
type handler struct {
	journal *Journal
	attrs   []slog.Attr // keys hold the names of their groups
	prefix  string      // of the open groups
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.journal.level.Level() }

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		c.attrs = flatten(c.attrs, h.prefix, a)
	}
	return &c
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	if name != "" {
		c.prefix += name + "."
	}
	return &c
}

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	attrs := append([]slog.Attr(nil), h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, h.prefix, a)
		return true
	})
	buf := records.Get().(*[]byte)
	defer records.Put(buf)
	for {
		out := h.journal.output.Load()
		*buf = appendRecord((*buf)[:0], out.encoding, r, attrs)
		// An output that was replaced meanwhile may be closed already.
		if err := out.Write(*buf); err == nil || h.journal.output.Load() == out {
			return err
		}
	}
}

var records = sync.Pool{New: func() any { return new([]byte) }}

// flatten appends a with its groups resolved; a fault with a cause becomes its
// fixed text and a pair for the cause.
func flatten(list []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range a.Value.Group() {
			list = flatten(list, prefix, inner)
		}
		return list
	}
	if a.Equal(slog.Attr{}) {
		return list
	}
	key := prefix + a.Key
	if err, ok := a.Value.Any().(error); ok {
		if text, cause := split(err); cause != "" {
			return append(list, slog.String(key, text), slog.String(prefix+"cause", cause))
		}
	}
	return append(list, slog.Attr{Key: key, Value: a.Value})
}

// split returns the fixed text of the fault inside err and what else err says; cause
// is empty when err is a bare Kind or holds no fault.
func split(err error) (text, cause string) {
	var k fault.Kind
	switch f := err.(type) {
	case fault.Kind:
		return "", ""
	case *fault.Fault:
		return f.Kind.Error(), f.Cause.Error()
	}
	if !errors.As(err, &k) {
		return "", ""
	}
	return k.Error(), err.Error()
}

func appendRecord(dst []byte, e Encoding, r slog.Record, attrs []slog.Attr) []byte {
	switch e {
	case EncodingJSON:
		return appendJSONRecord(dst, r, attrs)
	case EncodingNative:
		return appendNativeRecord(dst, r, attrs)
	}
	dst = AppendTime(dst, r.Time)
	dst = append(dst, ' ')
	dst = append(dst, LevelWord(r.Level)...)
	dst = append(dst, ' ')
	dst = appendMessage(dst, r.Message, attrs)
	return append(dst, '\n')
}

func appendMessage(dst []byte, message string, attrs []slog.Attr) []byte {
	dst = appendPlain(dst, message)
	for _, a := range attrs {
		dst = append(dst, ", "...)
		dst = appendKey(dst, a.Key)
		dst = append(dst, '=')
		dst = appendValue(dst, a.Value, AppendQuoted[string])
	}
	return dst
}

func appendJSONRecord(dst []byte, r slog.Record, attrs []slog.Attr) []byte {
	dst = append(dst, `{"time":"`...)
	dst = AppendTime(dst, r.Time)
	dst = append(dst, `","level":"`...)
	dst = append(dst, LevelWord(r.Level)...)
	dst = append(dst, `","message":`...)
	dst = AppendJSON(dst, r.Message, valueMax)
	for _, a := range attrs {
		dst = append(dst, ',')
		dst = AppendJSON(dst, a.Key, fieldNameMax)
		dst = append(dst, ':')
		dst = appendValue(dst, a.Value, AppendJSON[string])
	}
	return append(dst, "}\n"...)
}

func appendNativeRecord(dst []byte, r slog.Record, attrs []slog.Attr) []byte {
	start := len(dst)
	dst = BeginRecord(dst)
	dst = append(dst, "MESSAGE="...)
	dst = appendMessage(dst, r.Message, attrs)
	dst = AppendNativeHead(dst, r.Level)
	for _, a := range attrs {
		name := AppendFieldName(nil, a.Key)
		if len(name) > 0 {
			dst = AppendField(dst, string(name), a.Value.String())
		}
	}
	return EndRecord(dst, start)
}

// AppendNativeHead ends a MESSAGE field, with the level as its last pair when it is
// a warning or worse, and appends the fields that every entry has.
func AppendNativeHead(dst []byte, l slog.Level) []byte {
	if l >= slog.LevelWarn {
		dst = append(dst, ", level="...)
		dst = append(dst, LevelWord(l)...)
	}
	dst = append(dst, "\nPRIORITY="...)
	dst = append(dst, severityOf(l).priority, '\n')
	return AppendField(dst, "SYSLOG_IDENTIFIER", Identifier)
}

// appendValue appends numbers and booleans bare and all else by quote.
func appendValue(dst []byte, v slog.Value, quote func([]byte, string, int) []byte) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(dst, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	case slog.KindTime:
		return quote(dst, v.Time().UTC().Format(time.RFC3339Nano), 0)
	}
	return quote(dst, v.String(), valueMax)
}

// appendPlain appends a message without quotes around it, escaped all the same.
func appendPlain(dst []byte, s string) []byte {
	start := len(dst)
	dst = AppendQuoted(dst, s, valueMax)
	copy(dst[start:], dst[start+1:])
	return dst[:len(dst)-2]
}

// appendKey appends a key; what could be taken for the end of it becomes an underscore.
func appendKey(dst []byte, key string) []byte {
	for i := range len(key) {
		c := key[i]
		if !plain[c] || c == ' ' || c == ',' || c == '=' {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

// severity is how logs call the levels from one level on.
type severity struct {
	least    slog.Level
	word     string
	priority byte // of syslog (RFC 5424 section 6.2.1)
}

// severities are those that are told apart, the gravest first.
var severities = [...]severity{
	{slog.LevelError, "ERROR", '3'},
	{slog.LevelWarn, "WARN", '4'},
	{slog.LevelInfo, "INFO", '6'},
	{math.MinInt, "DEBUG", '7'},
}

func severityOf(l slog.Level) *severity {
	for i := range severities {
		if l >= severities[i].least {
			return &severities[i]
		}
	}
	panic("unreachable: the last one takes all levels")
}

// LevelWord returns the level in upper case: DEBUG, INFO, WARN or ERROR.
func LevelWord(l slog.Level) string { return severityOf(l).word }

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendTime appends t as RFC 3339 in UTC with milliseconds.
func AppendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }
