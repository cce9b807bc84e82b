package cli

import (
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// remoteFlags name the admin API of another machine.
type remoteFlags struct{ url, cert, key, ca string }

// The environment variables that stand in for the flags.
const (
	remoteVariable     = "SENTINEL_ADMIN"
	remoteCertVariable = "SENTINEL_ADMIN_CERT"
	remoteKeyVariable  = "SENTINEL_ADMIN_KEY"
	remoteCAVariable   = "SENTINEL_ADMIN_CA"
)

// remoteFlagsOn adds the flags to the root, for every command that asks a running sentinel.
func (a *app) remoteFlagsOn(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&a.remote.url, "admin", "", "ask the sentinel of another machine: its admin API at `URL` (default $"+remoteVariable+"), such as https://10.0.0.1:9443")
	flags.StringVar(&a.remote.cert, "admin-cert", "", "client certificate `FILE` for --admin, PEM (default $"+remoteCertVariable+")")
	flags.StringVar(&a.remote.key, "admin-key", "", "its private key `FILE`, PEM (default $"+remoteKeyVariable+")")
	flags.StringVar(&a.remote.ca, "admin-ca", "", "authorities `FILE` that the other machine is believed by, PEM (default $"+remoteCAVariable+", then those of this machine)")
}

// where returns where the running process is asked: a socket, or remotely.
func (a *app) where() (socket string, remote admin.Remote) {
	either := func(flag, variable string) string {
		if flag != "" {
			return flag
		}
		return a.getenv(variable)
	}
	r := admin.Remote{URL: either(a.remote.url, remoteVariable)}
	if a.socketFlag != "" && a.remote.url == "" {
		return a.socketFlag, admin.Remote{}
	}
	if r.URL == "" {
		return a.adminSocket(a.configFile()), r
	}
	r.CertFile, r.KeyFile = either(a.remote.cert, remoteCertVariable), either(a.remote.key, remoteKeyVariable)
	r.CAFile = either(a.remote.ca, remoteCAVariable)
	return "", r
}

func (a *app) socketFlagOn(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.socketFlag, "admin-socket", "", "admin socket `PATH` (default: that of the configuration)")
}

// client returns a client of the admin API that flags, environment or configuration name. One
// that can't be reached by them says so at the first call.
func (a *app) client(timeout time.Duration) *admin.Client {
	socket, remote := a.where()
	if remote.URL == "" {
		return admin.NewClient(socket, timeout)
	}
	if a.socketFlag != "" {
		return admin.FailingClient(usagef("--admin and --admin-socket name two: keep one of them"))
	}
	c, err := admin.NewRemoteClient(remote, timeout)
	if err != nil {
		return admin.FailingClient(err)
	}
	return c
}

// whereFlags repeats the flags by which the running process was found.
func (a *app) whereFlags() string {
	flags := ""
	for _, f := range []struct{ name, value string }{
		{"config", a.configFlag},
		{"admin-socket", a.socketFlag},
		{"admin", a.remote.url},
		{"admin-cert", a.remote.cert},
		{"admin-key", a.remote.key},
		{"admin-ca", a.remote.ca},
	} {
		if f.value != "" {
			flags += " --" + f.name + " " + f.value
		}
	}
	return flags
}
