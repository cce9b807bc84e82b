package schema

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Kind is the kind of value a key takes.
type Kind uint8

// The kinds of values.
const (
	Text     Kind = iota // a string
	Int                  // a whole number
	Bool                 // #true or #false
	Seconds              // a number of seconds, fractions allowed
	Size                 // bytes: a whole number or a string such as "10MB"
	Rate                 // bytes per second, spelled like Size
	Enum                 // one of a closed list of words
	Address              // "host:port"
	Prefixes             // IP addresses and CIDR prefixes, several
	Texts                // strings, several
	Ints                 // whole numbers, several
	Ranges               // whole numbers and ranges such as "200-299", several
	Regex                // an RE2 regular expression
	Regexes              // RE2 regular expressions, several
	Template             // a string with ${variables} of the request
	TwoTexts             // two strings
	Edits                // header names with values
	Renames              // header names with new names
	Pairs                // names with values
	Opens                // a block
)

var kindNames = [...]string{
	"string", "whole number", "boolean", "seconds", "size in bytes", "bytes per second", "word", "address",
	"IP addresses or CIDR prefixes", "strings", "whole numbers", "whole numbers and ranges", "regular expression", "regular expressions",
	"string with variables", "two strings", "header names and values", "header names and new names", "names and values", "block",
}

// String names the kind in words.
func (k Kind) String() string { return kindNames[k] }

// one names one value of the kind, with an article.
func (k Kind) one() string {
	switch k {
	case Int, Ints:
		return "a whole number"
	case Ranges:
		return "a whole number or a range such as \"200-299\""
	case Bool:
		return "a boolean"
	case Size, Rate:
		return "a size"
	case Seconds:
		return "a number of seconds"
	}
	return "a string"
}

// Key is one row of the table: all there is to know about one key of one
// block.
type Key struct {
	Block    string   // the block it stands in; empty for the top level
	Name     string   // the spelling that Show prints
	Aliases  []string // other spellings
	Kind     Kind
	Unit     string   // "seconds", "bytes" or what is counted; may be empty
	Min, Max int64    // range in Unit; both zero means no range
	Words    []string // what an Enum accepts, or words an Int accepts
	Default  string   // as an operator would write it; empty when there is none
	Doc      string   // one line, lower case, no full stop
	Label    string   // what Diff calls it, when the name won't do
	In       []string // enclosing blocks it is limited to; nil means any
	Opens    string   // the block that a key of kind Opens opens

	Required bool // the block is an error without it
	Many     bool // may be repeated
	ZeroOff  bool // 0 means no limit
	ArgOnly  bool // given as the block's argument only
	Merges   bool // repeated blocks merge, the strictest value wins
	PerFile  bool // may stand once in each file
	Pending  bool // named, checked, but not acted on in this version

	// PendingWords are those of Words that this version doesn't act on.
	PendingWords []string

	// synonyms are other words, with underscores, for some of Words.
	synonyms map[string]string

	values []int64 // what Words mean for an Int
	anyRaw bool    // control characters are welcome
	// mayBeEmpty tells that an empty text is one, too.
	mayBeEmpty bool
	// inserts is what the second of TwoTexts may hold.
	inserts expansion
	check   func(text string) (problem, hint string)
	slot    slot
	preset  any // Default, converted
}

// ID names the key uniquely: "target.weight", or "system" at top level.
func (k *Key) ID() string {
	if k.Block == "" {
		return k.Name
	}
	return k.Block + "." + k.Name
}

// expansion says what ${...} may be in the key's text.
func (k *Key) expansion() expansion {
	switch k.Kind {
	case Template:
		return orVariable
	case TwoTexts:
		return k.inserts
	}
	return environmentOnly
}

// spec is one kind of block.
type spec struct {
	name   string   // "target"
	doc    string   // one sentence for the reference
	args   []string // the keys that the node's arguments give, in order
	rows   []*Key
	index  map[string]int // every spelling to its row
	finish func(d *decoder, b any)
}

// row returns the row with that spelling, or nil and -1.
func (s *spec) row(name string) (*Key, int) {
	if i, ok := s.index[name]; ok {
		return s.rows[i], i
	}
	return nil, -1
}

// blockDef is what each block's file says about its block.
type blockDef struct {
	name, doc string
	args      []string
	keys      []Key
	finish    func(d *decoder, b any)
}

// table holds every block by name; the top level is "".
var table = sync.OnceValue(func() map[string]*spec {
	t := make(map[string]*spec)
	for _, def := range blockDefs() {
		t[def.name] = newSpec(def)
	}
	return t
})

func blockDefs() []blockDef {
	return slices.Concat(
		[]blockDef{topBlock(), systemBlock()}, systemParts(), adminBlocks(),
		listenerBlocks(), routeBlocks(), []blockDef{disabledBlock()}, retryBlocks(), matchBlocks(), actionBlocks(), upstreamBlocks(), balancingBlocks(),
		healthBlocks(), breakerBlocks(), queueBlocks(), []blockDef{rateLimitBlock(), storeBlock(), accessBlock(), geoIPBlock()}, acmeBlocks(), limitBlocks(), timeoutBlocks(), policyBlocks(), tlsBlocks(), []blockDef{securityBlock()}, observabilityBlocks(),
	)
}

func newSpec(def blockDef) *spec {
	s := &spec{name: def.name, doc: def.doc, args: def.args, finish: def.finish, index: make(map[string]int)}
	for i := range def.keys {
		k := &def.keys[i]
		k.Block = def.name
		k.Aliases = append(k.Aliases, unitAliases(k)...)
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if _, taken := s.index[name]; taken {
				panic(fmt.Sprintf("schema: %q stands twice in block %q", name, def.name))
			}
			s.index[name] = i
		}
		if k.Default != "" {
			k.preset = mustPreset(k)
		}
		s.rows = append(s.rows, k)
	}
	return s
}

// unitAliases returns the spelling of k with or without its unit.
func unitAliases(k *Key) []string {
	if bare, ok := strings.CutSuffix(k.Name, "-secs"); ok && k.Kind == Seconds {
		return []string{bare}
	}
	if k.Kind == Size {
		return []string{k.Name + "-bytes"}
	}
	return nil
}

// Keys returns every row of the table, block by block in the order of the
// reference page.
func Keys() []Key {
	var keys []Key
	for _, def := range blockDefs() {
		for _, k := range table()[def.name].rows {
			keys = append(keys, *k)
		}
	}
	return keys
}

// slot ties a key to the place in the Config that holds its value.
type slot struct {
	// at returns a pointer to the value, or to the block; nil when the
	// block is absent.
	at func(block any) any
	// open returns the block to decode into; a key that may repeat gets a
	// new one each time.
	open func(block any) any
	// each returns all blocks of a key that may repeat.
	each func(block any) []any
	// maybe tells that the block may be absent.
	maybe bool
}

// value is the slot of a field that holds a value, and of a block that is
// always there.
func value[B any](field func(*B) any) slot {
	at := func(b any) any { return field(b.(*B)) }
	return slot{at: at, open: at}
}

// self is the slot of a block that only groups others.
func self() slot {
	same := func(b any) any { return b }
	return slot{at: same, open: same}
}

// optional is the slot of a block that may be absent.
func optional[B, C any](field func(*B) **C) slot {
	return slot{
		maybe: true,
		at: func(b any) any {
			if p := *field(b.(*B)); p != nil {
				return p
			}
			return nil
		},
		open: func(b any) any {
			p := field(b.(*B))
			if *p == nil {
				*p = new(C)
			}
			return *p
		},
	}
}

// several is the slot of a block that may stand many times.
func several[B, C any](field func(*B) *[]*C) slot {
	return slot{
		open: func(b any) any {
			list, c := field(b.(*B)), new(C)
			*list = append(*list, c)
			return c
		},
		each: func(b any) []any {
			list := *field(b.(*B))
			all := make([]any, len(list))
			for i, c := range list {
				all[i] = c
			}
			return all
		},
	}
}
