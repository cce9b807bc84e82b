package route

// Part is a part of a rule that a request can fail.
type Part uint8

// The parts, in the order in which they are explained.
const (
	PartHost Part = iota
	PartPath
	PartMethod
	PartField
	PartParam
)

// String returns the part in one word.
func (p Part) String() string {
	return [...]string{"host", "path", "method", "header", "query parameter"}[p]
}

// Verdict says what a rule makes of a request.
type Verdict[T any] struct {
	Value   T
	Rule    *Rule[T]
	Matches bool
	Wins    bool
	// Failed are the conditions that don't hold, unless it matches.
	Failed []Failure
	// LostBy says, where it matches and another one wins, what of the two decided: "priority",
	// "host", "path", "conditions" or "order".
	LostBy string
}

// Failure is a condition that doesn't hold; Index is that of the field or parameter.
type Failure struct {
	Part  Part
	Index int
}

// Explain returns what each rule makes of a request, in the order of the rules. It asks tables
// of single rules, so that it can't say anything else than Match does. It takes much longer
// than Match.
func (t *Table[T]) Explain(in *Input) []Verdict[T] {
	list := make([]Verdict[T], len(t.rules))
	best := t.best(in)
	for i := range t.rules {
		r := &t.rules[i]
		v := Verdict[T]{Value: r.Value, Rule: r}
		mine := Build([]Rule[T]{*r}).best(in)
		switch {
		case mine == &noEntry:
			v.Failed = failures(r, in)
		case best.rank.order == i:
			v.Matches, v.Wins = true, true
		default:
			place := mine.rank
			place.order = i
			v.Matches, v.LostBy = true, decided(&best.rank, &place)
		}
		list[i] = v
	}
	return list
}

// decided names the first part in which two ranks differ.
func decided(a, b *rank) string {
	switch {
	case a.priority != b.priority:
		return "priority"
	case a.host != b.host:
		return "host"
	case a.path != b.path:
		return "path"
	case a.conditions != b.conditions:
		return "conditions"
	}
	return "order"
}

// failures asks each condition of a rule alone.
func failures[T any](r *Rule[T], in *Input) (list []Failure) {
	try := func(p Part, index int, alone Rule[T]) {
		if Build([]Rule[T]{alone}).best(in) == &noEntry {
			list = append(list, Failure{p, index})
		}
	}
	try(PartHost, 0, Rule[T]{Hosts: r.Hosts})
	try(PartPath, 0, Rule[T]{Exact: r.Exact, Prefixes: r.Prefixes, Regexps: r.Regexps})
	try(PartMethod, 0, Rule[T]{Methods: r.Methods})
	for i := range r.Fields {
		try(PartField, i, Rule[T]{Fields: r.Fields[i : i+1]})
	}
	for i := range r.Params {
		try(PartParam, i, Rule[T]{Params: r.Params[i : i+1]})
	}
	return list
}
