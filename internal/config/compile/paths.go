package compile

import (
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/route"
)

// pathPolicy turns the words of the configuration into the actions of the canonicaliser.
func pathPolicy(p *schema.PathNormalization) route.PathPolicy {
	words := map[string]route.PathAction{
		"reject": route.Reject, "resolve": route.Resolve, "keep": route.Keep, "encode": route.Keep,
		"merge": route.Merge, "decode": route.Decode, "slash": route.Decode,
	}
	return route.PathPolicy{
		DotSegments: words[p.DotSegments.V], EncodedSlash: words[p.EncodedSlash.V],
		Backslash: words[p.Backslash.V], DoubleSlash: words[p.DoubleSlash.V],
	}
}
