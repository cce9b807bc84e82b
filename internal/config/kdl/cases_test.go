package kdl

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

// section is one part of an archive in testdata: a line "-- NAME --" and
// the text up to the next.
type section struct{ name, text string }

func readArchive(tb testing.TB, path string) (sections []section) {
	tb.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(src)) {
		name, ok := strings.CutPrefix(line, "-- ")
		if ok {
			name, ok = strings.CutSuffix(name, " --\n")
		}
		switch {
		case ok:
			sections = append(sections, section{name: name})
		case len(sections) == 0:
			tb.Fatalf("%s: text before the first section", path)
		default:
			sections[len(sections)-1].text += line
		}
	}
	return sections
}

func writeArchive(tb testing.TB, path string, sections []section) {
	var b strings.Builder
	for _, s := range sections {
		b.WriteString("-- " + s.name + " --\n" + s.text)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// inputsOf returns the sections of an archive that are no results.
func inputsOf(sections []section) (inputs []section) {
	for _, s := range sections {
		if !strings.Contains(s.name, ": ") {
			inputs = append(inputs, s)
		}
	}
	return inputs
}

// archiveVersion returns the version to read an archive as, by its folder.
func archiveVersion(path string) Version {
	switch filepath.Base(filepath.Dir(path)) {
	case "v1":
		return V1
	case "v2":
		return V2
	}
	return Auto
}

func archives(tb testing.TB, pattern string) []string {
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no archives (%v)", err)
	}
	return paths
}

// TestCases reads each section NAME and compares with the section "NAME:
// tree", the document in canonical form, or "NAME: errors", the diagnostics.
func TestCases(t *testing.T) {
	for _, path := range archives(t, "[av]*/*.txtar") {
		sections := readArchive(t, path)
		var results []section
		for _, in := range inputsOf(sections) {
			result := caseResult(in, archiveVersion(path))
			results = append(results, in, result)
		}
		if *update {
			writeArchive(t, path, results)
			continue
		}
		compareSections(t, path, results, sections)
	}
}

func caseResult(in section, v Version) section {
	doc, ds := Parse(in.name, []byte(in.text), Options{Version: v})
	report := string(ds.AppendText(nil, func(string) []byte { return []byte(in.text) }))
	if ds.HasErrors() {
		return section{in.name + ": errors", report}
	}
	version := ""
	if v == Auto {
		version = "KDL " + doc.Version.String() + "\n"
	}
	return section{in.name + ": tree", report + version + canonical(doc)}
}

func compareSections(t *testing.T, path string, got, want []section) {
	t.Helper()
	for i, s := range got {
		if i >= len(want) || want[i].name != s.name {
			t.Errorf("%s: no section %q in its place; got\n%s", path, s.name, s.text)
			return
		}
		if want[i].text != s.text {
			t.Errorf("%s: %s =\n%s\nwant\n%s", path, s.name, s.text, want[i].text)
		}
	}
}
