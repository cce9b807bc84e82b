package kdl

// parser builds the tree from the tokens. After an error it goes on with the
// next entry or node, so that one slip gives one diagnostic.
type parser struct {
	lexer
	arena
	depthMax int
	top      []*Node

	entryBase int         // where the entries of the current node start on their stack
	open      []openBlock // blocks around the current token
	misfit    misfit
	noBrace   bool            // reported
	tooDeep   bool            // reported
	oneLine   map[int32]int32 // when not nil, collects the blocks that stand on one line: start and end
	longText  Span            // version 1: the last string that spans lines
}

// openBlock is a block whose closing brace is still to come.
type openBlock struct {
	brace  Span
	indent int32 // column where the line of the brace starts
}

// misfit is the first closing brace that stands further left than the line
// of the brace it closes: a sign that a brace before it is missing.
type misfit struct{ opening, closing Span }

func newParser(name, text string, v Version, opt Options) *parser {
	p := &parser{lexer: newLexer(name, text, v), depthMax: opt.DepthMax}
	if p.depthMax <= 0 {
		p.depthMax = DefaultDepthMax
	}
	p.depthMax = min(p.depthMax, depthLimit)
	return p
}

// parse reads the whole text.
func (p *parser) parse() *parser {
	p.checkText(p.src, p.version)
	p.next()
	p.top = p.nodes()
	return p
}

// nodes reads nodes up to the end of the block around them, or of the text.
func (p *parser) nodes() []*Node {
	base := p.nodeMark()
	for {
		p.skipLineSpace()
		switch p.tok.kind {
		case tokenEnd:
			return p.takeNodes(base)
		case tokenCloseBlock:
			if len(p.open) > 0 {
				return p.takeNodes(base)
			}
			p.add(Errorf(p.file, p.tok.span, "this } closes nothing").WithHint("remove it, or look for a { that is missing before it"))
			p.next()
		case tokenSemicolon:
			p.add(Errorf(p.file, p.tok.span, "there is no node before this semicolon").WithHint("remove it"))
			p.next()
		default:
			p.statement()
		}
	}
}

// statement reads a node, and forgets it when a slashdash stands before it.
func (p *parser) statement() {
	if p.tok.kind != tokenSlashdash {
		if n := p.node(); n != nil {
			p.pushNode(n)
		}
		return
	}
	if p.slashdash() {
		p.node()
	}
}

// slashdash moves from a slashdash to what it comments out and reports
// whether there is something.
func (p *parser) slashdash() bool {
	dash := p.tok.span
	p.next()
	if p.version == V2 {
		p.skipLineSpace()
	} else {
		p.skipNodeSpace()
	}
	switch p.tok.kind {
	case tokenEnd, tokenNewline, tokenLineComment, tokenSemicolon, tokenCloseBlock, tokenCloseType, tokenEquals, tokenSlashdash:
		p.add(Errorf(p.file, dash, "there is nothing here for /- to comment out").
			WithHint("put /- directly before a node, an argument, a property or a block"))
		return false
	}
	return true
}

// node reads one node with its terminator. It returns nil when there is no
// name to go by.
func (p *parser) node() *Node {
	n := p.newNode()
	n.Span.Start = p.tok.span.Start
	if p.tok.kind == tokenOpenType {
		n.Type, _ = p.typeAnnotation()
	}
	if !p.nodeName(n) {
		p.skipNode()
		return nil
	}
	n.Span.End = n.Name.Span.End
	base, outer := p.entryMark(), p.entryBase
	p.entryBase = base
	p.body(n)
	p.entryBase = outer
	n.end = p.tok.span.Start.Offset
	if p.tok.kind == tokenSemicolon {
		p.next()
	}
	n.Entries = p.takeEntries(base)
	return n
}

// nodeName reads the name of a node and reports whether there is one.
func (p *parser) nodeName(n *Node) bool {
	switch p.tok.kind {
	case tokenWord, tokenString:
		p.checkName("a node name")
	case tokenNumber, tokenKeyword:
		p.add(Errorf(p.file, p.tok.span, "a node name can't be %s", p.tok.describe()).
			WithHint("write %s if it is meant as a name", quote(excerptOf(p.raw()), p.version)))
	case tokenInvalid:
	default:
		d := Errorf(p.file, p.tok.span, "expected a node name, found %s", p.tok.describe())
		if p.tok.kind == tokenSlashdash {
			d = d.WithHint("put /- before the type annotation")
		}
		p.add(d)
		return false
	}
	n.Name = Ident{p.tok.text, p.tok.span}
	p.next()
	return true
}

// skipNode moves over the rest of a node that makes no sense.
func (p *parser) skipNode() {
	p.skipToTerminator()
	if p.tok.kind == tokenSemicolon {
		p.next()
	}
}

// skipToTerminator moves to the end of a node. Blocks on the way are read for
// the errors in them.
func (p *parser) skipToTerminator() {
	for {
		switch p.tok.kind {
		case tokenEnd, tokenNewline, tokenCloseBlock, tokenSemicolon:
			return
		case tokenOpenBlock:
			p.block()
		default:
			p.next()
		}
	}
}

// body reads what follows the name of a node: entries, then blocks, up to
// the terminator.
func (p *parser) body(n *Node) {
	spaced, dashed := p.skipNodeSpace(), false // dashed: a block was commented out
	for {
		switch p.tok.kind {
		case tokenEnd, tokenNewline, tokenLineComment, tokenCloseBlock, tokenSemicolon:
			return
		case tokenOpenBlock:
			p.children(n, dashed)
			spaced = p.skipNodeSpace()
		case tokenSlashdash:
			start := p.tok
			if !p.slashdash() {
				spaced = true
				continue
			}
			if p.tok.kind == tokenOpenBlock {
				p.dashedBlock(n, dashed)
				dashed = true
				spaced = p.skipNodeSpace()
				continue
			}
			if p.afterBlock(n, dashed, start) {
				return
			}
			if p.version == V1 {
				p.requireSpace(spaced, start)
			}
			spaced = p.entryAhead(nil)
		default:
			if p.afterBlock(n, dashed, p.tok) {
				return
			}
			if p.version == V1 && !spaced && p.reopen(n) {
				spaced = true
				continue
			}
			p.requireSpace(spaced, p.tok)
			spaced = p.entryAhead(n)
		}
	}
}

// afterBlock reports what stands behind the block of its node, and whether
// there is such a block. A name there is most likely the next node's.
func (p *parser) afterBlock(n *Node, dashed bool, at token) bool {
	if !n.HasBlock && !dashed {
		return false
	}
	d := Errorf(p.file, at.span, "expected the end of the node after }, found %s", at.describe())
	if n.HasBlock {
		d = d.WithHint("start the next node on a new line or after ;").WithRelated(p.file, n.Block, "the block")
	} else {
		d = d.WithHint("arguments and properties stand before the block, also one that is commented out")
	}
	p.add(d)
	switch p.tok.kind {
	case tokenWord, tokenString, tokenOpenType:
	default:
		p.skipToTerminator()
	}
	return true
}

// requireSpace reports a value that stands too close to what is before it.
func (p *parser) requireSpace(spaced bool, tok token) {
	switch tok.kind {
	case tokenWord, tokenString, tokenNumber, tokenKeyword, tokenOpenType, tokenSlashdash:
	default:
		return
	}
	if spaced {
		return
	}
	if tok.kind == tokenString && p.legacyRawBefore(int(tok.span.Start.Offset)) {
		p.signsV1++
		p.add(Errorf(p.file, tok.span, `r"..." is how KDL 1 writes a raw string`).WithHint(`write #"..."#`))
		return
	}
	p.errorf(tok.span, "there must be a space before %s", tok.describe())
}

// legacyRawBefore reports whether the word before an offset is the r of a
// raw string of version 1, in a text of version 2.
func (p *parser) legacyRawBefore(at int) bool {
	return p.version == V2 && at > 0 && p.src[at-1] == 'r' && (at == 1 || wordEndsV2.has(p.src[at-2]))
}

// children reads the block of a node. dashed tells whether another one was
// commented out before it.
func (p *parser) children(n *Node, dashed bool) {
	if n.HasBlock || dashed && p.version == V1 {
		d := Errorf(p.file, p.tok.span, "a node has only one block")
		if n.HasBlock {
			d = d.WithRelated(p.file, n.Block, "the first block")
		}
		p.add(d)
		p.block()
		return
	}
	n.HasBlock = true
	n.Block, n.Children = p.block()
	n.Span.End = n.Block.End
}

// dashedBlock reads a block that is commented out.
func (p *parser) dashedBlock(n *Node, dashed bool) {
	if p.version == V1 && (n.HasBlock || dashed) {
		p.errorf(p.tok.span, "a node has only one block in KDL 1, also when it is commented out")
	}
	p.block()
}

// block reads a block from its opening to its closing brace.
func (p *parser) block() (Span, []*Node) {
	opening := p.tok.span
	if len(p.open) >= p.depthMax {
		p.skipBlock()
		return Span{opening.Start, p.Pos}, nil
	}
	p.open = append(p.open, openBlock{opening, p.indent})
	p.next()
	nodes := p.nodes()
	around := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	if p.tok.kind == tokenEnd {
		p.reportUnclosed(around)
		return Span{opening.Start, p.tok.span.Start}, nodes
	}
	closing := p.tok.span
	if !p.misfit.closing.IsValid() && p.indentLine == closing.Start.Line && p.indent == closing.Start.Column &&
		closing.Start.Column < around.indent {
		p.misfit = misfit{opening, closing}
	}
	if p.oneLine != nil && opening.Start.Line == closing.Start.Line {
		p.oneLine[opening.Start.Offset] = closing.End.Offset
	}
	p.next()
	return Span{opening.Start, closing.End}, nodes
}

// reportUnclosed reports the block that the end of the text leaves open,
// once. When the indentation tells of a missing brace it names that block.
// A string or comment without an end may have hidden the brace.
func (p *parser) reportUnclosed(block openBlock) {
	if p.noBrace || p.cutOff {
		return
	}
	p.noBrace = true
	const message, hint = "block is never closed", "close it with }"
	if p.misfit.closing.IsValid() {
		p.add(Errorf(p.file, p.misfit.opening, message).WithHint(hint).
			WithRelated(p.file, p.misfit.closing, "by its indentation this } closes an outer block"))
		return
	}
	d := Errorf(p.file, block.brace, message).WithHint(hint)
	for _, outer := range p.open[max(0, len(p.open)-3):] {
		d = d.WithRelated(p.file, outer.brace, "this block around it is open too")
	}
	p.add(d)
}

// skipBlock moves over a block that nests too deep.
func (p *parser) skipBlock() {
	if !p.tooDeep {
		p.tooDeep = true
		p.errorf(p.tok.span, "blocks nest more than %d deep here", p.depthMax)
	}
	for depth := 0; p.tok.kind != tokenEnd; p.next() {
		switch p.tok.kind {
		case tokenOpenBlock:
			depth++
		case tokenCloseBlock:
			depth--
		}
		if depth == 0 {
			p.next()
			return
		}
	}
}
