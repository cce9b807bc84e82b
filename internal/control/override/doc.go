// Package override keeps emergency changes: pieces of configuration that an operator lays over
// the one that serves, for a while, with a reason. Each has a number, an owner and an end. They
// outlive reloads and restarts, end by themselves, and never stand in a file of the
// configuration unless they are committed.
//
// The package knows what an override says as KDL and when it ends. Whoever makes
// configurations serve asks it for the layers, and tells it which of them took effect.
package override
