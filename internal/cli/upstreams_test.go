package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden compares a page with the file of that name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestUpstreamPages(t *testing.T) {
	list := twoUpstreams()
	var b bytes.Buffer
	if err := printUpstreams(&b, list, noon); err != nil {
		t.Fatal(err)
	}
	golden(t, "upstreams.txt", b.Bytes())
	b.Reset()
	if err := printUpstream(&b, &list[0], noon); err != nil {
		t.Fatal(err)
	}
	golden(t, "upstream.txt", b.Bytes())
	b.Reset()
	if err := printUpstreams(&b, nil, noon); err != nil || b.String() != "The configuration has no upstream.\n" {
		t.Errorf("page without upstreams = %q, %v", b.String(), err)
	}
}

func TestNothingUsableIsSaid(t *testing.T) {
	list := twoUpstreams()
	u := list[0]
	u.Panic, u.Targets = false, u.Targets[1:]
	if got := upstreamNotes(&u); len(got) != 1 || got[0] != "NO USABLE TARGET" {
		t.Errorf("notes = %q, want that nothing is usable", got)
	}
	u.Drained = true
	if got := upstreamNotes(&u); len(got) != 1 || got[0] != "draining" {
		t.Errorf("notes = %q, want draining: requests are in progress", got)
	}
}
