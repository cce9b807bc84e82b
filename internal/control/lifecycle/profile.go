package lifecycle

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
)

// profileVariable names the environment variable that asks for a CPU profile: the file it
// names gets one of everything from the start to a clean exit, for "go tool pprof". It is
// for benchmarks. A profile that can't be written is said in the log and hinders nothing;
// that of a process that was killed is empty.
const profileVariable = "SENTINEL_PPROF"

// profileCPU begins the profile that the environment asks for, if it does. The returned
// function ends it and is called once.
func profileCPU(log *slog.Logger) (end func()) {
	name := os.Getenv(profileVariable)
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name)
	if err == nil {
		if err = pprof.StartCPUProfile(f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		log.Warn("no CPU profile is written", "detail", fmt.Sprintf("%s: %v", profileVariable, err))
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			log.Warn("the CPU profile is not whole", "detail", fmt.Sprintf("%s: %v", profileVariable, err))
		}
	}
}
