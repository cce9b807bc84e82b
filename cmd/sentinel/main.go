// Sentinel is a reverse proxy configured in KDL.
package main

import (
	"os"

	"sentinel/internal/cli"
)

func main() { os.Exit(cli.Main()) }
