// Package flood runs the built program under attack and asks what the attack costs: the good
// clients beside it, the memory of the proxy, and its processor for each request it refuses.
//
//	20 good clients, 5 requests/s each ──┐
//	50 hostile addresses, at full speed ─┼──> sentinel ──> origin (this binary again)
//	slowhttptest, and slow clients here ─┘
//
// All of it stays on the loopback, where every address of 127.0.0.0/8 is one more client. What
// runs by itself is short and says what holds on any machine; floodVariable asks for the long
// run with its bounds on time.
package flood

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sentinel/internal/testkit/program"
)

// floodVariable names the environment variable that asks for the long run and says how long
// each attack lasts, such as "10s".
const floodVariable = "SENTINEL_FLOOD"

// shortAttack is how long an attack lasts unless floodVariable says otherwise.
const shortAttack = 1000 * time.Millisecond

// programs is the folder of the program under test, built once by TestMain.
var programs string

// binary returns the path of the program under test.
func binary() string { return filepath.Join(programs, "sentinel") }

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(program.Main(m, &programs, program.Sentinel()))
}

// length returns how long each attack lasts, and whether bounds on time are asked for.
func length(t *testing.T) (each time.Duration, long bool) {
	t.Helper()
	text := os.Getenv(floodVariable)
	if text == "" {
		return shortAttack, false
	}
	each, err := time.ParseDuration(text)
	if err != nil || each < time.Second {
		t.Fatalf("%s=%q, want a duration of 1s or more", floodVariable, text)
	}
	return each, true
}
