// Package diagnose plants incidents and has `sentinel diagnose` find them: the built program,
// real sockets, real files. Each incident says which cause must come first, how bad it is, and
// what must be among the evidence; every command that is told is tried as far as can be, and
// where that is practical the mitigation is run and must help.
package diagnose

import (
	"os"
	"testing"

	"sentinel/internal/testkit/program"
)

// programs is the folder of the program under test, built once by TestMain.
var programs string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &programs, program.Sentinel())) }
