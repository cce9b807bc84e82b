// Package route decides which route an exchange takes: it brings a request path to
// its one canonical form, finds the best of many rules in a Table, and divides
// exchanges among weighted values.
//
// The canonical path is what rules match, what rewrites change and what the
// upstream receives, so that none of them can see another path than the others do.
package route
