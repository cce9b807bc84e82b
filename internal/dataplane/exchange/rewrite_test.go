package exchange

import (
	"regexp"
	"testing"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
)

func TestRewriteKeepsWhatWasMatched(t *testing.T) {
	strip := filter.StripPrefix
	replace := filter.ReplacePrefix
	noX := filter.ReplaceRegexp(regexp.MustCompile("x"), "")
	tests := []struct {
		path     string
		rewrites []*filter.Rewrite
		matched  string
		want     string
		fault    fault.Kind
	}{
		{"/api/users/1", []*filter.Rewrite{strip("/api")}, "/api/users/1", "/users/1", fault.None},
		{"/api//./users/1", []*filter.Rewrite{strip("/api")}, "/api/users/1", "/users/1", fault.None},
		{"/a/b", []*filter.Rewrite{strip("/zz"), replace("/a", "/another"), replace("/another/b", "/c")}, "/a/b", "/c", fault.None},
		{"/data/.x./admin", []*filter.Rewrite{noX}, "/data/.x./admin", "", fault.PathRefused},
		{"/data/./.x/admin", []*filter.Rewrite{noX}, "/data/.x/admin", "", fault.PathRefused},
		{"/data/x//b", []*filter.Rewrite{noX}, "/data/x/b", "/data/b", fault.None},
	}
	paths := route.DefaultPathPolicy()
	x := &exchange{request: request{ln: &snapshot.Listener{Paths: paths, RewrittenPaths: paths.Rewritten()}}}
	for range 2 { // the second time, buffers are there to be shared
		for _, tt := range tests {
			head := message.Head{Buf: []byte(tt.path), Path: message.Span{End: uint16(len(tt.path))}}
			x.req = &message.Request{Head: head}
			x.route = &snapshot.Route{Rewrites: tt.rewrites}
			if k := x.canonicalise(); k != fault.None {
				t.Fatalf("canonicalise(%q) = %v", tt.path, k)
			}
			k := x.rewrite()
			if k != tt.fault || k == fault.None && string(x.path) != tt.want {
				t.Errorf("rewrite of %q = %q, %v, want %q, %v", tt.path, x.path, k, tt.want, tt.fault)
			}
			for _, b := range [][]byte{x.buffer.sent, x.buffer.rewritten, x.buffer.out} {
				clear(b[:cap(b)])
			}
			if string(x.matched) != tt.matched {
				t.Errorf("matched path of %q after its rewrite = %q, want %q", tt.path, x.matched, tt.matched)
			}
			if string(head.Buf) != tt.path {
				t.Errorf("rewrite of %q changed the received head to %q", tt.path, head.Buf)
			}
		}
	}
}
