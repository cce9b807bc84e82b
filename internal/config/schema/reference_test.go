package schema

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const referenceFile = "../../../docs/reference/configuration.md"

// TestReference checks that the reference page is what the key table says; -update writes it.
func TestReference(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(referenceFile); err != nil || string(got) != want {
		t.Errorf("%s is stale (%v): run go test ./internal/config/schema -update", referenceFile, err)
	}
}

const referenceIntro = `# Configuration

This page is written from the table that reads configurations; it holds every key there is.
A key that isn't here is an error, and so is a value of another kind or out of range.

The language is KDL 2; KDL 1 is read too. A value may be written as a child (` + "`weight 2`" + `)
or, in one line with its block, as a property (` + "`target \"h:1\" weight=2`" + `). Keys whose name
ends in ` + "`-secs`" + ` may leave that off, and sizes may end in ` + "`-bytes`" + `. Sizes are numbers of
bytes or texts such as "64KiB" and "10MB".

` + "`${NAME}` in a text is the environment variable, `${NAME:-default}` the same with a default,\nand `$${` the characters `${`." + ` In texts with variables of the request, names in
upper case are of the environment. ` + "`include \"conf.d/*.kdl\"`" + ` at top level reads more files;
the pattern is relative to the file it stands in and must name a file, unless ` + "`optional=#true`" + `
stands behind it. Numbers and booleans may come from the environment as well. Sizes in KB, MB
and GB are powers of 1000; those in KiB, MiB, GiB, k, m and g powers of 1024.
`

func reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	for _, def := range blockDefs() {
		title := def.name
		if title == "" {
			title = "top level"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", title, def.doc)
		rows := table()[def.name].rows
		if len(rows) == 0 {
			continue
		}
		b.WriteString("\n| key | value | default | meaning |\n|---|---|---|---|\n")
		for _, k := range rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", nameCell(k), valueCell(k), defaultCell(k), meaningCell(k))
		}
	}
	return b.String()
}

func code(s string) string { return "`" + s + "`" }

// cell keeps a text from ending its cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func nameCell(k *Key) string {
	names := []string{code(k.Name)}
	for _, a := range k.Aliases {
		names = append(names, code(a))
	}
	return strings.Join(names, ", ")
}

func valueCell(k *Key) string {
	var parts []string
	if k.Kind == Opens {
		parts = append(parts, "block ["+k.Opens+"](#"+strings.ReplaceAll(k.Opens, " ", "-")+")")
	} else {
		parts = append(parts, k.Kind.String())
	}
	for _, w := range k.Words {
		word := code(w)
		for _, other := range slices.Sorted(maps.Keys(k.synonyms)) {
			if k.synonyms[other] == w {
				word += " or " + code(other)
			}
		}
		if slices.Contains(k.PendingWords, w) {
			word += " (not built yet)"
		}
		parts = append(parts, word)
	}
	switch {
	case k.Kind == Seconds && k.ZeroOff:
		parts = append(parts, fmt.Sprintf("0, or %v to %d", k.leastSeconds(), k.Max))
	case k.Kind == Seconds:
		parts = append(parts, fmt.Sprintf("%v to %d", k.leastSeconds(), k.Max))
	case k.Min != 0 || k.Max != 0:
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d to %d %s", k.Min, k.Max, k.Unit)))
	}
	if k.Many {
		parts = append(parts, "may be repeated")
	}
	return cell(strings.Join(parts, "; "))
}

func defaultCell(k *Key) string {
	switch {
	case k.Required:
		return "required"
	case k.Default == "":
		return ""
	}
	return code(k.Default)
}

func meaningCell(k *Key) string {
	text := k.Doc
	if k.ArgOnly {
		text += "; written as the argument of the block"
	}
	if k.In != nil {
		places := strings.Join(k.In, ", ")
		if k.In[0] == "" {
			places = "top level" + places
		}
		text += "; only at: " + places
	}
	if k.Pending {
		text += "; **not built yet: refused**"
	}
	return cell(text)
}
