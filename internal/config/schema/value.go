package schema

import (
	"strconv"

	"sentinel/internal/config/kdl"
)

// OriginKind tells how a value came to be.
type OriginKind uint8

// The kinds of origin. The zero value says that there is no value.
const (
	Unset     OriginKind = iota
	Default              // nobody wrote it, the key's default holds
	Written              // it stands in a file
	Inherited            // it stands in the top-level block of the same name
)

// Origin is where a value comes from.
type Origin struct {
	Kind OriginKind
	Env  bool     // part of the text came from an environment variable
	Span kdl.Span // of the value or the node; zero for Unset and Default
	File string   // name of the file; empty for Unset and Default
	// Layer is the overlay that it stands in; nil for a file.
	Layer *Overlay
}

// IsSet reports whether there is a value.
func (o Origin) IsSet() bool { return o.Kind != Unset }

// String returns "default", "config.kdl:3:5" or "inherited from top level at
// config.kdl:3:5".
func (o Origin) String() string {
	switch o.Kind {
	case Unset:
		return "not set"
	case Default:
		return "default"
	case Inherited:
		if o.Layer != nil {
			return "inherited from top level: " + o.Layer.story()
		}
		return "inherited from top level at " + o.place()
	}
	if o.Layer != nil {
		return o.Layer.story()
	}
	if o.Env {
		return o.place() + ", from the environment"
	}
	return o.place()
}

func (o Origin) place() string {
	return o.File + ":" + strconv.Itoa(int(o.Span.Start.Line)) + ":" + strconv.Itoa(int(o.Span.Start.Column))
}

// Value is one value of a configuration and its origin.
type Value[T any] struct {
	V    T
	From Origin
}

// IsSet reports whether the value was written, inherited or filled in.
func (v Value[T]) IsSet() bool { return v.From.IsSet() }

// Block is embedded in every block of a Config and says where it stands.
type Block struct {
	From Origin // the node's name; Unset when the block was not written
}

func (b *Block) block() *Block { return b }

// placed is a pointer to any struct that embeds Block.
type placed interface{ block() *Block }

// Pair is a value of two texts, such as a pattern and its replacement.
type Pair struct{ From, To string }
