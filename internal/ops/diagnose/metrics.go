package diagnose

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// scrape is one look at the counters of the proxy and of the kernel.
type scrape struct {
	at        time.Time
	series    map[string]float64 // by name with labels, as it is exposed; nil: not seen
	overflows uint64             // of accept queues, ever
	dropped   bool               // the above is known
	queue     int                // connections that wait at our listeners to be accepted
	throttled uint64             // periods in which the cgroup was throttled
	periods   uint64
}

// scrapeBytesMax bounds an answer of the metrics.
const scrapeBytesMax = 64 << 20

// sample looks twice.
func (f *facts) sample(ctx context.Context) {
	f.before = f.look(ctx)
	if !sleep(ctx, sampleEvery) {
		return
	}
	f.after = f.look(ctx)
	if f.up() && f.after.series == nil {
		f.blind("the metrics at " + f.metricsURL())
	}
}

func (f *facts) metricsURL() string {
	address := f.cfg.Observability.Metrics.Address.V
	if f.running.err == nil && f.running.status.Metrics != "" {
		address = f.running.status.Metrics
	}
	return "http://" + local(address) + f.cfg.Observability.Metrics.Path.V
}

// local is where to reach a listener's address from this machine.
func local(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

func (f *facts) look(ctx context.Context) scrape {
	s := scrape{at: time.Now()}
	if f.up() {
		s.series = readSeries(ctx, f.metricsURL())
		f.readThrottling(&s)
	}
	s.queue = f.acceptQueue()
	s.overflows, s.dropped = netstat("TcpExt", "ListenOverflows")
	return s
}

func readSeries(ctx context.Context, url string) map[string]float64 {
	body, _, err := fetch(ctx, url)
	if err != nil {
		return nil
	}
	all := make(map[string]float64)
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			all[line[:i]] = v
		}
	}
	return all
}

// fetch gets a page over a connection of its own.
func fetch(ctx context.Context, url string) (body string, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, question)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", 0, err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: unverified()}
	c := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, scrapeBytesMax))
	return string(b), resp.StatusCode, err
}

// label returns the value of a label of a series as it is exposed.
func label(series, name string) string {
	_, rest, ok := strings.Cut(series, name+`="`)
	if !ok {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest):
			i++
			if rest[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(rest[i])
			}
		case rest[i] == '"':
			return b.String()
		default:
			b.WriteByte(rest[i])
		}
	}
	return b.String()
}

// grown returns by how much each series of a family has grown between the looks, where it has.
func (f *facts) grown(family string) map[string]float64 {
	out := make(map[string]float64)
	for series, v := range f.after.series {
		if strings.HasPrefix(series, family+"{") || series == family {
			if d := v - f.before.series[series]; d > 0 && f.before.series != nil {
				out[series] = d
			}
		}
	}
	return out
}

// netstat returns a counter of /proc/net/netstat.
func netstat(group, name string) (uint64, bool) {
	file, err := os.Open("/proc/net/netstat")
	if err != nil {
		return 0, false
	}
	defer file.Close()
	var names []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names {
			if n == name && i < len(fields) {
				v, err := strconv.ParseUint(fields[i], 10, 64)
				return v, err == nil
			}
		}
	}
	return 0, false
}

// readThrottling reads cpu.stat of the process's cgroup (cgroup v2).
func (f *facts) readThrottling(s *scrape) {
	if f.process.Cgroup == "" {
		return
	}
	text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", f.process.Cgroup, "cpu.stat"))
	if err != nil {
		return
	}
	fmt.Sscanf(field(string(text), "nr_periods"), "%d", &s.periods)
	fmt.Sscanf(field(string(text), "nr_throttled"), "%d", &s.throttled)
}

// field returns the value of a line "name value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
