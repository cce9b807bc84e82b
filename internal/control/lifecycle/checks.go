package lifecycle

import (
	"sentinel/internal/config/compile"
	"sentinel/internal/control/probe"
	"sentinel/internal/control/targets"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/metric"
)

// Checks reads the configuration at path and returns, by upstream, how a target is asked
// whether it is well, as the proxy itself would ask it. It starts nothing.
func Checks(path string) (map[string]*probe.Check, error) {
	cfg, l, err := ReadConfig(path)
	if err != nil {
		return nil, err
	}
	clock := netio.NewClock()
	defer clock.Stop()
	live := compile.NewLive(compile.LiveOptions{Clock: clock, Metrics: metric.New(metric.Options{Cells: 1})})
	defer live.Close()
	_, handOver, diags := compile.Build(cfg, live, nil)
	if diags.HasErrors() {
		return nil, NewConfigError(diags, l.text)
	}
	handOver()
	return targets.Checks(cfg, live.UpstreamTLS), nil
}
