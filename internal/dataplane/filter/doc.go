// Package filter holds what a route does to a message on its way: it edits header
// fields, rewrites the path, and describes redirects and fixed answers.
//
// Everything is compiled once from the configuration, never changes after that and
// may be used by any number of goroutines.
package filter
