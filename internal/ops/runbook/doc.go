// Package runbook reads docs/runbook.md as what it is: procedures of steps, each with commands
// and what these are expected to do, and goes through a procedure step by step.
//
// The page is plain Markdown for people. What the package reads of it:
//
//	## Upstream failure          a procedure, if there are steps below it
//	### 3. Is it reachable?      a step; of 5a, 5b and so on one is enough
//	- Only if: `grep -q x f`     the step is left out unless this exits with 0
//	One command:                 which form the next block has; also "By hand:", and "To undo:"
//	                             behind what it takes back
//	```sh                        a block: pasted into a shell, it does what it does here
//	- Changes: what changes      the block is asked about before it runs
//	- Expect: prints `regexp`    what it does where this procedure is the right one
//	- Expect: prints no `regexp`, or: prints nothing
//	- Expect: exit code 1
//	- Expect: `command` prints `regexp`    soon, tried again until then
//
// Blocks of sh outside of steps and blocks without an expectation are errors: the test of the
// page runs every one of them.
package runbook
