//go:build !race

package compile

// slowdown is how much longer things may take than without the race detector.
const slowdown = 1
