// Package explain says what a request would meet, in words: listener, certificate, route and
// why the others lost, each policy, where it would be sent. It finds nothing out by itself:
// the request is parsed by the engine and walked by package exchange, which serves requests
// by the same code.
package explain
