package metric

import "sentinel/internal/dataplane/fault"

// refusals are the faults that may end a connection before a byte of it was read.
var refusals = [...]fault.Kind{
	fault.AccessDenied, fault.BadProxyHeader, fault.ClientBanned, fault.ClientConnectionLimit, fault.ConnectionLimit, fault.DescriptorLimit,
	fault.ProxyHeaderTimeout, fault.ProxySenderUnknown,
}

// ConnectionRefused counts a connection that was ended for k as soon as it was accepted.
func (r *Registry) ConnectionRefused(k fault.Kind) { r.process.connectionsRefused[k].Add(1) }

func collectRefused(v *view, e emitter) {
	for _, k := range refusals {
		e.counter(float64(v.process.connectionsRefused[k].Load()), k.String())
	}
}
