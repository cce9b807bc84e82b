package kdl

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// routesText is a configuration of so many routes, eleven nodes each.
func routesText(routes int) []byte {
	var b strings.Builder
	b.WriteString("routes {\n")
	for i := range routes {
		fmt.Fprintf(&b, `    route "service-%d" {
        priority %d
        matches { host "s%d.example.com"; path-prefix "/api/v%d/"; method "GET" "POST" }
        upstream "backend-%d"
        policies { rate-limit { requests-per-second 100; burst 200 } } // usual
    }
`, i, i%100, i, i%7, i%50)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	src := routesText(10_000)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ds := Parse("routes", src, Options{}); ds.HasErrors() {
			b.Fatal(ds)
		}
	}
}

func BenchmarkFormat(b *testing.B) {
	src := routesText(10_000)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, ds := Format("routes", src, FormatOptions{}); ds.HasErrors() {
			b.Fatal(ds)
		}
	}
}

// TestHostile reads texts made to be slow. Each takes milliseconds when time
// grows with length; with its square it would take minutes, which no slow
// machine explains.
func TestHostile(t *testing.T) {
	const size = 1 << 18
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	texts := map[string]string{
		"open blocks":                   repeat("{"),
		"open nodes":                    repeat("a{"),
		"closing blocks":                repeat("}"),
		"one long line":                 "a " + repeat("1s "),
		"quotes":                        repeat(`"`),
		"triple quotes":                 repeat(`"""` + "\n"),
		"triple quotes on a line":       repeat(`"""a `),
		"number signs":                  repeat("#"),
		"raw openings":                  repeat(`#" `),
		"raw opening and near closings": strings.Repeat("#", 1000) + `"` + repeat(`"`+strings.Repeat("#", 999)),
		"version 1 raw openings":        repeat(`r#"`),
		"r and number signs":            repeat("r#"),
		"comment openings":              repeat("/*"),
		"comment openings and closings": repeat("/*/"),
		"slashes":                       repeat("/ "),
		"slashdashes":                   repeat("/-"),
		"slashdash lines":               repeat("/-\n"),
		"backslashes":                   repeat(`\`),
		"backslash lines":               repeat("a \\\n"),
		"escapes":                       `a "` + repeat(`\q`) + `"`,
		"escaped space":                 `a "` + repeat(`\ `) + `"`,
		"escapes in multi-line":         "a \"\"\"\n" + repeat("\\q\\ ") + "\n\"\"\"",
		"lines in multi-line":           "a \"\"\"\n" + repeat(" \n") + "\"\"\"",
		"version 1 strings over lines":  repeat("a \"b\n"),
		"properties":                    "a" + repeat(" k=1"),
		"equals":                        repeat("="),
		"types":                         repeat("(a)"),
		"open types":                    repeat("("),
		"open types on a line":          "a " + repeat("(a "),
		"control characters":            repeat("a\x00"),
		"cut characters":                repeat("\xff "),
		"wide text":                     repeat("高"),
		"semicolons":                    repeat(";"),
		"nodes":                         repeat("a;"),
		"signs":                         repeat("-"),
		"digits":                        repeat("1_"),
		"points":                        repeat("1."),
		"one-line blocks":               strings.Repeat(strings.Repeat("a{", 100)+strings.Repeat("}", 100)+"\n", 100),
		"siblings in blocks":            strings.Repeat("a{b;", 120) + strings.Repeat("c;", 10_000) + strings.Repeat("}", 120),
	}
	for name, text := range texts {
		start := time.Now()
		for _, v := range []Version{Auto, V1, V2} {
			doc, ds := Parse(name, []byte(text), Options{Version: v})
			ds.AppendText(nil, func(string) []byte { return doc.Source })
			if !ds.HasErrors() {
				Format(name, []byte(text), FormatOptions{Read: Options{Version: v}})
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		t.Logf("%-32s %v", name, time.Since(start))
	}
}
