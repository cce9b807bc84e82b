package diagnose

import (
	"fmt"
	"strings"
)

// Reference returns the page of all causes, for docs/reference/diagnose.md.
func Reference() []byte {
	var b strings.Builder
	b.WriteString("# Causes that sentinel diagnose knows\n\nGenerated from the code by `go test ./internal/ops/diagnose -update`; don't edit.\n\n" +
		"Of two that are equally bad, the one that stands first here is told first. The severity is the usual one: evidence may say otherwise, " +
		"and a cause is as bad as what it explains.\n\n" +
		"| code | severity | what it is | how it is recognised | procedure | explains |\n|---|---|---|---|---|---|\n")
	for _, c := range Causes() {
		p := procedure(c.Procedure)
		link := "../" + strings.TrimPrefix(p.Section, "docs/")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | [%s](%s) | %s |\n", c.Code, c.Severity, c.Meaning, c.Signs, p.Name, link, strings.Join(c.Explains, ", "))
	}
	return []byte(b.String())
}
