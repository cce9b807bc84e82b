// Package cli is the command line, one file per command.
//
// Exit codes: 0 all is well, 1 the configuration or the work at hand has a problem, 2
// the command was called in the wrong way, 3 no running sentinel was reached.
package cli
