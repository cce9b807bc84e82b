package kdl

import "strings"

// entryAhead reads an argument or property, adds it to n unless n is nil,
// and reports whether space follows. It always moves on.
func (p *parser) entryAhead(n *Node) (spaced bool) {
	switch p.tok.kind {
	case tokenWord, tokenString, tokenNumber, tokenKeyword, tokenInvalid, tokenOpenType:
	default:
		d := Errorf(p.file, p.tok.span, "expected an argument or property, found %s", p.tok.describe())
		if p.tok.kind == tokenEquals {
			d = d.WithHint("%s", p.equalsHint(n))
		}
		p.add(d)
		p.next()
		p.skipNodeSpace()
		return true
	}
	e := p.newEntry()
	spaced = p.entry(e)
	if n != nil {
		p.pushEntry(e)
		n.Span.End = e.Span.End
	}
	return spaced
}

// equalsHint tells what to write instead of an equals sign that is out of
// place in the node n, nil when unknown.
func (p *parser) equalsHint(n *Node) string {
	switch {
	case n != nil && len(p.entryStack) == p.entryBase:
		return "arguments follow the name without =: write " + excerptOf(n.Name.Text) + " VALUE"
	case p.version == V1:
		return "a property is written name=value, without space around ="
	}
	return "a property is written name=value"
}

// entry reads an argument or property and the space after it.
func (p *parser) entry(e *Entry) (spaced bool) {
	e.Span.Start = p.tok.span.Start
	whole := true
	if p.tok.kind == tokenOpenType {
		e.Type, whole = p.typeAnnotation()
	}
	first := p.tok
	if !p.hasValue() && !whole {
		e.Span.End = p.lastEnd(e)
		return true
	}
	if !p.hasValue() {
		p.errorf(Span{e.Span.Start, p.lastEnd(e)}, "type annotation without a value")
		e.Span.End = p.lastEnd(e)
		return true
	}
	p.next()
	spaced = p.skipNodeSpace()
	if p.tok.kind == tokenEquals {
		if spaced && p.version == V1 {
			p.add(Errorf(p.file, p.tok.span, "no space may stand before the = of a property in KDL 1").
				WithHint("write %s=value", excerptOf(first.text)))
		}
		return p.property(e, first)
	}
	p.value(e, first)
	return spaced
}

// property reads the rest of a property, from its equals sign on.
func (p *parser) property(e *Entry, name token) (spaced bool) {
	if e.Type != nil {
		p.add(Errorf(p.file, e.Type.Span, "a property name has no type annotation").
			WithHint("write the annotation after the =, before the value"))
		e.Type = nil
	}
	p.checkPropertyName(name)
	ident := p.newIdent()
	*ident = Ident{name.text, name.span}
	e.Name = ident
	e.Span.End = p.tok.span.End
	p.next()
	if space := p.skipNodeSpace(); space && p.version == V1 && p.hasValue() {
		p.add(Errorf(p.file, Span{name.span.Start, p.tok.span.Start}, "no space may follow the = of a property in KDL 1").
			WithHint("write %s=value", excerptOf(name.text)))
	}
	if p.tok.kind == tokenOpenType {
		e.Type, _ = p.typeAnnotation()
	}
	if !p.hasValue() {
		d := Errorf(p.file, e.Span, "property %q has no value", excerptOf(name.text))
		if p.tok.kind == tokenSlashdash {
			d = d.WithHint("to comment the property out put /- before its name")
		}
		p.add(d)
		if p.tok.kind == tokenEquals {
			p.next()
		}
		return true
	}
	value := p.tok
	p.next()
	spaced = p.skipNodeSpace()
	p.value(e, value)
	return spaced
}

// checkPropertyName reports a property name that is no text.
func (p *parser) checkPropertyName(name token) {
	switch name.kind {
	case tokenNumber, tokenKeyword:
		p.add(Errorf(p.file, name.span, "a property name can't be %s", name.describe()).
			WithHint("write %s if it is meant as a name", quote(excerptOf(name.text), p.version)))
	case tokenWord:
		p.checkReserved(name, "a property name")
	}
}

// hasValue reports whether the current token can be a value.
func (p *parser) hasValue() bool {
	switch p.tok.kind {
	case tokenWord, tokenString, tokenNumber, tokenKeyword, tokenInvalid:
		return true
	}
	return false
}

// value makes a token the value of an entry.
func (p *parser) value(e *Entry, tok token) {
	e.Span.End = tok.span.End
	v := &e.Value
	v.Span = tok.span
	v.Raw = p.src[tok.span.Start.Offset:tok.span.End.Offset]
	switch tok.kind {
	case tokenNumber:
		v.Kind = Number
		v.Raw = tok.text // without a unit that was reported
	case tokenKeyword:
		v.keyword(strings.TrimPrefix(tok.text, "#"))
	case tokenWord:
		p.wordValue(v, tok)
	default:
		v.Kind = String
		v.Text = tok.text
		p.noteString(tok)
	}
}

// keyword makes v the value of true, false or null.
func (v *Value) keyword(word string) {
	if word != "null" {
		v.Kind = Bool
		v.Bool = word == "true"
	}
}

// wordValue makes v the value of a word without quotes.
func (p *parser) wordValue(v *Value, tok token) {
	v.Kind = String
	v.Text = tok.text
	switch {
	case p.version == V1 && strings.HasPrefix(tok.text, "#") && isReserved(tok.text[1:], V1):
		p.add(Errorf(p.file, tok.span, "%s is how KDL 2 writes it", excerptOf(tok.text)).
			WithHint("write %s", tok.text[1:]))
		p.signsV2++
	case p.version == V1:
		p.add(Errorf(p.file, tok.span, "a text value must be in quotes in KDL 1").
			WithHint("write %s", quote(excerptOf(tok.text), V1)))
	case isReserved(tok.text, V2):
		p.add(Errorf(p.file, tok.span, "%s needs a # before it in KDL 2", tok.text).
			WithHint("write #%s, or %s if it is text", tok.text, quote(tok.text, V2)))
		if !strings.HasSuffix(tok.text, "inf") && tok.text != "nan" {
			p.signsV1++
			v.keyword(tok.text)
			return
		}
		v.Kind, v.Raw = Number, "#"+tok.text
	default:
		p.signsV2++
	}
}

// checkName reports a word that can't be a name, at the current token.
func (p *parser) checkName(what string) {
	if p.tok.kind == tokenWord {
		p.checkReserved(p.tok, what)
	}
}

func (p *parser) checkReserved(tok token, what string) {
	if isReserved(tok.text, p.version) {
		p.add(Errorf(p.file, tok.span, "%s can't be %s without quotes", tok.text, what).
			WithHint("write %s", quote(tok.text, p.version)))
	}
}

// typeAnnotation reads a type annotation and the space that may follow it.
// The type is nil when there is no text in the parentheses; whole reports
// whether they are closed.
func (p *parser) typeAnnotation() (typ *Ident, whole bool) {
	opening := p.tok.span
	p.next()
	p.annotationSpace("in the parentheses")
	switch p.tok.kind {
	case tokenWord, tokenString:
		p.checkName("a type annotation")
		typ = p.newIdent()
		*typ = Ident{p.tok.text, p.tok.span}
		p.next()
	case tokenCloseType:
		p.errorf(Span{opening.Start, p.tok.span.End}, "type annotation is empty")
	default:
		p.errorf(p.tok.span, "expected the name of a type, found %s", p.tok.describe())
		if p.tok.kind == tokenNumber || p.tok.kind == tokenKeyword || p.tok.kind == tokenInvalid || p.tok.kind == tokenSlashdash {
			p.next()
			p.skipToCloseType()
		}
	}
	p.annotationSpace("in the parentheses")
	if p.tok.kind != tokenCloseType {
		p.skipToCloseType()
		if typ != nil {
			p.add(Errorf(p.file, opening, "type annotation is not one word in parentheses").WithHint("write (name)"))
		}
	}
	if p.tok.kind != tokenCloseType {
		return typ, false
	}
	p.next()
	p.annotationSpace("after a type annotation")
	return typ, true
}

// annotationSpace moves over space, which only version 2 allows there.
func (p *parser) annotationSpace(where string) {
	start := p.tok.span.Start
	if !p.skipNodeSpace() || p.version == V2 {
		return
	}
	if p.hasValue() || p.tok.kind == tokenCloseType {
		p.errorf(Span{start, p.tok.span.Start}, "no space may stand %s in KDL 1", where)
	}
}

// skipToCloseType moves to the closing parenthesis, if there is one before
// the node ends.
func (p *parser) skipToCloseType() {
	for {
		switch p.tok.kind {
		case tokenCloseType, tokenEnd, tokenNewline, tokenLineComment, tokenSemicolon, tokenOpenBlock, tokenCloseBlock:
			return
		}
		p.next()
	}
}

// lastEnd returns where what is known of an entry ends.
func (p *parser) lastEnd(e *Entry) Pos {
	if e.Type != nil {
		return e.Type.Span.End
	}
	return e.Span.Start
}
