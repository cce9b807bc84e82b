package metric

import (
	"sync/atomic"
	"time"
)

// expirySeriesMax bounds the series about certificates, whatever a folder holds.
const expirySeriesMax = 10_000

// Expiry is when a file of certificates is of no more use.
type Expiry struct {
	File, Name, Role, Side string // label values, all from the configuration and its folders
	At                     time.Time
}

// certificateState holds the series of certificates.
type certificateState struct {
	expiries       atomic.Pointer[func() []Expiry]
	loaded, failed atomic.Uint64
}

// ShowExpiries has list asked at each scrape for the certificates in use.
func (r *Registry) ShowExpiries(list func() []Expiry) { r.certificates.expiries.Store(&list) }

// CertificatesLoaded counts an attempt to load certificates whose files have changed.
func (r *Registry) CertificatesLoaded(ok bool) {
	if ok {
		r.certificates.loaded.Add(1)
	} else {
		r.certificates.failed.Add(1)
	}
}

func certificateFamilies() []family {
	return []family{
		row("sentinel_certificate_expiry_timestamp_seconds", Gauge,
			"When the certificates of a file, with those behind them, are of no more use; of a file of authorities, when the next of them expires.",
			collectExpiries, "file", "name", "role", "side"),
		row("sentinel_certificate_loads_total", Counter, "Attempts to load certificates whose files have changed, by result.",
			func(v *view, e emitter) {
				e.counter(float64(v.certificates.failed.Load()), "failure")
				e.counter(float64(v.certificates.loaded.Load()), "success")
			}, "result"),
	}
}

// collectExpiries shows each file once in a use: no two series may have the same labels.
func collectExpiries(v *view, e emitter) {
	list := v.certificates.expiries.Load()
	if list == nil {
		return
	}
	shown := make(map[Expiry]bool)
	for _, x := range (*list)() {
		labels := x
		labels.At = time.Time{}
		if shown[labels] || len(shown) == expirySeriesMax {
			continue
		}
		shown[labels] = true
		e.gauge(float64(x.At.Unix()), x.File, x.Name, x.Role, x.Side)
	}
}
