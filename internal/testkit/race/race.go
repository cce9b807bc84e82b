// Package race tells tests whether the race detector watches them. It slows code down and
// makes sync.Pool forget at random, so that what is said of speed and allocations doesn't
// hold under it.
package race

import (
	"runtime/debug"
	"slices"
)

// Enabled reports whether the running binary was built with -race.
func Enabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
