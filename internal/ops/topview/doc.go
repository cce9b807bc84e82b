// Package topview shows a running proxy in a terminal and lets who has the role for it drain,
// ban and lift bans at a key and a confirmation. It writes nothing but what all terminals
// show, tells nothing by colour alone, and escapes what clients have sent.
//
// A Model is asked for its screen after each message (a key, a new frame, a new size); pages
// are functions from a frame to lines, in view files of their own.
package topview
