//go:build race

package queue

// raceEnabled tells that sync.Pool drops items at random, so allocations can't be counted.
const raceEnabled = true
