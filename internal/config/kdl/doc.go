// Package kdl reads and writes KDL documents, versions 1.0 and 2.0 of the
// language in full.
//
// Parse turns bytes into a tree in which every node, argument and property
// knows where it stands, and reports all errors of a text in one pass. The
// tree is lossless: Document.AppendText gives the bytes back, and an edit
// changes only the bytes it must. Format lays a document out in the one
// house style and keeps its comments.
//
// The package knows nothing of what a document means. Whoever gives meaning
// to nodes reports problems with the same Diagnostic type, so that an
// operator sees one kind of error message.
package kdl
