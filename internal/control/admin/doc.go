// Package admin is the local API of a running proxy: HTTP with JSON over a unix
// socket that only its owner may open. It has no port, so that nothing on the
// network and no browser can reach it.
//
//	GET  /admin/version  what runs
//	GET  /admin/status   how it is doing
//	GET  /admin/routes   the routes and their traffic
//	GET  /admin/config   the effective configuration
//	POST /admin/reload   reload now, answer with the outcome
package admin
