package cli

import (
	"strings"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// completeTimeout bounds how long a shell waits for names.
const completeTimeout = time.Second

// completeUpstream offers the names of upstreams.
func (a *app) completeUpstream(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, u := range a.knownUpstreams(cmd) {
		names = append(names, u.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeTarget offers the names of upstreams, and those of targets after a slash.
func (a *app) completeTarget(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, u := range a.knownUpstreams(cmd) {
		names = append(names, u.Name)
		for _, t := range u.Targets {
			if name := u.Name + "/" + t.Address; strings.HasPrefix(begin, u.Name+"/") && (len(names) == 0 || names[len(names)-1] != name) {
				names = append(names, name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// knownUpstreams returns none when nobody answers: a shell shows no errors.
func (a *app) knownUpstreams(cmd *cobra.Command) []admin.UpstreamStatus {
	list, err := a.client(completeTimeout).Upstreams(cmd.Context(), "")
	if err != nil {
		return nil
	}
	return list
}

// completeFlag has f offer the values of a flag.
func (a *app) completeFlag(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic("cli: " + err.Error()) // the flag isn't there: a bug
	}
}
