// Package lifecycle is the life of the process: start, reload, drain and exit, the
// signals that ask for them, the files that tell of them.
//
// One goroutine, that of Process.Run, makes every change; signals and the admin API
// only ask it. A start and a reload are the same steps, of which all that can fail come
// before the first that is felt:
//
//	load      read and check the text                     engine
//	prepare   bind new listeners, metrics, admin socket   listen, side
//	build     make the new snapshot beside the old one    engine
//	-------   nothing has changed up to here              -------
//	commit    swap the snapshot, then the listeners
//	tell      pid file, metrics, one log line, service manager, last known good
//
// What the traffic needs of this is in serve.go alone.
package lifecycle
