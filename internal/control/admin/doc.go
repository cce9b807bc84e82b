// Package admin is the API of a running proxy: HTTP with JSON over a unix socket, and for other
// machines over TCP with certificates on both sides. Who asks, the kernel or the certificate
// says; an Access gives him a Role; a request of a higher role, and one that a page has had a
// browser send, is refused. Each change that is asked for is one line of the Audit.
//
//	GET  /admin/version    what runs
//	GET  /admin/status     how it is doing
//	GET  /admin/routes     the routes and their traffic
//	GET  /admin/config     the effective configuration
//	GET  /admin/upstreams  the upstreams and each target, and why they are as they are; ?name=NAME for one
//	GET  /admin/events     what has changed; ?since=SEQ after that one, &follow=1 a line each as they come
//	POST /admin/reload     reload now, answer with the outcome
//	GET  /admin/history    the configurations that are kept; /NUMBER for one with its texts
//	POST /admin/confirm    have a configuration stay that awaits that
//	POST /admin/rollback   make a kept configuration serve
//	POST /admin/drain      take a target or upstream out of service, or undo that
//	GET  /admin/bans       the clients that are kept out by an operator
//	POST /admin/ban        keep clients out for a while
//	POST /admin/unban      let them in again
//	GET  /admin/whoami     who asks, in which role
//	GET  /admin/audit      the last changes that were asked for; ?n=N
//
// What can't be done is answered with a status of 4xx or 5xx and a Problem. The kernel
// says who asks (SO_PEERCRED in unix(7)); each drain and ban is an event that names him.
package admin
