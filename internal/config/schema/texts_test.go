package schema

import (
	"slices"
	"strings"
	"testing"
)

// Texts stand in for the files: includes find them by their patterns, and nothing else.
func TestTextsInPlaceOfFiles(t *testing.T) {
	dir := t.TempDir()
	texts := map[string][]byte{
		dir + "/config.kdl": []byte(`listeners { listener "l" { address "127.0.0.1:0" } }
include "conf.d/*.kdl"`),
		dir + "/conf.d/b.kdl": []byte(`routes { route "b" { matches { path "/b" }; respond 200 } }`),
		dir + "/conf.d/a.kdl": []byte(`routes { route "a" { respond 200 } }`),
		dir + "/other.kdl":    []byte(`nonsense`),
	}
	cfg, sources, diags := Load(dir+"/config.kdl", Options{Texts: texts})
	if diags.HasErrors() {
		t.Fatalf("Load = %s", diags.AppendText(nil, sources.Text))
	}
	if want := []string{dir + "/config.kdl", dir + "/conf.d/a.kdl", dir + "/conf.d/b.kdl"}; !slices.Equal(sources.Names, want) || len(cfg.Routes) != 2 {
		t.Errorf("sources = %v with %d routes, want %v with two", sources.Names, len(cfg.Routes), want)
	}
	if want := []string{dir + "/conf.d/*.kdl"}; !slices.Equal(sources.Globs, want) {
		t.Errorf("globs = %v, want %v", sources.Globs, want)
	}
	_, _, diags = Load(dir+"/config.kdl", Options{Texts: map[string][]byte{dir + "/config.kdl": texts[dir+"/config.kdl"]}})
	if text := string(diags.AppendText(nil, sources.Text)); !strings.Contains(text, "names no file") {
		t.Errorf("Load without the included texts = %s, want that the include names no file", text)
	}
	_, _, diags = Load(dir+"/gone.kdl", Options{Texts: texts})
	if text := string(diags.AppendText(nil, sources.Text)); !strings.Contains(text, "no such file") && !strings.Contains(text, "not exist") {
		t.Errorf("Load of a text that isn't there = %s, want that", text)
	}
}
