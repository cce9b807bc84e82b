package cli

import (
	"os"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/ops/overview"
	"sentinel/internal/ops/topview"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// topView shows the running process in the terminal, or one look as JSON.
func (a *app) topView(cmd *cobra.Command, every time.Duration) error {
	for _, name := range []string{"window", "number", "watch"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for one of %s", name, strings.Join(admin.TopLists(), ", "))
		}
	}
	client := a.client(askTimeout)
	switch {
	case every < 500*time.Millisecond || every > time.Minute:
		return usagef("--every %v: 500ms to 1m wanted", every)
	case a.json:
		f, err := overview.New(client).Look(cmd.Context())
		if err != nil {
			return err
		}
		return a.printJSON(f)
	case !isTTY(a.in) || !isTTY(a.out):
		return usagef("a terminal is wanted to watch in; name one of %s, or add --json", strings.Join(admin.TopLists(), ", "))
	}
	return topview.Run(cmd.Context(), topview.Options{
		Client: client, In: a.in, Out: a.out, Environment: os.Environ(), Every: every, Session: a.session(), Undo: a.whereFlags(),
	})
}

// isTTY reports whether a stream is a terminal (tty_ioctl(4)).
func isTTY(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
