package schema

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what comes out as what is wanted")

// TestWrongConfigurations loads each configuration of testdata/wrong and compares all that
// is said about it, to the letter. Those whose comment says so are read as if everything were built.
func TestWrongConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.txtar")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d wrong configurations, %v; want at least 40", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { wrong(t, file) })
	}
}

func wrong(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var texts []txtar.File
	want := ""
	for _, f := range archive.Files {
		if f.Name == "diagnostics" {
			want = string(f.Data)
			continue
		}
		texts = append(texts, f)
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unbuilt := strings.Contains(string(archive.Comment), "as if everything were built")
	_, sources, diags := Load(filepath.Join(dir, "config.kdl"), Options{Env: noEnv, unbuilt: unbuilt})
	if !diags.HasErrors() {
		t.Errorf("the configuration is accepted:\n%s", texts[0].Data)
	}
	got := strings.ReplaceAll(string(diags.AppendText(nil, sources.Text)), dir+"/", "")
	if *update {
		archive.Files = append(texts, txtar.File{Name: "diagnostics", Data: []byte(got)})
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("diagnostics (-want +got):\n%s", d)
	}
}
