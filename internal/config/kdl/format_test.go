package kdl

import (
	"strings"
	"testing"
)

// TestFormat formats each section NAME in its own version, "NAME: same", and
// in the other one, "NAME: other".
func TestFormat(t *testing.T) {
	for _, path := range archives(t, "format/*.txtar") {
		sections := readArchive(t, path)
		var results []section
		for _, in := range inputsOf(sections) {
			doc, _ := Parse(in.name, []byte(in.text), Options{})
			other := V1
			if doc.Version == V1 {
				other = V2
			}
			results = append(results, in,
				section{in.name + ": same", formatResult(in, Auto)},
				section{in.name + ": other", formatResult(in, other)})
		}
		if *update {
			writeArchive(t, path, results)
			continue
		}
		compareSections(t, path, results, sections)
	}
}

func formatResult(in section, write Version) string {
	out, ds := Format(in.name, []byte(in.text), FormatOptions{Write: write})
	if ds.HasErrors() {
		return string(ds.AppendText(nil, func(string) []byte { return []byte(in.text) }))
	}
	return string(out)
}

// TestFormatCases formats every committed case: a valid one stays what it
// was, and once formatted it stays as it is.
func TestFormatCases(t *testing.T) {
	for _, path := range archives(t, "*/*.txtar") {
		for _, in := range inputsOf(readArchive(t, path)) {
			opt := Options{Version: archiveVersion(path)}
			doc, ds := Parse(in.name, []byte(in.text), opt)
			if got := string(doc.AppendText(nil)); got != in.text {
				t.Errorf("%s: text of %q = %q", path, in.name, got)
			}
			checkFormat(t, []byte(in.text), doc, ds.HasErrors(), opt)
		}
	}
}

func TestFormatRoundTrip(t *testing.T) {
	src := "a #true k=text #null \"\\n\" #\"raw\"# {\n    b 0x1F (u8)2\n}\n"
	first, ds := Format("t", []byte(src), FormatOptions{Write: V1})
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	back, ds := Format("t", first, FormatOptions{Write: V2})
	want := strings.NewReplacer("=text", `="text"`).Replace(src)
	if ds.HasErrors() || string(back) != want {
		t.Errorf("to version 1 and back = %q (%v), want %q", back, ds, want)
	}
}
