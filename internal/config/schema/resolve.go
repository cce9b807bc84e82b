package schema

import "time"

// inheritAll gives blocks what only the top level says.
func inheritAll(c *Config) {
	for _, l := range c.Listeners {
		inherit(table()["timeouts"].rows, &l.Timeouts, &c.Timeouts)
		inherit(table()["limits"].rows, &l.Limits, &c.Limits)
		inheritShadow(&l.Limits, c.Limits.Shadow)
	}
	for _, u := range c.Upstreams {
		inherit(table()["timeouts"].rows, &u.Timeouts, &c.Timeouts)
		inheritHealth(u, c.HealthCheck)
	}
	for _, r := range c.Routes {
		mergeEdits(&r.Policies.RequestHeaders, &c.Policies.RequestHeaders)
		mergeEdits(&r.Policies.ResponseHeaders, &c.Policies.ResponseHeaders)
	}
}

// inheritShadow does the same for limits in shadow mode, which may be absent.
func inheritShadow(l, above *Limits) {
	if above == nil {
		return
	}
	if l.Shadow == nil {
		l.Shadow = &Limits{Block: above.Block}
		l.Shadow.From.Kind = Inherited
	}
	inherit(table()["limits"].rows, l.Shadow, above)
}

// inherit copies the values of keys into b where only above says them.
func inherit(keys []*Key, b, above any) {
	for _, k := range keys {
		switch v := k.slot.at(b).(type) {
		case *Value[time.Duration]:
			inheritValue(v, k.slot.at(above).(*Value[time.Duration]))
		case *Value[int64]:
			inheritValue(v, k.slot.at(above).(*Value[int64]))
		case *Value[string]:
			inheritValue(v, k.slot.at(above).(*Value[string]))
		case *Value[bool]:
			inheritValue(v, k.slot.at(above).(*Value[bool]))
		case *[]Value[Range]:
			if len(*v) > 0 {
				continue
			}
			for _, x := range *k.slot.at(above).(*[]Value[Range]) {
				x.From.Kind = Inherited
				*v = append(*v, x)
			}
		}
	}
}

func inheritValue[T any](v, above *Value[T]) {
	if !v.IsSet() && above.From.Kind == Written {
		*v = *above
		v.From.Kind = Inherited
	}
}

// mergeEdits adds the edits of above to those of e; for each name the nearest block wins.
func mergeEdits(e, above *HeaderEdits) {
	own := make(map[string]bool)
	for _, x := range e.Set {
		own[foldName(x.Name)] = true
	}
	for _, x := range e.Add {
		own[foldName(x.Name)] = true
	}
	for _, x := range e.Remove {
		own[foldName(x.V)] = true
	}
	for _, x := range e.Rename {
		own[foldName(x.Old)] = true
	}
	for _, x := range above.Set {
		if !own[foldName(x.Name)] {
			e.Set = append(e.Set, inheritedEdit(x))
		}
	}
	for _, x := range above.Add {
		if !own[foldName(x.Name)] {
			e.Add = append(e.Add, inheritedEdit(x))
		}
	}
	for _, x := range above.Remove {
		if !own[foldName(x.V)] {
			x.From.Kind = Inherited
			e.Remove = append(e.Remove, x)
		}
	}
	for _, x := range above.Rename {
		if !own[foldName(x.Old)] {
			x.From.Kind = Inherited
			e.Rename = append(e.Rename, x)
		}
	}
}

func inheritedEdit(e Edit) Edit {
	e.From.Kind = Inherited
	return e
}

// fill gives every key of b, and of the blocks in it, that nobody wrote its default.
func fill(s *spec, b any) {
	for _, k := range s.rows {
		if k.Kind == Opens {
			fillBlocks(k, s, b)
			continue
		}
		if k.preset != nil && k.slot.at != nil {
			fillValue(k.slot.at(b), k.preset)
		}
	}
}

func fillBlocks(k *Key, s *spec, b any) {
	if s.name == "route" && (k.Name == "timeouts" || k.Name == "limits") {
		return // a route keeps only what it sets itself
	}
	if s.name != "" && k.Name == "security" {
		return // likewise
	}
	into := table()[k.Opens]
	if k.slot.each != nil {
		for _, c := range k.slot.each(b) {
			fill(into, c)
		}
		return
	}
	if c := k.slot.at(b); c != nil {
		fill(into, c)
	}
}

func fillValue(at, preset any) {
	from := Origin{Kind: Default}
	switch v := at.(type) {
	case *Value[string]:
		fillOne(v, preset, from)
	case *Value[int64]:
		fillOne(v, preset, from)
	case *Value[bool]:
		fillOne(v, preset, from)
	case *Value[time.Duration]:
		fillOne(v, preset, from)
	case *[]Value[int64]:
		fillAll(v, preset, from)
	case *[]Value[string]:
		fillAll(v, preset, from)
	case *[]Value[Range]:
		fillAll(v, preset, from)
	}
}

func fillAll[T any](list *[]Value[T], preset any, from Origin) {
	if len(*list) > 0 {
		return
	}
	for _, x := range preset.([]T) {
		*list = append(*list, Value[T]{x, from})
	}
}

func fillOne[T any](v *Value[T], preset any, from Origin) {
	if !v.IsSet() {
		*v = Value[T]{preset.(T), from}
	}
}
