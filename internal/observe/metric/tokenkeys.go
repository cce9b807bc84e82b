package metric

// KeySource is what is shown of a source of token keys.
type KeySource struct {
	Name            string // its URL, as far as that isn't secret
	Keys            int
	Fetched, Failed uint64
	LastSeconds     float64 // Unix time of the last fetch that succeeded; 0 for none
}

// SetKeySources makes f what tells about sources of token keys.
func (r *Registry) SetKeySources(f func() []KeySource) { r.keySources.Store(&f) }

func (v *view) tokenKeys() []KeySource {
	if f := v.keySources.Load(); f != nil {
		return (*f)()
	}
	return nil
}

func tokenKeyFamilies() []family {
	return []family{
		row("sentinel_token_keys", Gauge, "Keys that tokens are checked with, by the URL they come from; 0 while there are none and tokens are refused.",
			func(v *view, e emitter) {
				for _, s := range v.tokenKeys() {
					e.gauge(float64(s.Keys), s.Name)
				}
			}, "source"),
		row("sentinel_token_keys_fetches_total", Counter, "Fetches of token keys by result.",
			func(v *view, e emitter) {
				for _, s := range v.tokenKeys() {
					e.counter(float64(s.Fetched), "success", s.Name)
					e.counter(float64(s.Failed), "failure", s.Name)
				}
			}, "result", "source"),
		row("sentinel_token_keys_last_fetch_timestamp_seconds", Gauge, "Unix time at which token keys were fetched last; 0 for never.",
			func(v *view, e emitter) {
				for _, s := range v.tokenKeys() {
					e.gauge(s.LastSeconds, s.Name)
				}
			}, "source"),
	}
}
