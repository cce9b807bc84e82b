package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages maps the programs the harness runs to the Debian packages that hold
// them.
func packages() map[string]string {
	return map[string]string{"haproxy": "haproxy", "nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux", "h2load": "nghttp2-client"}
}

// prepare makes every program available that the chosen peers need.
func prepare(ctx context.Context, o options, chosen []peer, scenarios []scenario) error {
	programs := []string{"wrk", "taskset"}
	if slices.ContainsFunc(scenarios, func(s scenario) bool { return s.streams > 0 }) {
		programs = append(programs, "h2load")
	}
	for _, p := range chosen {
		if _, packaged := packages()[p.name]; packaged {
			programs = append(programs, p.name)
		}
	}
	if err := install(ctx, programs); err != nil {
		return err
	}
	if err := goBuild(ctx, ".", filepath.Join(o.out, "origin"), "./bench/origin"); err != nil {
		return err
	}
	for _, p := range chosen {
		switch p.name {
		case "caddy":
			// A module of its own, so that what Caddy needs stays out of ours.
			const module, command = "bench/caddy", "github.com/caddyserver/caddy/v2/cmd/caddy"
			if err := goBuild(ctx, module, filepath.Join(o.out, "caddy"), command); err != nil {
				return err
			}
		case "sentinel":
			if _, err := exec.LookPath(p.argv[0]); err != nil {
				return fmt.Errorf("%w; build it first (make build) or leave sentinel out of -proxies", err)
			}
		}
	}
	return nil
}

// install asks apt-get for the packages of programs that are not there.
func install(ctx context.Context, programs []string) error {
	var missing []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, packages()[program])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	fmt.Fprintf(os.Stderr, "installing %s\n", strings.Join(missing, " "))
	if os.Geteuid() != 0 {
		return fmt.Errorf("not installed: %s; run apt-get install as root", strings.Join(missing, ", "))
	}
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get install %s: %w", strings.Join(missing, " "), err)
	}
	return nil
}

// goBuild builds a command of the module in dir.
func goBuild(ctx context.Context, dir, output, command string) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", output, command)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", command, err)
	}
	return nil
}
