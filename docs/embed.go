// Package docs holds the pages that the program carries, so that they are there when nothing
// else is.
package docs

import _ "embed"

// Runbook is runbook.md, the procedures for incidents.
//
//go:embed runbook.md
var Runbook string
