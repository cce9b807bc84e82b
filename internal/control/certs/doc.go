// Package certs looks after the certificates that are in use: it sees when their files change
// and has them loaded, tells of those that end soon, and lists them.
//
// A change is taken up once the files have stood still from one look to the next: who puts a
// certificate and its key in place one after the other is never seen in between. What can't be
// used, or is worse than what is in use, is told of once and tried again every minute, since a
// certificate that isn't valid yet will be.
package certs
