package compile

import (
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/h2"
)

// http2Settings are those of engineSettings and what HTTP/2 has of its own.
func http2Settings(l *schema.Listener) h2.Settings {
	s := engineSettings(l)
	return h2.Settings{
		HeadBytesMax: s.HeadBytesMax, FieldsMax: s.FieldsMax, TargetBytesMax: s.TargetBytesMax, RequestsMax: s.RequestsMax,
		HeadTimeout: s.HeadTimeout, IdleTimeout: s.IdleTimeout, ContentTimeout: s.ContentTimeout, WriteTimeout: s.WriteTimeout,
		ContentRateMin: s.ContentRateMin, WriteRateMin: s.WriteRateMin,
		StreamsMax: int(l.HTTP2.MaxConcurrentStreams.V), FrameBytesMax: int(l.HTTP2.MaxFrameSize.V),
		StreamWindow: l.HTTP2.InitialWindowSize.V, ConnectionWindow: l.HTTP2.ConnectionWindowSize.V,
	}
}
