// Package schema turns KDL trees into a validated Config: plain data in which
// every value knows where it comes from.
//
// One table holds every key of every block: its spellings, kind, range,
// default and unit, and whether this version acts on it. Decoding, error
// messages, Show, Diff and Reference all read that table, so none of them
// can know a key that another doesn't. A key is tied to the field of the
// Config that holds it by its slot.
//
// All problems of a configuration are reported in one pass; nothing is
// accepted and ignored.
package schema
